"""A data set as trainers see it: numbered examples, numbered classes, raw content on demand."""

import contextlib
import hashlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models_registry.artifacts.metadata import IMAGE_CLASSIFICATION
from models_registry.inputs import Corrections, small_classes

from .data import (
    DataError,
    Limits,
    Split,
    given_split,
    lone_classes,
    open_by_name,
    parse_data_split,
    read_image_archive,
    read_text_table,
    settled_parts,
    stratified_split,
)
from .request import TrainingRequest


@dataclass(frozen=True)
class TestPart:
    """A data set's own test part: numbers of classes that the model knows, and raw content on demand.

    `copies` counts examples that are left out because training or validation examples are the same, `unknown` those
    of classes that the model does not have.
    """

    labels: npt.NDArray[np.int64]
    raw: Callable[[int], bytes | str]
    copies: int
    unknown: int


@dataclass(frozen=True)
class Examples:
    """All usable examples. `groups` are equal for exact copies; `raw(index)` is a file's bytes or a text.

    `parts` are those of a split that the data set brings, "train" or "valid" for each example; empty without.
    `tests` are its test part, which no strategy looks at.
    """

    names: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    groups: tuple[str, ...]
    raw: Callable[[int], bytes | str]
    parts: tuple[str, ...] = ()
    tests: TestPart | None = None

    def __len__(self) -> int:
        return len(self.names)

    def without(self, left_out: frozenset[int]) -> "Examples":
        """Return the examples but some, by index."""
        kept = [index for index in range(len(self)) if index not in left_out]
        return replace(
            self,
            names=tuple(self.names[index] for index in kept),
            labels=self.labels[kept],
            groups=tuple(self.groups[index] for index in kept),
            raw=lambda index, raw=self.raw: raw(kept[index]),  # type: ignore[misc]
            parts=tuple(self.parts[index] for index in kept) if self.parts else (),
        )

    def split(self, data_split: str, seed: int) -> Split:
        """Split as the data set's folders do, else by the text form "70 : 30". Raises `DataError`."""
        percent = parse_data_split(data_split)
        if self.parts and (given := given_split(self.parts, self.labels.tolist(), self.groups)):
            return given
        return stratified_split(self.labels.tolist(), percent, seed, groups=self.groups)


@contextlib.contextmanager
def open_examples(request: TrainingRequest) -> Iterator[Examples]:
    """Read a request's data set and keep its file open. Raises `DataError`."""
    path, limits = Path(request.dataset_path), Limits(**request.limits)
    corrections = Corrections.from_json(request.corrections)
    _check_digest(path, request.dataset_sha256)
    if request.task_type == IMAGE_CLASSIFICATION:
        # How much work they are was decided when they were uploaded.
        images = read_image_archive(path, replace(limits, max_archive_pixels=sys.maxsize), corrections)
        names = tuple(example.name for example in images.examples)
        labels = [example.label for example in images.examples]
        groups = tuple(example.sha256 for example in images.examples)
        parts = tuple(example.part for example in images.examples)
        with open_by_name(path, limits, corrections) as read:
            yield _number(names, labels, groups, lambda index: read(names[index]), parts, corrections)
    else:
        columns = {"split": "", **request.columns}
        table = read_text_table(path, columns, limits, corrections)
        texts = table.texts
        yield _number(texts, list(table.labels), texts, lambda index: texts[index], table.parts, corrections)


def _number(
    names: tuple[str, ...],
    labels: list[str],
    groups: tuple[str, ...],
    raw: Callable[[int], bytes | str],
    parts: tuple[str, ...],
    corrections: Corrections,
) -> Examples:
    """Number the classes, without those that are too small or cannot be validated; a test part stands apart."""
    settled = settled_parts(parts)
    learnt = [index for index, part in enumerate(settled) if part != "test"]
    small = small_classes(Counter(labels[index] for index in learnt), corrections)
    usable = [index for index in learnt if labels[index] not in small]
    lone = lone_classes([labels[index] for index in usable], [groups[index] for index in usable])
    classes = tuple(sorted({labels[index] for index in usable} - lone))
    if len(classes) < 2:
        raise DataError(
            "The data set has fewer than two classes with two different readable examples. Add some."
        )
    kept = [index for index in usable if labels[index] not in lone]
    numbers = {name: number for number, name in enumerate(classes)}
    found = [settled[index] for index in kept]
    return Examples(
        tuple(names[index] for index in kept),
        np.array([numbers[labels[index]] for index in kept]),
        classes,
        tuple(groups[index] for index in kept),
        lambda index: raw(kept[index]),
        tuple(found) if set(found) - {""} else (),
        _test_part(labels, groups, settled, numbers, raw),
    )


def _test_part(
    labels: Sequence[str],
    groups: Sequence[str],
    parts: Sequence[str],
    numbers: Mapping[str, int],
    raw: Callable[[int], bytes | str],
) -> TestPart | None:
    tests = [index for index, part in enumerate(parts) if part == "test"]
    seen = {group for group, part in zip(groups, parts, strict=True) if part != "test"}
    known = [index for index in tests if labels[index] in numbers]
    kept = [index for index in known if groups[index] not in seen]
    if not tests:
        return None
    return TestPart(
        np.array([numbers[labels[index]] for index in kept], np.int64),
        lambda index: raw(kept[index]),
        copies=len(known) - len(kept),
        unknown=len(tests) - len(known),
    )


def _check_digest(path: Path, expected: str) -> None:
    if not expected:
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise DataError("The data set's file is not the one that was checked. Upload it again.")
