"""A data set as trainers see it: numbered examples, numbered classes, raw content on demand."""

import contextlib
import hashlib
import sys
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models_registry.artifacts.metadata import IMAGE_CLASSIFICATION
from models_registry.artifacts.model_metrics import DataMetrics
from models_registry.inputs import Corrections, small_classes

from .data import (
    Bundled,
    DataError,
    Limits,
    Split,
    bundle,
    bundle_photos,
    bundle_texts,
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
    """All usable examples. `groups` are equal for what stays together; `raw(index)` is a file's bytes or a text.

    These are copies and near copies, or what the data name as a group (`has_named_groups`). `lookalikes` are classes
    of which all examples are near copies of one another: of them only exact copies stay together. `parts` are those of
    a split that the data set brings, "train" or "valid" for each example; empty without.
    `tests` are its test part, which no strategy looks at.
    """

    names: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    groups: tuple[Hashable, ...]
    raw: Callable[[int], bytes | str]
    parts: tuple[str, ...] = ()
    tests: TestPart | None = None
    has_named_groups: bool = False
    lookalikes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    @property
    def independence(self) -> DataMetrics:
        """Return how many of the examples stand for themselves, as a model's metrics."""
        different = len(set(self.groups))
        if self.has_named_groups:
            return {"examples": len(self), "groups": different}
        return {
            "examples": len(self),
            "near_copies": len(self) - different,
            "lookalikes": list(self.lookalikes),
        }

    def groups_of(self, rows: Iterable[int]) -> list[Hashable]:
        """Return the groups of some examples."""
        return [self.groups[row] for row in rows]

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
        contents = tuple(example.sha256 for example in images.examples)
        parts = tuple(example.part for example in images.examples)
        sketches = [example.sketch for example in images.examples]
        found = Found(
            names,
            labels,
            contents,
            parts,
            lambda rows: bundle_photos([sketches[row] for row in rows]),
            [example.group for example in images.examples] if corrections.group else (),
        )
        with open_by_name(path, limits, corrections) as read:
            yield number_examples(found, lambda index: read(names[index]), corrections)
    else:
        columns = {"split": "", "group": corrections.columns.get("group", ""), **request.columns}
        table = read_text_table(path, columns, limits, corrections)
        texts = table.texts
        found = Found(
            texts,
            list(table.labels),
            texts,
            table.parts,
            lambda rows: bundle_texts(texts[row] for row in rows),
            table.groups,
        )
        yield number_examples(found, lambda index: texts[index], corrections)


@dataclass(frozen=True)
class Found:
    """What a reader found, an entry for each example: names, labels, contents that are equal for exact copies, parts.

    `near_copies` takes the places of examples and returns the number of each one's bundle. `named` are groups that the
    data themselves name, "" for an example without; empty where none are named.
    """

    names: Sequence[str]
    labels: Sequence[str]
    contents: Sequence[str]
    parts: Sequence[str]
    near_copies: Callable[[Sequence[int]], npt.NDArray[np.int64]]
    named: Sequence[str] = ()


def number_examples(found: Found, raw: Callable[[int], bytes | str], corrections: Corrections) -> Examples:
    """Number the classes, without those that are too small or cannot be validated; a test part stands apart."""
    labels, settled = found.labels, settled_parts(found.parts)
    learnt = [index for index, part in enumerate(settled) if part != "test"]
    small = small_classes(Counter(labels[index] for index in learnt), corrections)
    usable = [index for index in learnt if labels[index] not in small]
    apart = [
        found.named[index] or found.contents[index] if found.named else found.contents[index]
        for index in usable
    ]
    lone = lone_classes([labels[index] for index in usable], apart)
    classes = tuple(sorted({labels[index] for index in usable} - lone))
    if len(classes) < 2:
        raise DataError(
            "The data set has fewer than two classes with two different readable examples"
            f"{', of two groups each' if found.named else ''}. Add some."
        )
    kept = [index for index in usable if labels[index] not in lone]
    numbers = {name: number for number, name in enumerate(classes)}
    parts = [settled[index] for index in kept]
    bundled = _bundle(found, kept)
    return Examples(
        tuple(found.names[index] for index in kept),
        np.array([numbers[labels[index]] for index in kept]),
        classes,
        bundled.groups,
        lambda index: raw(kept[index]),
        tuple(parts) if set(parts) - {""} else (),
        _test_part(found, settled, numbers, raw),
        has_named_groups=bool(found.named),
        lookalikes=bundled.loosened,
    )


def _bundle(found: Found, kept: Sequence[int]) -> Bundled:
    """Return what of the examples stays together. Where groups are named, they alone say so."""
    labels = [found.labels[index] for index in kept]
    contents = [found.contents[index] for index in kept]
    if found.named:
        named = [found.named[index] for index in kept]
        return Bundled(
            tuple(name or ("", content) for name, content in zip(named, contents, strict=True)), ()
        )
    return bundle(labels, contents, found.near_copies(kept).tolist())


def _test_part(
    found: Found, parts: Sequence[str], numbers: Mapping[str, int], raw: Callable[[int], bytes | str]
) -> TestPart | None:
    labels, groups = found.labels, found.named or found.contents
    tests = [index for index, part in enumerate(parts) if part == "test"]
    seen = {group for group, part in zip(groups, parts, strict=True) if part != "test"} - {""}
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
