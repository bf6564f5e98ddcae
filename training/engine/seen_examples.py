"""What a training saw of each example, as a file: the revision that it trained on, and what it has to say of it.

The file is a manifest with further columns: `text`, the beginning of a text; `offset`, `packed` and `method`, where an
image of an upload lies in its archive; `given`, the probability of the example's own label by a model that has not
learnt from it; `suggested` and `likely`, the most probable other class and its probability; `doubt`, how certain it is
that the label is wrong, of those that look wrong; `near_copy_of` and `likeness`, the group of near copies that it is in
and how alike its two most alike are; `oddness`, how far it is from others, of odd ones; `direction`, what similar ones
are found by (see `strategies.neighbours`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from models_registry.artifacts.metadata import TEXT_CLASSIFICATION
from models_registry.inputs import Corrections

from .data.images import locate_members
from .data.labelled import SHOWN
from .data.manifest import NAMED, TRAIN, VALIDATION, Manifest, manifest_of
from .examples import Examples
from .label_issues import LabelIssue
from .request import TrainingRequest

if TYPE_CHECKING:
    import pyarrow

DIRECTION = "direction"  # a column
ROWS = 20_000  # of a file that whoever reads it has in memory at a time
ID = 16  # characters that tell a group of examples from others

SCALE = 127  # of a direction's numbers in eight bits

Opinions = npt.NDArray[np.float32]
Directions = npt.NDArray[np.int8]


@dataclass(frozen=True)
class NearCopies:
    """The group of near copies that each example is in, "" for none, and the likeness of its two most alike, 0…1."""

    groups: tuple[str, ...]
    likeness: Opinions


@dataclass(frozen=True)
class Judged:
    """Probabilities of examples by models that have not learnt from them: `rows` of the examples, N × classes.

    `copies`, `oddness` (NaN where an example is not odd) and `directions` are of all examples.
    """

    rows: npt.NDArray[np.int64]
    probabilities: Opinions
    issues: Sequence[LabelIssue] = ()
    copies: NearCopies | None = None
    oddness: Opinions | None = None
    directions: Directions | None = None


NOT_JUDGED = Judged(np.zeros(0, np.int64), np.zeros((0, 2), np.float32))


def settled_manifest(request: TrainingRequest, examples: Examples) -> Manifest:
    """Return the manifest with the split and the groups that were used; what was not used stays where it was."""
    splits, groups = list(examples.manifest.splits), list(examples.manifest.groups)
    # Not what was measured on: few examples are all held out in turn, and a later training may have more.
    held_out = set(examples.split(request.data_split, request.seed).validation)
    for index, row in enumerate(examples.rows):
        splits[row] = VALIDATION if index in held_out else TRAIN
    for row, group in zip(examples.rows, _group_ids(examples), strict=True):
        groups[row] = groups[row] if examples.has_named_groups and groups[row] else group
    return examples.manifest.settled(splits, groups)


def _group_ids(examples: Examples) -> list[str]:
    """Return a short name for the group of each example; "" for one that shares it with no other."""
    sizes = Counter(examples.groups)
    mark, first = NAMED if examples.has_named_groups else "", dict[Hashable, str]()
    ids = []
    for row, group in zip(examples.rows, examples.groups, strict=True):
        if sizes[group] < 2:  # a name that comes once may come again in what is added later
            ids.append(_named_id(group) if mark and isinstance(group, str) else "")
        elif mark:
            ids.append(_named_id(group))
        else:
            ids.append(first.setdefault(group, examples.manifest.digests[row][:ID]))
    return ids


def _named_id(group: Hashable) -> str:
    return NAMED + hashlib.sha256(repr(group).encode()).hexdigest()[:ID]


def write_seen_examples(path: Path, request: TrainingRequest, examples: Examples, judged: Judged) -> None:
    """Write the file."""
    import pyarrow
    import pyarrow.parquet

    manifest = settled_manifest(request, examples)
    table = manifest.table()
    for name, values in _shown(request, examples, manifest).items():
        table = table.append_column(name, pyarrow.array(values))
    columns = _opinions(examples, judged, len(manifest)) | _neighbours(examples, judged, len(manifest))
    for name, column in columns.items():
        table = table.append_column(name, column)
    pyarrow.parquet.write_table(table, path, compression="zstd", row_group_size=ROWS)


def _shown(request: TrainingRequest, examples: Examples, manifest: Manifest) -> dict[str, Sequence[object]]:
    """Return what pages show the examples by; of a revision that is known already."""
    if request.manifest:
        return {}
    if request.task_type == TEXT_CLASSIFICATION:
        return {"text": [str(examples.read(row))[:SHOWN] for row in range(len(manifest))]}
    places = locate_members(Path(request.dataset_path), None, Corrections.from_json(request.corrections))
    found = [places[place] for place in manifest.places]
    return {
        "offset": [one.offset for one in found],
        "packed": [one.packed for one in found],
        "method": [one.method for one in found],
    }


def _opinions(examples: Examples, judged: Judged, count: int) -> dict[str, pyarrow.Array]:
    """Return the columns of what is thought of each example, null where nothing is."""
    import pyarrow

    given: list[float | None] = [None] * count
    suggested: list[str | None] = [None] * count
    likely: list[float | None] = [None] * count
    doubt: list[float | None] = [None] * count
    others = judged.probabilities.copy()
    labels = examples.labels[judged.rows]
    numbers = np.arange(len(labels))
    own = judged.probabilities[numbers, labels]
    others[numbers, labels] = -1
    best = others.argmax(1) if len(others) else np.zeros(0, np.int64)
    for place, index in enumerate(judged.rows.tolist()):
        row = examples.rows[index]
        given[row] = float(own[place])
        suggested[row] = examples.classes[best[place]]
        likely[row] = float(others[place, best[place]])
    for issue in judged.issues:
        row = examples.rows[issue.example]
        doubt[row], suggested[row] = issue.certainty, examples.classes[issue.suggested]
    number = pyarrow.float32()
    return {
        "given": pyarrow.array(given, number),
        "suggested": pyarrow.array(suggested, pyarrow.string()).dictionary_encode(),
        "likely": pyarrow.array(likely, number),
        "doubt": pyarrow.array(doubt, number),
    }


def _neighbours(examples: Examples, judged: Judged, count: int) -> dict[str, pyarrow.Array]:
    """Return the columns of what lies near each example, null where nothing is known or to be told."""
    import pyarrow

    group: list[str | None] = [None] * count
    likeness: list[float | None] = [None] * count
    oddness: list[float | None] = [None] * count
    direction: list[bytes | None] = [None] * count
    for index, row in enumerate(examples.rows):
        if judged.copies is not None and judged.copies.groups[index]:
            group[row], likeness[row] = judged.copies.groups[index], float(judged.copies.likeness[index])
        if judged.oddness is not None and not np.isnan(judged.oddness[index]):
            oddness[row] = float(judged.oddness[index])
        if judged.directions is not None:
            direction[row] = judged.directions[index].tobytes()
    return {
        "near_copy_of": pyarrow.array(group, pyarrow.string()),
        "likeness": pyarrow.array(likeness, pyarrow.float32()),
        "oddness": pyarrow.array(oddness, pyarrow.float32()),
        DIRECTION: pyarrow.array(direction, pyarrow.binary()),
    }


def read_directions(path: Path) -> tuple[list[str], Directions]:
    """Return the digests of the examples whose directions a file has, and these: N × axes; none of an older file."""
    import pyarrow.compute
    import pyarrow.parquet

    if DIRECTION not in pyarrow.parquet.read_schema(path).names:
        return [], np.zeros((0, 0), np.int8)
    table = pyarrow.parquet.read_table(path, columns=["sha256", DIRECTION])
    table = table.filter(pyarrow.compute.is_valid(table.column(DIRECTION)))
    if not len(table):
        return [], np.zeros((0, 0), np.int8)
    joined = b"".join(table.column(DIRECTION).to_pylist())
    return table.column("sha256").to_pylist(), np.frombuffer(joined, np.int8).reshape(len(table), -1)


def read_seen_examples(path: Path) -> tuple[Manifest, dict[str, list[object]]]:
    """Return the manifest of a file and its further columns but the directions, by name."""
    import pyarrow.parquet

    return _parted(pyarrow.parquet.read_table(path))


def read_seen_examples_in_pieces(path: Path, size: int) -> Iterator[tuple[Manifest, dict[str, list[object]]]]:
    """Yield the same of so many examples at a time, in memory of these."""
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        columns = [name for name in file.schema_arrow.names if name != DIRECTION]
        for group in range(file.num_row_groups):  # what is read of several at once is held until the last
            for batch in file.iter_batches(size, [group], columns, use_threads=False):
                yield _parted(pyarrow.Table.from_batches([batch]))


def _parted(table: pyarrow.Table) -> tuple[Manifest, dict[str, list[object]]]:
    manifest = manifest_of(table)
    further = [name for name in table.column_names if name not in {*manifest.columns(), DIRECTION}]
    return manifest, {name: table.column(name).to_pylist() for name in further}
