"""One platform and one browser for all tests that a process runs."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.platform_process import FOR_EVERYTHING, PlatformProcess

from .chromium import open_browser


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlatformProcess]:
    """Web and a worker for jobs and batches, warm."""
    with PlatformProcess(tmp_path_factory.mktemp("browser") / "home", worker=False) as platform:
        platform.start_worker(*FOR_EVERYTHING)
        yield platform


@pytest.fixture(scope="session")
def chromium_browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with open_browser() as browser:
        yield browser
