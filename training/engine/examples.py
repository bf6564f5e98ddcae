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
from .data.manifest import NAMED, TEST, Manifest, read_manifest
from .data.near_copies import connect
from .data.revision import open_images, read_texts, text_digest, usable_parts
from .request import TrainingRequest

LEFT_OUT = "left out"  # of a revision's rows: neither learnt from nor measured on


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
    `tests` are its test part, which no strategy looks at. `manifest` lists all that was read, used or not; `rows` are
    the examples' places in it, `read` returns the content of any of its rows.
    """

    names: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    groups: tuple[Hashable, ...]
    raw: Callable[[int], bytes | str]
    manifest: Manifest
    rows: tuple[int, ...]
    read: Callable[[int], bytes | str]
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
            rows=tuple(self.rows[index] for index in kept),
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
    """Read a request's data set, or the revision that it names, and keep the files open. Raises `DataError`."""
    path, limits = Path(request.dataset_path), Limits(**request.limits)
    if request.manifest:
        with _open_revision(request, limits) as examples:
            yield examples
        return
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
        manifest = _as_uploaded(request, names, contents, labels, parts)
        with open_by_name(path, limits, corrections) as read:
            yield number_examples(found, lambda index: read(names[index]), corrections, manifest)
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
        numbers = [str(number) for number in range(len(texts))]
        digests = [text_digest(text) for text in texts]
        manifest = _as_uploaded(request, numbers, digests, table.labels, table.parts)
        yield number_examples(found, lambda index: texts[index], corrections, manifest)


@contextlib.contextmanager
def _open_revision(request: TrainingRequest, limits: Limits) -> Iterator[Examples]:
    """Read the rows of a manifest out of its shards."""
    path = Path(request.manifest)
    _check_digest(path, request.dataset_sha256)
    manifest = read_manifest(path)
    usable = usable_parts(manifest)
    parts = tuple(usable.get(row, LEFT_OUT) for row in range(len(manifest)))
    if "train" not in parts:
        raise DataError("No class of this revision has two different examples to train with. Add some.")
    labels, digests = manifest.labels, manifest.digests
    named = [group if group.startswith(NAMED) else "" for group in manifest.groups]
    named = named if manifest.has_named_groups else []
    if request.task_type == IMAGE_CLASSIFICATION:
        one = len(set(manifest.shards)) == 1
        names = tuple(
            place if one else f"{place} ({shard[:8]})"
            for place, shard in zip(manifest.places, manifest.shards, strict=True)
        )
        # Which photos are near copies was looked at when they were uploaded.
        photos = Found(
            names, labels, digests, parts, lambda rows: _together(manifest, rows, np.arange(len(rows))), named
        )
        with open_images(manifest, request.shards, limits) as read:
            yield number_examples(photos, read, Corrections(), manifest)
    else:
        texts = tuple(read_texts(manifest, request.shards, limits))
        found = Found(
            texts,
            labels,
            digests,
            parts,
            lambda rows: _together(manifest, rows, bundle_texts(texts[row] for row in rows)),
            named,
        )
        yield number_examples(found, lambda row: texts[row], Corrections(), manifest)


def _together(
    manifest: Manifest, rows: Sequence[int], bundles: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Join bundles of rows that share a content or a group of the manifest; returns each row's new number."""
    first: dict[tuple[str, str], int] = {}
    pairs = []
    for place, row in enumerate(rows):
        for key in (("content", manifest.digests[row]), ("group", manifest.groups[row])):
            if key[1]:
                pairs.append((bundles[place], bundles[first.setdefault(key, place)]))
    return connect(np.array(pairs, np.int64).reshape(-1, 2), len(rows))[bundles]


def _as_uploaded(
    request: TrainingRequest,
    places: Sequence[str],
    digests: Sequence[str],
    labels: Sequence[str],
    parts: Sequence[str],
) -> Manifest:
    """Return the manifest of a data set that nobody has mended yet; its own test part is one."""
    splits = [TEST if part == "test" else "" for part in settled_parts(parts)]
    return Manifest.of_upload(request.dataset_sha256, places, digests, labels, splits)


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


def number_examples(
    found: Found, raw: Callable[[int], bytes | str], corrections: Corrections, manifest: Manifest
) -> Examples:
    """Number the classes, without those that are too small or cannot be validated; a test part stands apart.

    `manifest` has a row for each of what was found.
    """
    labels, settled = found.labels, settled_parts(found.parts)
    learnt = [index for index, part in enumerate(settled) if part not in ("test", LEFT_OUT)]
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
        manifest,
        tuple(kept),
        raw,
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
    seen = {group for group, part in zip(groups, parts, strict=True) if part not in ("test", LEFT_OUT)} - {""}
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
