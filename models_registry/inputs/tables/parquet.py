"""Parquet, read a few rows at a time.

Sizes are looked at before values are made of them: compression and dictionaries let a file of some kilobytes
stand for gigabytes of text.
"""

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..errors import DataError
from .base import SAMPLE_ROWS, Row, TableReader, row_of
from .columns import NAMES_OF_LABELS, is_usual_name
from .parquet_pages import DELTA_BYTE_ARRAY, DELTA_LENGTH_BYTE_ARRAY, iter_pages
from .splits import is_name_of_split

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.parquet

BATCH = 256  # rows
BUFFER = 1 << 20  # bytes of a column chunk that are read at once
FIELD_LIMIT = 4 << 20  # bytes of a text: more than a million characters are at most
METADATA_LIMIT = 4 << 20  # bytes of the file's footer
MOST_PARTS = 100_000  # row groups, or columns of one
MOST_PAGES = 200_000
SAMPLED_COLUMNS = 12
DEEPEST = 12  # levels of structs whose fields become columns
PAGE_LIMIT = 64 << 20  # bytes of an unpacked page
# Where Arrow gives each row a text of its own, instead of a number and what it stands for:
EXPANDING_LIMIT = 2 << 20  # bytes of a dictionary, or of values that may repeat those before
BATCH_OF_WHOLE = 16  # rows


@dataclass(frozen=True)
class ParquetReader(TableReader):
    """Columns of strings, numbers or truth values, or lists of one; null is a missing value.

    Fields of a struct are columns with a dot ("data.text"), as keys of JSON's objects are. Numbers that the Hugging
    Face library wrote for classes are read as the classes' names.
    """

    suffixes = (".parquet",)

    def columns(self) -> list[str]:
        """Return the names of the schema's columns, and of the fields of structs."""
        with self._open() as file:
            return [name for field in file.schema_arrow for name in _names_of(field)]

    def rows(self, *, text: str, label: str | None = None, also: Sequence[str] = ()) -> Iterator[Row]:
        """Yield the rows, numbered from 1."""
        wanted = [name for name in (text, label, *also) if name is not None]
        with self._open() as file:
            self._check(file, wanted)
            paths = [file.schema.column(place).path for place in range(len(file.schema))]
            names = {name: class_names(file, name) for name in wanted}
        leaves = [
            path for path in paths if any(path == name or path.startswith(f"{name}.") for name in wanted)
        ]
        is_whole = self._check_pages(leaves)
        batch_size = BATCH_OF_WHOLE if is_whole else BATCH
        plain = [name for name in wanted if name in leaves]  # no lists
        with self._open(dictionaries=None if is_whole else plain) as file:
            number = 0
            for batch in file.iter_batches(batch_size=batch_size, columns=wanted, use_threads=False):
                columns = [self._values(_column(batch, name), names[name]) for name in wanted]
                for values in zip(*columns, strict=True):
                    number += 1
                    self.check_count(number)
                    yield row_of(f"row {number}", values, also=len(also))

    def sample(self) -> list[dict[str, str]]:
        """Return the first rows, of a table of a few columns, where their names do not say which is which."""
        names = self.columns()
        known = [name for name in names if is_usual_name(name) or name.casefold() in NAMES_OF_LABELS]
        splits = [name for name in names if is_name_of_split(name)] if known else []
        wanted = [*(known or names)[: SAMPLED_COLUMNS - len(splits[:1])], *splits[:1]]
        try:
            columns = [[row.text for row in islice(self.rows(text=name), SAMPLE_ROWS)] for name in wanted]
        except DataError:
            return []
        return [dict(zip(wanted, row, strict=True)) for row in zip(*columns, strict=True)]

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
            kind = _type_of(file.schema_arrow, name)
            kind = kind.value_type if types.is_list(kind) or types.is_large_list(kind) else kind
            kind = kind.value_type if types.is_dictionary(kind) else kind
            if not any(
                is_one(kind)
                for is_one in (
                    *_kinds_of_text(),
                    types.is_integer,
                    types.is_floating,
                    types.is_decimal,
                    types.is_boolean,
                    types.is_null,
                )
            ):
                raise DataError(f"The column {name!r} holds {kind}; it should hold texts.")

    def _values(self, column: "pyarrow.Array", names: list[str]) -> list[str]:
        import pyarrow.compute as compute
        import pyarrow.types as types

        if types.is_dictionary(column.type):  # each text once, however many rows have it
            used = column.indices.unique().drop_null()
            texts = dict(
                zip(used.to_pylist(), self._values(column.dictionary.take(used), names), strict=True)
            )
            return ["" if place is None else texts[place] for place in column.indices.to_pylist()]
        if any(is_one(column.type) for is_one in _kinds_of_text()):
            if types.is_string_view(column.type):
                column = column.cast("large_string")
            longest = compute.max(compute.binary_length(column)).as_py() or 0
            if longest > FIELD_LIMIT:
                raise DataError(f"A field has {longest:,} bytes; the limit is {FIELD_LIMIT:,}.")
            return [_decoded(value) for value in column.to_pylist()]
        return [_as_text(value, names) for value in column.to_pylist()]


def _names_of(field: "pyarrow.Field", depth: int = 0) -> list[str]:
    """Return the name of a column, or those of its fields: not of a file's bytes, nor of names with dots."""
    import pyarrow.types as types

    inner = list(field.type) if types.is_struct(field.type) and depth < DEEPEST else []
    if not inner or any(one.name == "bytes" or "." in one.name for one in (field, *inner)):
        return [field.name]
    return [f"{field.name}.{name}" for one in inner for name in _names_of(one, depth + 1)]


def _type_of(schema: "pyarrow.Schema", name: str) -> Any:
    """Return the type of a column, or of a struct's field by its name with dots."""
    if name in schema.names:
        return schema.field(name).type
    first, *others = name.split(".")
    kind = schema.field(first).type
    for step in others:
        kind = kind.field(step).type
    return kind


def _column(batch: "pyarrow.RecordBatch", name: str) -> "pyarrow.Array":
    """Return a column, or a struct's field by its name with dots; null where the struct is."""
    if name in batch.schema.names:
        return batch.column(name)
    import pyarrow.compute as compute

    first, *others = name.split(".")
    return compute.struct_field(batch.column(first), others)


def _kinds_of_text() -> list[Any]:
    import pyarrow.types as types

    return [
        types.is_string,
        types.is_large_string,
        types.is_string_view,
        types.is_binary,
        types.is_large_binary,
    ]


def class_names(file: "pyarrow.parquet.ParquetFile", column: str) -> list[str]:
    """Return the names that the Hugging Face library's metadata give a column's numbers; none where it has none."""
    try:
        described = json.loads((file.schema_arrow.metadata or {})[b"huggingface"])
        feature = described["info"]["features"]
        for step in [column] if column in feature else column.split("."):
            feature = feature[step]
        names = feature["names"] if feature["_type"] == "ClassLabel" else []
    except (KeyError, TypeError, ValueError, RecursionError):
        return []
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else []


def _decoded(value: str | bytes | None) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return value or ""


def _as_text(value: object, names: list[str]) -> str:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    match value:
        case None | []:
            return ""
        case bool(truth):
            return str(truth).lower()
        case int(number) if 0 <= number < len(names):
            return names[number]
        case float(number) if number.is_integer() and abs(number) < 1e15:
            return str(int(number))  # pandas makes fractions of whole numbers where one is missing
        case str() | bytes():
            return _decoded(value)
        case list():
            return json.dumps([_as_text(one, names) for one in value], ensure_ascii=False)
    return str(value)
