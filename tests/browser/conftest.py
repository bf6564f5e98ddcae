"""One platform and one browser for all tests that a process runs."""

from collections.abc import Generator, Iterator

import pytest
from playwright.sync_api import Browser

from devtools.platform_process import PlatformProcess, WholePlatform

from .chromium import open_browser


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Function) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the platform has written beside a failure."""
    report = yield
    platform = getattr(item, "funcargs", {}).get("platform")
    if report.failed and isinstance(platform, PlatformProcess):
        report.sections.append(("The platform's log", platform.log("web")))
    return report


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
