"""What every test may use."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the runner repeat just what depends on the database."""
    parser.addoption("--only-database", action="store_true", help="only tests that use the database")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Honour --only-database."""
    if config.getoption("--only-database"):
        chosen = [item for item in items if item.get_closest_marker("django_db")]
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Make the test database once, and let tests that commit leave it as they found it at little cost."""
    from .database import rows_are_deleted

    with contextlib.ExitStack() as stack:
        with django_db_blocker.unblock():
            stack.enter_context(rows_are_deleted())
        yield


@pytest.fixture(autouse=True)
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Give each test an empty bucket folder."""
    if request.node.get_closest_marker("django_db") is None:
        yield tmp_path
        return
    from bucket.factory import get_bucket

    settings = request.getfixturevalue("settings")
    folder = tmp_path / "bucket"
    folder.mkdir()
    settings.BUCKET_FOLDER = folder
    get_bucket.cache_clear()
    yield folder
    get_bucket.cache_clear()
