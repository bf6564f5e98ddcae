from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator

from core.http.schema import OneAtATime


def test_nobody_else_describes_the_api_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    def describe(self: SchemaGenerator, **given: Any) -> dict[str, Any]:
        return {**given, "others may": OneAtATime._lock.acquire(blocking=False)}

    monkeypatch.setattr(SchemaGenerator, "get_schema", describe)
    for _ in range(2):
        assert OneAtATime().get_schema(public=True) == {"public": True, "others may": False}


def test_description_that_fails_keeps_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def describe(self: SchemaGenerator) -> None:
        raise RuntimeError

    monkeypatch.setattr(SchemaGenerator, "get_schema", describe)
    with pytest.raises(RuntimeError):
        OneAtATime().get_schema()
    assert not OneAtATime._lock.locked()
