"""Small tables that would cost a thousand times their size, and large ones without an end of line."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from devtools.costs import Cost, cost_of
from models_registry.inputs import DataError, Limits, open_table
from models_registry.inputs.tables import parquet

MB = 2**20


def read_all(path: str) -> int:
    """Read a table as data sets and batches do; returns the number of characters."""
    table = open_table(Path(path), Limits())
    columns = table.columns()
    text, label = columns[0], columns[-1]
    return sum(len(row.text) + len(row.label) for row in table.rows(text=text, label=label))


def cost_of_parquet(path: Path, table: pyarrow.Table, **options: Any) -> Cost:
    pyarrow.parquet.write_table(table, path, **options)
    return cost_of(read_all, str(path))


IMPORT = 120 * MB  # what pyarrow takes by itself


@pytest.mark.parametrize("compression", ["zstd", "gzip", "snappy"])
def test_parquet_one_text_of_gigabytes_is_refused_before_it_is_unpacked(
    tmp_path: Path, compression: str
) -> None:
    table = pyarrow.table({"input": ["x" * 80 * MB], "label": ["a"]})
    cost = cost_of_parquet(tmp_path / "text.parquet", table, compression=compression, use_dictionary=False)
    assert "DataError: A page of the column 'input' unpacks to 83,886," in cost.error
    assert cost.peak_growth < IMPORT + 20 * MB


def test_parquet_footer_that_understates_is_not_believed(tmp_path: Path) -> None:
    """The sums of the footer are changed; only the page's own header tells."""
    path = tmp_path / "lies.parquet"
    table = pyarrow.table({"input": ["x" * 100 * MB], "label": ["a"]})
    pyarrow.parquet.write_table(table, path, compression="zstd", use_dictionary=False)
    size = pyarrow.parquet.read_metadata(path).row_group(0).column(0).total_uncompressed_size
    path.write_bytes(path.read_bytes().replace(_varint(size), _varint(300)[:1] + b"\x80" * 2 + b"\x02"))
    assert pyarrow.parquet.read_metadata(path).row_group(0).column(0).total_uncompressed_size < MB * 8
    with pytest.raises(DataError, match="unpacks to 104,857,"):
        read_all(str(path))


def _varint(number: int) -> bytes:
    number *= 2
    written = bytearray()
    while number >= 128:
        written.append(number & 127 | 128)
        number >>= 7
    return bytes([*written, number])


def test_parquet_values_that_repeat_those_before_are_made_a_few_at_a_time(tmp_path: Path) -> None:
    """In DELTA_BYTE_ARRAY a value may be "the one before": two million of a megabyte are some kilobytes."""
    texts = ["x" * MB] * 300
    path = tmp_path / "prefixes.parquet"
    schema = {"input": "DELTA_BYTE_ARRAY", "label": "PLAIN"}
    table = pyarrow.table({"input": pyarrow.array(texts, pyarrow.large_string()), "label": ["a"] * 300})
    pyarrow.parquet.write_table(table, path, use_dictionary=False, column_encoding=schema, compression="zstd")
    del texts, table
    assert path.stat().st_size < MB
    cost = cost_of(read_all, str(path))
    assert (cost.error, cost.result) == ("", 300 * MB + 300)
    assert cost.peak_growth < IMPORT + 100 * MB


def test_parquet_of_every_encoding_and_compression_is_read(tmp_path: Path) -> None:
    rows = [f"text {number % 50} {'y' * (number % 90)}" for number in range(3000)]
    table = pyarrow.table({"input": rows, "label": ["a", "b"] * 1500})
    expected = sum(map(len, rows)) + 3000
    for encoding in ("PLAIN", "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY", None):
        for version in ("1.0", "2.0"):
            path = tmp_path / f"{encoding}{version}.parquet"
            pyarrow.parquet.write_table(
                table,
                path,
                use_dictionary=encoding is None,
                column_encoding=None if encoding is None else {"input": encoding, "label": "PLAIN"},
                data_page_version=version,
                row_group_size=700,
                data_page_size=5000,
                write_statistics=version == "1.0",
            )
            assert read_all(str(path)) == expected


def test_parquet_footer_of_megabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "footer.parquet"
    path.write_bytes(b"PAR1" + b"\0" * 5 * MB + struct.pack("<I", 5 * MB) + b"PAR1")
    with pytest.raises(DataError, match="footer"):
        read_all(str(path))


def test_parquet_rows_are_counted_before_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    column = pyarrow.DictionaryArray.from_arrays(
        pyarrow.array([0] * 3_000_000, pyarrow.int8()), pyarrow.array(["a"])
    )
    pyarrow.parquet.write_table(pyarrow.table({"input": column, "label": column}), path)
    with pytest.raises(DataError, match=r"3,000,000 rows"):
        read_all(str(path))


def test_parquet_pages_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "MOST_PAGES", 10)
    path = tmp_path / "pages.parquet"
    table = pyarrow.table({"input": ["a", "b"] * 100, "label": ["a", "b"] * 100})
    pyarrow.parquet.write_table(table, path, row_group_size=10)
    with pytest.raises(DataError, match="more than 10 pages"):
        read_all(str(path))


HUGE = 60 * MB


@pytest.mark.parametrize(
    ("suffix", "pieces", "message"),
    [
        (".csv", lambda: [b"x" * HUGE], "Row 1 has more than 1,000,000 characters"),
        (".csv", lambda: [b"input,label\n", b"x" * HUGE], "Row 2 has more than 1,000,000 characters"),
        (".csv", lambda: [b"input,label\n", b"\xff" * HUGE], "Row 2 has more than 1,000,000 characters"),
        (".csv", lambda: [b"\xff\xfe", b"\xff\xd8" * (HUGE // 2)], "not utf-16"),
        (
            ".csv",
            lambda: [b'input,label\n"', b'\n","' * (HUGE // 4)],
            "Row 2 has more than 1,000,000 characters",
        ),
        (".csv", lambda: [b'input,label\n"', b"x\n" * (HUGE // 2)], "field"),
        (".csv", lambda: [b"," * HUGE], "Row 1 has more than 1,000,000 characters"),
        (".csv", lambda: [b"input,label\n", b"\0" * HUGE], "Row 2 has more than 1,000,000 characters"),
        (
            ".tsv",
            lambda: [b"input\tlabel\n", b"x\t" * (HUGE // 2)],
            "Row 2 has more than 1,000,000 characters",
        ),
        (".jsonl", lambda: [b'{"input": "', b"x" * HUGE], "Row 1 has more than 1,000,000 characters"),
        (".jsonl", lambda: [b"\n" * 1000, b"[" * HUGE], "Row 1001 has more than 1,000,000 characters"),
    ],
    ids=[
        "one line",
        "second line",
        "no utf-8",
        "no utf-16",
        "row of a million lines",
        "quote that stays open",
        "commas",
        "nul",
        "tsv",
        "jsonl",
        "brackets",
    ],
)
def test_table_without_an_end_of_line_is_refused_in_bounded_memory(
    tmp_path: Path, suffix: str, pieces: Callable[[], list[bytes]], message: str
) -> None:
    path = tmp_path / f"endless{suffix}"
    with path.open("wb") as file:
        for piece in pieces():
            file.write(piece)
    cost = cost_of(read_all, str(path))
    assert message in cost.error
    assert cost.peak_growth < 30 * MB


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            '{"input": ' + "9" * 100_000 + ', "label": "a"}',
            "Row 1 is no JSON (a number of 100,000 characters",
        ),
        ('{"input": 1' + "0" * 400 + '.5e9, "label": "a"}', "Row 1 is no JSON (a number of 40"),
        ('{"input": 1e999, "label": "a"}', "Row 1 is no JSON (1e999 is no JSON value)"),
        ('{"input": ' + "[" * 200_000 + "]" * 200_000 + "}", "Row 1 is nested too deeply"),
        ('{"input": ' + '{"a":' * 100_000 + "1" + "}" * 100_001, "Row 1 is nested too deeply"),
        ('{"' + "k" * 500_000 + '": 1, "label": "a"}', "Row 1 has a key of 500,000 characters"),
        ("{" + ",".join(f'"{number}":1' for number in range(5000)) + "}", "Row 1 has 5,000 keys"),
    ],
    ids=["digits", "float", "infinity", "lists", "objects", "key", "keys"],
)
def test_json_lines_that_cost_much_name_the_row(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "hostile.jsonl"
    path.write_text(line + "\n" + json.dumps({"input": "b", "label": "c"}))
    with pytest.raises(DataError) as caught:
        read_all(str(path))
    assert message in str(caught.value)
    assert len(str(caught.value)) < 300
