"""Parquet, read a few rows at a time.

Sizes are looked at before values are made of them: compression and dictionaries let a file of some kilobytes
stand for gigabytes of text.
"""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..errors import DataError
from .base import Row, TableReader
from .parquet_pages import DELTA_BYTE_ARRAY, DELTA_LENGTH_BYTE_ARRAY, iter_pages

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.parquet

BATCH = 256  # rows
BUFFER = 1 << 20  # bytes of a column chunk that are read at once
BYTES_A_CHARACTER = 4  # at most, in UTF-8
METADATA_LIMIT = 4 << 20  # bytes of the file's footer
MOST_PARTS = 100_000  # row groups, or columns of one
MOST_PAGES = 200_000
PAGE_LIMIT = 64 << 20  # bytes of an unpacked page: a thousand texts of 20,000 characters
# Where Arrow gives each row a text of its own, instead of a number and what it stands for:
EXPANDING_LIMIT = 2 << 20  # bytes of a dictionary, or of values that may repeat those before
BATCH_OF_WHOLE = 32  # rows


class ParquetReader(TableReader):
    """Columns of strings, numbers or truth values; null is a missing value."""

    suffixes = (".parquet",)

    def columns(self) -> list[str]:
        """Return the names of the schema's columns."""
        with self._open() as file:
            return list(file.schema_arrow.names)

    def rows(self, *, text: str, label: str | None = None) -> Iterator[Row]:
        """Yield the rows, numbered from 1."""
        wanted = [name for name in (text, label) if name is not None]
        with self._open() as file:
            self._check(file, wanted)
        is_whole = self._check_pages(wanted)
        batch_size = BATCH_OF_WHOLE if is_whole else BATCH
        with self._open(dictionaries=None if is_whole else wanted) as file:
            number = 0
            for batch in file.iter_batches(batch_size=batch_size, columns=wanted, use_threads=False):
                columns = [self._values(batch.column(name), name) for name in wanted]
                for values in zip(*columns, strict=True):
                    number += 1
                    if number > self.limits.max_rows:
                        raise DataError(f"The table has more than {self.limits.max_rows:,} rows, the limit.")
                    yield Row(f"row {number}", *values)

    @contextlib.contextmanager
    def _open(self, dictionaries: list[str] | None = None) -> Iterator["pyarrow.parquet.ParquetFile"]:
        """Open the file; whatever is wrong with it becomes a `DataError`."""
        self._check_footer()
        import pyarrow.parquet  # 50 MB of memory, which only those who read Parquet shall pay

        try:
            with pyarrow.parquet.ParquetFile(
                self.path,
                buffer_size=BUFFER,
                pre_buffer=False,
                read_dictionary=dictionaries,
                thrift_string_size_limit=METADATA_LIMIT,
                thrift_container_size_limit=MOST_PARTS,
            ) as file:
                yield file
        except DataError:
            raise
        except Exception as error:  # its decoders raise all sorts of things on damaged or hostile files
            reason = str(error).partition("\n")[0][:200]
            raise DataError(f"This Parquet file cannot be read ({reason}). Write it anew.") from error

    def _check_footer(self) -> None:
        """Raise `DataError` for a footer that would become a hundred times its size in memory."""
        with self.path.open("rb") as file:
            file.seek(max(0, self.path.stat().st_size - 8))
            tail = file.read(8)
        length = int.from_bytes(tail[:4], "little")
        if tail[4:] == b"PAR1" and length > METADATA_LIMIT:
            raise DataError(
                f"The footer of this Parquet file has {length:,} bytes; the limit is {METADATA_LIMIT:,}. "
                "Write it with fewer columns and larger row groups."
            )

    def _check_pages(self, columns: list[str]) -> bool:
        """Tell whether values are written as Arrow reads them only whole. Raises `DataError` for too large pages."""
        expanding, is_whole = 0, False  # bytes of the largest page of which rows may repeat all in some bits
        for number, (name, page) in enumerate(iter_pages(self.path, columns), start=1):
            if number > MOST_PAGES:
                raise DataError(
                    f"The file has more than {MOST_PAGES:,} pages, the limit. Write it with larger ones."
                )
            is_whole = is_whole or page.encoding in (DELTA_BYTE_ARRAY, DELTA_LENGTH_BYTE_ARRAY)
            if page.is_dictionary or page.encoding == DELTA_BYTE_ARRAY:
                expanding = max(expanding, page.size)
            size, limit = (expanding, EXPANDING_LIMIT) if is_whole else (page.size, PAGE_LIMIT)
            if size > limit or page.size > PAGE_LIMIT:
                raise DataError(
                    f"A page of the column {name!r} unpacks to {max(size, page.size):,} bytes; the limit is "
                    f"{limit:,}. Shorten its texts, or write it with smaller pages."
                )
            if page.is_dictionary and page.values > page.size:
                raise DataError(f"A page of the column {name!r} says that it has {page.values:,} values.")
        return is_whole

    def _check(self, file: "pyarrow.parquet.ParquetFile", columns: list[str]) -> None:
        import pyarrow.types as types

        if file.metadata.num_rows > self.limits.max_rows:
            raise DataError(
                f"The table has {file.metadata.num_rows:,} rows; the limit is {self.limits.max_rows:,}."
            )
        for name in columns:
            kind = file.schema_arrow.field(name).type
            kind = kind.value_type if types.is_dictionary(kind) else kind
            wanted = (types.is_string, types.is_large_string, types.is_integer, types.is_floating)
            if not (any(is_one(kind) for is_one in wanted) or types.is_boolean(kind) or types.is_null(kind)):
                raise DataError(f"The column {name!r} holds {kind}; it should hold texts.")

    def _values(self, column: "pyarrow.Array", name: str) -> list[str]:
        import pyarrow.compute as compute
        import pyarrow.types as types

        values = column.dictionary if types.is_dictionary(column.type) else column
        if types.is_string(values.type) or types.is_large_string(values.type):
            longest = compute.max(compute.binary_length(values)).as_py() or 0
            if longest > BYTES_A_CHARACTER * self.limits.max_field_chars:
                raise DataError(
                    f"A field of the column {name!r} has {longest:,} bytes; "
                    f"a field may have {self.limits.max_field_chars:,} characters."
                )
        return ["" if value is None else _as_text(value) for value in column.to_pylist()]


def _as_text(value: str | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
