"""A revision's manifest: which examples of which uploads there are, under which class, in which part.

A row names an example by the upload that it lies in (a shard, by its SHA-256) and its place there; the bytes stay where
they are, so that another label costs a row and not a copy. Manifests are Parquet files.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from models_registry.inputs import DataError

if TYPE_CHECKING:  # 50 MB of memory, which only those who read or write Parquet shall pay
    import pyarrow

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = ("", TRAIN, VALIDATION, TEST)  # "": no training has placed it yet
UPLOAD, CAMERA = "upload", "camera"  # sources

Strings = tuple[str, ...]
Flags = npt.NDArray[np.bool_]

WORDS = ("shard", "label", "split", "source", "group")  # columns of few values
COLUMNS = ("shard", "place", "sha256", "label", "split", "source", "group", "excluded", "confirmed")
NAMED = "="  # begins the group that a person has named


@dataclass(frozen=True)
class Manifest:
    """The examples of a revision, column by column.

    `places` are names of an archive's members, or the numbers of a table's usable rows, from 0. `digests` are the
    SHA-256 of the examples' bytes (of a text: in UTF-8). `splits` are of `SPLITS`. `groups` are equal for examples that
    stay on one side of the split, "" for one that stands for itself. What is `excluded` is neither learnt
    from nor measured on; `confirmed` says that a person has looked at the label.
    """

    shards: Strings
    places: Strings
    digests: Strings
    labels: Strings
    splits: Strings
    sources: Strings
    groups: Strings
    excluded: Flags
    confirmed: Flags

    def __len__(self) -> int:
        return len(self.places)

    @classmethod
    def of_upload(
        cls,
        shard: str,
        places: Sequence[str],
        digests: Sequence[str],
        labels: Sequence[str],
        splits: Sequence[str],
    ) -> Manifest:
        """Return the manifest of one upload, as it came."""
        count = len(places)
        return cls(
            (shard,) * count,
            tuple(places),
            tuple(digests),
            tuple(labels),
            tuple(splits),
            (UPLOAD,) * count,
            ("",) * count,
            np.zeros(count, np.bool_),
            np.zeros(count, np.bool_),
        )

    @classmethod
    def of_columns(cls, columns: Sequence[Sequence[Any]]) -> Manifest:
        """Return the manifest of columns in the order of `COLUMNS`."""
        shards, places, digests, labels, splits, sources, groups, excluded, confirmed = columns
        return cls(
            tuple(shards),
            tuple(places),
            tuple(digests),
            tuple(labels),
            tuple(splits),
            tuple(sources),
            tuple(groups),
            np.array(excluded, np.bool_),
            np.array(confirmed, np.bool_),
        )

    @property
    def has_named_groups(self) -> bool:
        """Return whether a person has named what stays together."""
        return any(group.startswith(NAMED) for group in self.groups)

    def settled(self, splits: Sequence[str], groups: Sequence[str]) -> Manifest:
        """Return the same examples in other parts and groups."""
        return replace(self, splits=tuple(splits), groups=tuple(groups))

    def columns(self) -> dict[str, Sequence[str] | Flags]:
        """Return the columns by their names in the file."""
        values = (
            self.shards,
            self.places,
            self.digests,
            self.labels,
            self.splits,
            self.sources,
            self.groups,
            self.excluded,
            self.confirmed,
        )
        return dict(zip(COLUMNS, values, strict=True))

    def table(self) -> pyarrow.Table:
        """Return the columns as a table of Arrow."""
        import pyarrow

        arrays = {name: pyarrow.array(values) for name, values in self.columns().items()}
        return pyarrow.table({name: _encoded(name, array) for name, array in arrays.items()})


def _encoded(name: str, array: pyarrow.Array) -> pyarrow.Array:
    import pyarrow

    if name in ("excluded", "confirmed"):
        return array
    array = array.cast(pyarrow.string())
    return array.dictionary_encode() if name in WORDS else array


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write a manifest."""
    write_manifest_of(path, [manifest])


def write_manifest_of(path: Path, parts: Iterable[Manifest]) -> None:
    """Write one manifest of many parts, in memory of one; at least one."""
    import pyarrow.parquet

    with contextlib.ExitStack() as stack:
        writer = None
        for part in parts:
            table = part.table()
            if writer is None:
                writer = stack.enter_context(
                    pyarrow.parquet.ParquetWriter(path, table.schema, compression="zstd")
                )
            writer.write_table(table)


def read_manifest(path: Path) -> Manifest:
    """Read what `write_manifest` wrote. Raises `DataError` for another file."""
    import pyarrow.parquet

    try:
        return manifest_of(pyarrow.parquet.read_table(path, columns=list(COLUMNS)))
    except (pyarrow.ArrowException, OSError, KeyError, ValueError) as error:
        raise DataError(f"{path.name} is no list of examples that can be read ({error}).") from error


def count_parts(path: Path) -> dict[tuple[str, bool], int]:
    """Return how many examples of a manifest that was checked are in which part, and excluded or not."""
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(path, columns=["split", "excluded"])
    found = table.group_by(["split", "excluded"]).aggregate([([], "count_all")]).to_pylist()
    return {(row["split"], row["excluded"]): row["count_all"] for row in found}


def manifest_of(table: pyarrow.Table) -> Manifest:
    """Return the manifest that the columns of a table hold. Raises `ValueError` for values that none has."""
    columns = {name: _listed(name, table.column(name)) for name in COLUMNS}
    if unknown := set(columns["split"]) - set(SPLITS):
        raise ValueError(f"{sorted(unknown)[0]!r} is no part of a split")
    return Manifest.of_columns([columns[name] for name in COLUMNS])


def _listed(name: str, column: pyarrow.ChunkedArray) -> list[Any]:
    """Return the values of a column; of one of few values, equal ones are one object."""
    if column.null_count:
        raise ValueError(f"a value of {name} is missing")
    values: list[Any] = column.to_pylist()
    known = dict[str, str]()
    return [known.setdefault(value, value) for value in values] if name in WORDS else values
