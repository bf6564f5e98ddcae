"""What one version answered to each example, as a Parquet file. Knows no Django."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from models_registry.inputs import DataError

SHOWN = 300  # characters of a text


@dataclass(frozen=True)
class Answered:
    """One example and a version's answer. `probability` is that of the answer, `own` that of the true class.

    Both are 0…1; `own` is None where it is not known: of a class that the version has not, or that is not among its
    likeliest. `example` is the key of the project's example, 0 of one that came in a file. `group` is equal for
    examples that belong together, "" for one alone. `text` is the beginning of a text. `offset`, `packed` and `method`
    say where a photo lies in the zip that was brought.
    """

    sha256: str
    label: str
    predicted: str
    probability: float
    own: float | None
    place: str
    example: int = 0
    group: str = ""
    text: str = ""
    offset: int | None = None
    packed: int | None = None
    method: int | None = None

    @property
    def is_right(self) -> bool:
        """Whether the answer is the true class."""
        return self.label == self.predicted

    @property
    def bundle(self) -> str:
        """What the example is right or wrong together with."""
        return self.group or self.sha256


COLUMNS = tuple(field.name for field in fields(Answered))


def write_answers(path: Path, answers: Sequence[Answered]) -> None:
    """Write a file, a row for each answer."""
    import pyarrow
    import pyarrow.parquet

    columns = list(zip(*map(astuple, answers), strict=True)) or [()] * len(COLUMNS)
    table = pyarrow.table(dict(zip(COLUMNS, map(list, columns), strict=True)), schema=_schema())
    pyarrow.parquet.write_table(table, path, compression="zstd")


def read_answers(path: Path, *, of: str | None = None) -> list[Answered]:
    """Read what `write_answers` wrote; `of` is the SHA-256 of one example, else all. Raises `DataError`."""
    import pyarrow
    import pyarrow.parquet

    filters = None if of is None else [("sha256", "=", of)]
    try:
        written = pyarrow.parquet.read_schema(path).names
        columns = [name for name in COLUMNS if name in written]  # older files lack the last ones
        table = pyarrow.parquet.read_table(path, columns=columns, filters=filters)
        values = [table.column(name).to_pylist() for name in columns]
        return [Answered(**dict(zip(columns, row, strict=True))) for row in zip(*values, strict=True)]
    except (pyarrow.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"The answers cannot be read ({error}).") from error


def _schema() -> object:
    import pyarrow

    words = {name: pyarrow.string() for name in COLUMNS}
    numbers = {"probability": pyarrow.float32(), "own": pyarrow.float32()}
    numbers |= {name: pyarrow.int64() for name in ("example", "offset", "packed", "method")}
    return pyarrow.schema(list((words | numbers).items()))
