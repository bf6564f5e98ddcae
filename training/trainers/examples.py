"""A data set as trainers see it: numbered examples, numbered classes, raw content on demand."""

import contextlib
import hashlib
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models_registry.artifacts.metadata import IMAGE_CLASSIFICATION
from training.data import (
    DataError,
    Limits,
    Split,
    parse_data_split,
    read_image_archive,
    read_text_table,
    stratified_split,
)

from .request import TrainingRequest


@dataclass(frozen=True)
class Examples:
    """All usable examples. `groups` are equal for exact copies; `raw(index)` is a file's bytes or a text."""

    names: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    groups: tuple[str, ...]
    raw: Callable[[int], bytes | str]

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
        )

    def split(self, data_split: str, seed: int) -> Split:
        """Split by the text form "70 : 30". Raises `DataError`."""
        percent = parse_data_split(data_split)
        return stratified_split(self.labels.tolist(), percent, seed, groups=self.groups)


@contextlib.contextmanager
def open_examples(request: TrainingRequest) -> Iterator[Examples]:
    """Read a request's data set and keep its file open. Raises `DataError`."""
    path, limits = Path(request.dataset_path), Limits(**request.limits)
    _check_digest(path, request.dataset_sha256)
    if request.task_type == IMAGE_CLASSIFICATION:
        # How much work they are was decided when they were uploaded.
        images = read_image_archive(path, replace(limits, max_archive_pixels=sys.maxsize))
        names = tuple(example.name for example in images.examples)
        labels = [example.label for example in images.examples]
        groups = tuple(example.sha256 for example in images.examples)
        with zipfile.ZipFile(path) as archive:
            yield _number(names, labels, groups, lambda index: archive.read(names[index]))
    else:
        table = read_text_table(
            path,
            input_column=request.columns.get("input", "input"),
            label_column=request.columns.get("label", "label"),
            limits=limits,
        )
        yield _number(table.texts, list(table.labels), table.texts, lambda index: table.texts[index])


def _number(
    names: tuple[str, ...], labels: list[str], groups: tuple[str, ...], raw: Callable[[int], bytes | str]
) -> Examples:
    classes = tuple(sorted(set(labels)))
    if len(classes) < 2:
        raise DataError("The data set has fewer than two classes with readable examples. Add a class.")
    numbers = {name: number for number, name in enumerate(classes)}
    return Examples(names, np.array([numbers[label] for label in labels]), classes, groups, raw)


def _check_digest(path: Path, expected: str) -> None:
    if not expected:
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise DataError("The data set's file is not the one that was checked. Upload it again.")
