"""One platform and one browser for all tests that a process runs."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from devtools.platform_process import WholePlatform

from .chromium import open_browser


@pytest.fixture(scope="session")
def platform(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[WholePlatform]:
    """All of it, as `make run` starts it, with the backbones that tests have prepared."""
    assert pytestconfig.cache is not None
    home, backbones = tmp_path_factory.mktemp("browser") / "home", pytestconfig.cache.mkdir("backbones")
    with WholePlatform(home, backbones=backbones) as platform:
        yield platform


@pytest.fixture(scope="session")
def chromium_browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with open_browser() as browser:
        yield browser
