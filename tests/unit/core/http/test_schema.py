import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator

from core.http.schema import OneAtATime


def test_description_is_made_by_one_thread_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    busy, most = 0, 0

    def look(self: SchemaGenerator, **given: Any) -> dict[str, Any]:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        time.sleep(0.01)
        busy -= 1
        return given

    monkeypatch.setattr(SchemaGenerator, "get_schema", look)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: OneAtATime().get_schema(public=True), range(8)))
    assert found == [{"public": True}] * 8
    assert most == 1
