import io
import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import ijson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.engine.data import DataError
from training.engine.data import json_stream as stream
from training.engine.data.base64_stream import decode_base64

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)
PLACEHOLDER = stream.STANDS_FOR_A_LONG_STRING


class Dripping(io.RawIOBase):
    """A source that gives a few bytes at a time, whatever is asked for."""

    def __init__(self, content: bytes, size: int) -> None:
        self.content, self.size = io.BytesIO(content), size

    def read(self, size: int = -1) -> bytes:
        return self.content.read(self.size)


def events_of(content: bytes, size: int = 7, limit: int = 10**7) -> Iterator[tuple[str, Any]]:
    for event, value in stream.json_events(Dripping(content, size), limit=limit, folder=Path(gettempdir())):  # type: ignore[arg-type]
        if isinstance(value, stream.LongString):
            value = b"".join(value.pieces()).decode()
        yield event, value


@given(value=VALUES, size=st.integers(1, 40), ascii_only=st.booleans(), kept=st.integers(3, 40))
def test_events_are_the_parsers_own_whatever_is_cut_out(
    value: Any, size: int, ascii_only: bool, kept: int
) -> None:
    content = json.dumps(value, ensure_ascii=ascii_only).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "LONGEST_KEPT", kept)
        assert list(events_of(content, size)) == list(ijson.basic_parse(content))


@given(size=st.integers(1, 40))
def test_string_that_looks_like_the_placeholder_is_an_ordinary_one(size: int) -> None:
    long = "x" * 5000
    value = [PLACEHOLDER, long, PLACEHOLDER, long + "y", PLACEHOLDER]
    found = [value for _, value in events_of(json.dumps(value).encode(), size) if value is not None]
    assert found == value


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no JSON"),
        (b"hello", "no JSON"),
        (b'{"a": NaN}', "no JSON"),
        (b'{"a": 1} x', "no JSON"),
        (b'{"a": "x', "ends within a string"),
        (b'{"a": "' + b"x" * 9000, "ends within a string"),
        (b'{"a": "\xff"}', "no JSON"),
        (b"[" * 100, "levels deep"),
        (b'{"' + b"k" * 9000 + b'": 1}', "name in the document has more than"),
        (b"[" + b"1" * 2000 + b"]", "number of more than"),
        (b"\x00\x01\x02", "no JSON"),
        (b"[" + b" " * 2000 + b"]", "1,000 bytes"),
    ],
)
def test_what_is_no_document_says_why(content: bytes, message: str) -> None:
    for size in (1, 7, 100_000):
        with pytest.raises(DataError, match=message):
            list(events_of(content, size, limit=1000 if b"  " in content else 10**6))


def test_memory_does_not_grow_with_a_string_or_a_number() -> None:
    import tracemalloc

    class Endless(io.RawIOBase):
        left = 64 << 20

        def read(self, size: int = -1) -> bytes:
            if self.left == 64 << 20:
                self.left -= size
                return b'{"a": "' + b"A" * (size - 7)
            self.left -= size
            return b"A" * size if self.left > 0 else b""

    tracemalloc.start()
    with pytest.raises(DataError, match="within a string"):
        list(stream.json_events(Endless(), limit=1 << 30, folder=Path(gettempdir())))  # type: ignore[arg-type]
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


@given(content=st.binary(max_size=200), cuts=st.lists(st.integers(1, 30), min_size=1, max_size=5))
def test_base64_is_decoded_in_pieces_of_any_size(content: bytes, cuts: list[int]) -> None:
    import base64

    text = base64.encodebytes(content)
    pieces, at = [], 0
    while at < len(text):
        size = cuts[len(pieces) % len(cuts)]
        pieces.append(text[at : at + size])
        at += size
    assert b"".join(decode_base64(pieces)) == content


def test_base64_of_a_data_address_is_its_data() -> None:
    assert b"".join(decode_base64([b"data:image/png;base64,aGVs", b"bG8="])) == b"hello"


@pytest.mark.parametrize(
    "pieces", [[b"aGVsbG8"], [b"aGVsb*8="], [b"aGVsbG8=", b"aGVs"], [b"aGVsbG8=aGVs"], [b"=aGV"], [b"%%%%"]]
)
def test_what_is_not_strictly_base64_is_refused(pieces: list[bytes]) -> None:
    with pytest.raises(ValueError):
        list(decode_base64(pieces))
