"""The data report: what a person sees before anything is queued."""

import base64
import contextlib
import hashlib
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from models_registry.artifacts.metadata import IMAGE_CLASSIFICATION, TASK_TYPES, TEXT_CLASSIFICATION
from models_registry.inputs import (
    SYSTEM_FILES,
    Columns,
    Corrections,
    DataError,
    Limits,
    Row,
    TableReader,
    find_columns_of,
    open_table,
)

from .archive_plans import ArchivePlan
from .duplicates import Copies, DuplicateCounter
from .examples import LeftOut, Progress, Unreadable
from .images import iter_image_archive, open_by_name, thumbnail
from .labels import tell_alike, why_no_classes
from .language import LanguageSample, describe_unknown
from .left_out import FEWEST, Reasons, leave_out_small, of_small_classes
from .near_copies import TextSketches, bundle_photos
from .split import Bundled, bundle, given_split
from .texts import iter_rows

SMALL_CLASS = 10  # examples; below it the validation of a class says little
LISTED = 50  # names of one kind that a report lists
NAMED = 10  # classes that share a problem and are named
SAMPLES = 3  # of each class
COMPARED = 100_000  # examples among which near copies are looked for
REMEMBERED = 50_000  # examples among which copies in other classes are found by name
CONFLICTS = 3  # that are named
CONFLICT_CHARS = 60  # of a name or a text among them
SAMPLE_CHARACTERS = 200
PICTURED = 24  # classes of which the report holds thumbnails
THUMBNAIL = 96  # pixels
TRAIN_SHARE = 0.7  # of the split that leakage is counted for, the default one
SEEN_CHARS = 1_000  # of a text: 256 tokens, in English four characters each
IMBALANCED = 10  # times the examples of the smallest class


@dataclass
class DataReport:
    """What was found; `problems` forbid training, `warnings` do not. Sizes in bytes.

    `leaking` is how many validation examples may expect an exact copy in the training part at a split of 70 : 30, if
    each were drawn on its own. `near_copies` counts the examples beyond the first of each bundle of copies and near
    copies, of the first 100,000; `groups` counts the groups that are named.
    `columns` are a table's, as they were found, "split" only where its parts are used; `thumbnails` are base64
    JPEGs by class. `left_out` has the files of an archive that are no examples: for each reason their number and the
    first names. `validation` is how many examples the data set's own validation part has, when it is used; `test`
    counts those of its test part, which are in no other figure. `language` is that of most texts: its ISO 639
    `code`, its `name` in English and the `share` of texts that are in it (0…1); empty where none is found.
    """

    task_type: str
    bytes: int
    sha256: str
    classes: dict[str, int]
    examples: int
    columns: dict[str, str] = field(default_factory=dict)
    unreadable: list[dict[str, str]] = field(default_factory=list)
    unreadable_count: int = 0
    left_out: list[dict[str, Any]] = field(default_factory=list)
    validation: int = 0
    test: int = 0
    duplicates: int = 0
    conflicting_duplicates: int = 0
    leaking: int = 0
    near_copies: int = 0
    groups: int = 0
    majority_baseline: float = 0.0
    imbalance: float = 1.0
    samples: dict[str, list[str]] = field(default_factory=dict)
    thumbnails: dict[str, list[str]] = field(default_factory=dict)
    language: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, object]:
        """Return the report as plain data."""
        return asdict(self)


class _Example(NamedTuple):
    """A usable example as the report counts it; `digest` stands for the content, `look` shows near copies.

    That is a photo's sketch or a whole text. `group` is one that the data name.
    """

    name: str
    label: str
    digest: bytes
    part: str = ""
    look: bytes | str = b""
    group: str = ""


def build_report(
    path: Path,
    *,
    task_type: str,
    columns: dict[str, str],
    corrections: Corrections | None = None,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> DataReport:
    """Read a data set once, in bounded memory. Raises `DataError` when it cannot be read at all.

    `columns` are those that were named, or found before; `corrections` hold against what would be guessed.
    `progress` is told of each example how many have been read, of how many (0: not known).
    """
    limits, corrections = limits or Limits(), corrections or Corrections()
    source = _open_source(path, task_type, columns, corrections, limits, progress)
    seen = _Seen(limits)
    for example in source.examples():
        seen.add(example)
    seen.settle_parts()
    report = _count(path, task_type, seen)
    source.describe(report, seen)
    if report.problems:
        return report
    copies = seen.counter.copies(TRAIN_SHARE)
    gone = _leave_out_small_classes(report, copies, corrections)
    bundled = seen.bundling.bundled()
    report.near_copies, report.groups = seen.bundling.near_copies(bundled), seen.bundling.named
    report.validation = seen.given.used(gone, bundled.groups)
    report.warnings += [*seen.given.notes, *_test_notes(report, seen.tests)]
    _judge(report, copies, limits, seen.conflicts)
    report.warnings += _bundle_notes(report, sorted(set(bundled.loosened) - gone))
    _judge_unreadable(report, sorted(seen.unreadable.labels - seen.counter.counts.keys()))
    return report


def _open_source(
    path: Path,
    task_type: str,
    columns: dict[str, str],
    corrections: Corrections,
    limits: Limits,
    progress: Progress | None,
) -> "_Archive | _Table":
    """Return what reads the examples of a task. Raises `DataError`."""
    if task_type == IMAGE_CLASSIFICATION:
        return _Archive(path, corrections, limits, progress)
    if task_type == TEXT_CLASSIFICATION:
        reader = open_table(path, limits, corrections)
        return _Table(reader, find_columns_of(reader, {**corrections.columns, **columns}), progress)
    raise DataError(f"{task_type!r} is no task. Known: {', '.join(TASK_TYPES)}.")


def _count(path: Path, task_type: str, seen: "_Seen") -> DataReport:
    """Return the report of what was seen, without conclusions."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    counts, names = seen.counter.counts, seen.samples.names
    return DataReport(
        task_type=task_type,
        bytes=path.stat().st_size,
        sha256=digest,
        classes=dict(sorted(counts.items())),
        examples=counts.total(),
        unreadable=seen.unreadable.listed,
        unreadable_count=seen.unreadable.count,
        left_out=[reason.to_json() for reason in seen.left_out.listed()],
        samples={label: [name[:SAMPLE_CHARACTERS] for name in some] for label, some in names.items()},
    )


class _Archive:
    """Photos in an archive."""

    def __init__(
        self, path: Path, corrections: Corrections, limits: Limits, progress: Progress | None
    ) -> None:
        self._path, self._corrections = path, corrections
        self._limits, self._progress = limits, progress
        self._plans: list[ArchivePlan] = []
        self._of_several = Reasons()

    def examples(self) -> Iterator[_Example | Unreadable]:
        """Yield every example."""
        images = iter_image_archive(
            self._path,
            self._limits,
            corrections=self._corrections,
            progress=self._progress,
            planned=self._plans.append,
        )
        for image in images:
            if isinstance(image, Unreadable):
                yield image
            else:
                if image.has_more:
                    self._of_several.add("several", [image.name])
                digest = bytes.fromhex(image.sha256)
                yield _Example(image.name, image.label, digest, image.part, image.sketch, image.group)

    def describe(self, report: DataReport, seen: "_Seen") -> None:
        """Add what is to be said of the archive; called when all examples were read."""
        report.thumbnails = _thumbnails(self._path, self._corrections, seen.samples.names)
        for plan in self._plans:
            report.left_out = [
                {"reason": reason, "count": count, "names": names} for reason, count, names in plan.left_out
            ]
            report.warnings += [*plan.notes, *_left_out(report)]
        for _, number, names in self._of_several.listed():
            named = ", ".join(names) + (" …" if number > len(names) else "")
            report.warnings.append(
                f"Images of several pages or frames: {number:,} ({named}). Of each the first is seen; save "
                "the others as files of their own when they matter."
            )


class _Table:
    """Texts in a table."""

    def __init__(self, reader: TableReader, columns: Columns, progress: Progress | None) -> None:
        self._reader, self._columns, self._progress = reader, columns, progress
        self._lengths, self._sample = _Lengths(), LanguageSample()

    def examples(self) -> Iterator[_Example | Unreadable | LeftOut]:
        """Yield every example."""
        for done, row in enumerate(iter_rows(self._reader, self._columns), start=1):
            if self._progress is not None:
                self._progress(done, 0)
            if not isinstance(row, Row):
                yield row
            else:
                self._lengths.add(row.text)
                self._sample.add(row.text)
                digest = hashlib.blake2b(row.text.encode(), digest_size=8).digest()
                yield _Example(
                    row.text[:SAMPLE_CHARACTERS], row.label, digest, row.also[0], row.text, row.also[1]
                )

    def describe(self, report: DataReport, seen: "_Seen") -> None:
        """Add what is to be said of the table; a problem where its labels are none."""
        report.columns = {"input": self._columns.text, "label": self._columns.label}
        if self._columns.split and seen.has_train:
            report.columns["split"] = self._columns.split
        elif self._columns.split:
            report.warnings.append(
                f"The column {self._columns.split!r} names no training part: all rows are trained on together."
            )
        report.warnings += [*self._reader.notes, *_left_out(report), *self._lengths.warnings()]
        if language := self._sample.language():
            report.language = asdict(language)
            report.warnings += [words for words in [describe_unknown(language)] if words]
        if reason := why_no_classes(report.classes):
            report.problems.append(reason)
        elif alike := tell_alike(report.classes):
            report.warnings.append(alike)


class _Seen:
    """All that is kept of the examples, in bounded memory."""

    def __init__(self, limits: Limits) -> None:
        self.counter = DuplicateCounter(limits)
        self.samples = _Samples()
        self.unreadable = _UnreadableList(limits)
        self.given = _GivenSplit()
        self.conflicts = _Conflicts()
        self.bundling = _Bundling()
        self.tests: list[_Example] = []
        self.has_train = False
        self.left_out = Reasons()

    def add(self, example: _Example | Unreadable | LeftOut) -> None:
        if isinstance(example, Unreadable):
            self.unreadable.add(example)
            return
        if isinstance(example, LeftOut):
            self.left_out.add(example.reason, [example.name])
            return
        if example.part == "test":
            self.tests.append(example)
        else:
            self.has_train = self.has_train or example.part != "valid"
            self._count(example)

    def settle_parts(self) -> None:
        """Train on all examples where the split that they bring has no training part."""
        if not self.has_train:
            tests, self.tests = self.tests, []
            for example in tests:
                self._count(example._replace(part=""))

    def _count(self, example: _Example) -> None:
        self.bundling.add(example)
        example = example._replace(look=b"")
        self.conflicts.add(example)
        self.counter.add(example.label, example.digest)
        self.samples.add(example)
        self.given.add(example)


class _Lengths:
    """How many texts are longer than what an encoder sees of them."""

    def __init__(self) -> None:
        self._long = 0

    def add(self, text: str) -> None:
        self._long += len(text) > SEEN_CHARS

    def warnings(self) -> Iterator[str]:
        """Yield what to say of them."""
        if self._long:
            yield (
                f"Texts of more than {SEEN_CHARS:,} characters: {self._long:,}. An encoder reads about the first "
                f"{SEEN_CHARS:,} characters of each; put what tells the classes apart "
                "at the beginning."
            )


class _Conflicts:
    """The first examples that stand in two classes, among as many examples as can be remembered."""

    def __init__(self) -> None:
        self._first: dict[bytes, _Example] = {}
        self.shown: list[str] = []

    def add(self, example: _Example) -> None:
        if len(self._first) < REMEMBERED:
            other = self._first.setdefault(example.digest, example)
        else:
            other = self._first.get(example.digest, example)
        if other.label != example.label and len(self.shown) < CONFLICTS:
            first, second = other.name[:CONFLICT_CHARS], example.name[:CONFLICT_CHARS]
            both = repr(first) if first == second else f"{first!r} and {second!r}"
            self.shown.append(f"{both} ({other.label}, {example.label})")


class _Samples:
    """The first few examples of each class, by name."""

    def __init__(self) -> None:
        self.names: dict[str, list[str]] = {}

    def add(self, example: _Example) -> None:
        shown = self.names.setdefault(example.label, [])
        if len(shown) < SAMPLES:
            shown.append(example.name)


class _Bundling:
    """What shows which examples stay together; of more than are compared it knows the exact copies alone."""

    def __init__(self) -> None:
        self._labels: list[str] = []
        self._digests: list[bytes] = []
        self._sketches: list[bytes] = []
        self._texts = TextSketches()
        self._groups: list[str] = []
        self._count = 0

    def add(self, example: _Example) -> None:
        self._count += 1
        if self._count > COMPARED:
            return
        self._labels.append(example.label)
        self._digests.append(example.digest)
        self._groups.append(example.group)
        if isinstance(example.look, str):
            self._texts.add(example.look)
        else:
            self._sketches.append(example.look)

    @property
    def named(self) -> int:
        """How many groups the data name."""
        return len(set(self._groups) - {""})

    def bundled(self) -> Bundled:
        """Return the groups of the first examples; where the data name groups, these alone."""
        if self.named:
            pairs = zip(self._groups, self._digests, strict=True)
            return Bundled(tuple(group or ("", digest) for group, digest in pairs), ())
        numbers = bundle_photos(self._sketches) if self._sketches else self._texts.bundles()
        return bundle(self._labels, self._digests, numbers.tolist())

    def near_copies(self, bundled: Bundled) -> int:
        """Return how many examples are beyond the first of their bundle; 0 where groups are named."""
        return 0 if self.named else len(bundled.groups) - len(set(bundled.groups))


class _GivenSplit:
    """The examples of a data set that brings a validation part of its own."""

    def __init__(self) -> None:
        self._examples: list[tuple[int, _Example]] = []
        self._count = 0
        self.notes: list[str] = []

    def add(self, example: _Example) -> None:
        if example.part:
            self._examples.append((self._count, example._replace(name="")))
        self._count += 1

    def used(self, left_out: set[str], groups: Sequence[Hashable]) -> int:
        """Return the size of the validation part; 0 when it is not used. Sets `notes`.

        `groups` are those of the first examples; further ones are known by their content.
        """
        kept = [(place, example) for place, example in self._examples if example.label not in left_out]
        examples = [example for _, example in kept]
        if not any(example.part == "valid" for example in examples):
            return 0
        numbers = {label: number for number, label in enumerate(sorted({e.label for e in examples}))}
        split = given_split(
            [example.part for example in examples],
            [numbers[example.label] for example in examples],
            [groups[place] if place < len(groups) else example.digest for place, example in kept],
        )
        if split is None:
            self.notes.append(
                "The data's own validation part is not used, since it and the training part do not both have every "
                "class. All examples are split anew."
            )
            return 0
        count = len(split.validation)
        copies = sum(example.part == "valid" for example in examples) - count
        more = f" Copies of training examples in it, which do not count: {copies:,}." if copies else ""
        self.notes.append(
            f"The data's own validation part is used: {count:,} examples. The split that is set does not matter.{more}"
        )
        return count


class _UnreadableList:
    """The examples that are left out: all counted, the first ones listed, their classes noted."""

    def __init__(self, limits: Limits) -> None:
        self._most_labels = limits.max_classes
        self.count = 0
        self.listed: list[dict[str, str]] = []
        self.labels: set[str] = set()

    def add(self, example: Unreadable) -> None:
        self.count += 1
        if example.label and len(self.labels) < self._most_labels:
            self.labels.add(example.label)
        if len(self.listed) < LISTED:
            self.listed.append({"name": example.name, "reason": example.reason})


def _test_notes(report: DataReport, tests: Sequence[_Example]) -> Iterator[str]:
    """Yield what to say of the test part, which is left alone until the model is finished. Sets its size."""
    counts = Counter(example.label for example in tests)
    unknown = sorted(counts.keys() - report.classes.keys())
    report.test = sum(count for label, count in counts.items() if label in report.classes)
    if report.test:
        yield (
            f"The data's own test part is kept apart: {report.test:,} examples. Nothing is learnt from them; the "
            "finished model is measured on them."
        )
    if unknown:
        yield (
            f"Classes of which only the test part has enough examples: {_named(unknown)}. The model cannot know "
            "them, so they are left out."
        )


def _bundle_notes(report: DataReport, lookalikes: Sequence[str]) -> Iterator[str]:
    """Yield what to say of examples that stay together."""
    if report.groups:
        yield f"There are {report.groups:,} groups; each stays on one side of the split."
    if report.near_copies > report.duplicates:
        kind = "the same photo under other exposures or in other sizes"
        if report.task_type == TEXT_CLASSIFICATION:
            kind = "texts that differ by a word or a number"
        share = f"{100 * report.near_copies / max(1, report.examples):.0f} %"
        yield (
            f"Near copies of other examples, such as {kind}: {report.near_copies:,} ({share}), exact ones included. "
            "They stay on one side of the split, so that the accuracy is that on new examples; different ones would "
            "teach the model more."
        )
    if lookalikes:
        yield (
            f"All examples of these classes are near copies of one another: {_named(lookalikes)}. What is measured of "
            "them says little of new examples. Add different ones."
        )


def _thumbnails(path: Path, corrections: Corrections, samples: dict[str, list[str]]) -> dict[str, list[str]]:
    shown: dict[str, list[str]] = {}
    with open_by_name(path, corrections=corrections) as read:
        for label, names in sorted(samples.items())[:PICTURED]:
            for name in names:
                with contextlib.suppress(Exception):  # damaged EXIF: an image that is good, but not for show
                    small = thumbnail(read(name), THUMBNAIL)
                    shown.setdefault(label, []).append(base64.b64encode(small).decode())
    return shown


def _left_out(report: DataReport) -> Iterator[str]:
    """Tell of the files that are left out; of those of operating systems nobody needs to hear."""
    for group in report.left_out:
        if group["reason"] != SYSTEM_FILES:
            names, more = ", ".join(group["names"]), " …" if group["count"] > len(group["names"]) else ""
            yield f"Left out, {group['reason']}: {group['count']:,} ({names}{more})."


def _leave_out_small_classes(report: DataReport, copies: Copies, corrections: Corrections) -> set[str]:
    """Leave out the classes that are too small, as was asked for or to be validated; returns their names."""
    small, lone = leave_out_small(report.classes, copies.distinct, corrections)
    least = corrections.min_examples or 0
    if small:
        report.warnings.append(
            f"Classes with fewer than {least:,} examples, which are left out: {_named(sorted(small))}."
        )
    if lone:
        report.warnings.append(
            f"Classes with fewer than {FEWEST} different examples, which are left out: {_named(sorted(lone))}. "
            "Add examples to have them trained."
        )
    for fewest, labels in ((least, small), (FEWEST, lone)):
        if labels:
            count = sum(report.classes[label] for label in labels)
            names = sorted(labels)[:NAMED]
            report.left_out.append({"reason": of_small_classes(fewest), "count": count, "names": names})
    for label in small | lone:
        report.examples -= report.classes.pop(label)
        report.samples.pop(label, None)
        report.thumbnails.pop(label, None)
        del copies.distinct[label]
    return small | lone


def _judge(report: DataReport, copies: Copies, limits: Limits, conflicts: "_Conflicts") -> None:
    """Draw the conclusions a person would."""
    counts = report.classes
    report.duplicates, report.conflicting_duplicates = copies.duplicates, copies.conflicting
    report.leaking = round(copies.leaking)
    few = [label for label, count in copies.distinct.items() if count < FEWEST]
    report.problems += [
        f"Class {label!r} has fewer than {FEWEST} different examples. Add some, or remove the class."
        for label in few[:NAMED]
    ]
    if len(few) > NAMED:
        report.problems.append(f"So have {len(few) - NAMED:,} more classes.")
    if len(counts) < 2:
        report.problems.append(
            f"There {f'is only one class, {next(iter(counts))!r}' if counts else 'are no readable examples'}; "
            "a classifier needs two classes or more."
        )
        return
    if any(len(name) > limits.max_class_name_chars for name in counts):
        longest = max(counts, key=len)
        report.problems.append(
            f"The name of the class {longest[:40]!r}… has {len(longest):,} characters; a name may have "
            f"{limits.max_class_name_chars}. Shorten it."
        )
    report.majority_baseline = max(counts.values()) / report.examples
    report.imbalance = max(counts.values()) / min(counts.values())
    report.warnings += _warnings(report, conflicts.shown)


def _named(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - NAMED:,} more" if len(labels) > NAMED else ""
    return ", ".join(map(repr, labels[:NAMED])) + more


def _judge_unreadable(report: DataReport, gone: Sequence[str]) -> None:
    """Leave out classes of which nothing can be read where two others remain; else say what is in the way."""
    if gone and len(report.classes) > 1:
        report.warnings.append(
            f"Nothing of these classes can be read, so they are left out: {_named(gone)}. Examples that cannot be "
            "read are listed with the reason; mend them to have these classes trained."
        )
    elif gone:
        report.problems += [
            f"Nothing of class {label!r} can be read. Mend it, or remove the class." for label in gone[:NAMED]
        ]
    if not report.classes and report.unreadable:
        first = report.unreadable[0]
        report.problems.append(f"Nothing can be used. The first: {first['name']}, {first['reason']}.")


def _warnings(report: DataReport, conflicts: Sequence[str]) -> Iterator[str]:
    small = [name for name, count in report.classes.items() if FEWEST <= count < SMALL_CLASS]
    if small:
        more = f" and {len(small) - NAMED:,} more" if len(small) > NAMED else ""
        yield (
            f"Classes with fewer than {SMALL_CLASS} examples: {', '.join(small[:NAMED])}{more}. "
            "Their accuracy is little more than a guess; add examples if you can."
        )
    if report.unreadable_count:
        yield (
            f"Examples that cannot be read and are left out: {report.unreadable_count:,}. They are listed below; "
            "mend and upload again when they matter."
        )
    if report.duplicates:
        known = f"; drawn singly, about {report.leaking:,} of the validation part would be known already"
        yield (
            f"Exact copies of other examples: {report.duplicates:,}. Nothing needs to be done: copies "
            f"stay on one side of the split{known if report.leaking else ''}."
        )
    if report.conflicting_duplicates:
        yield (
            f"Examples that stand in more than one class: {report.conflicting_duplicates}. Decide for one class: "
            "a model gives the same answer to all copies."
            f"{' Such are ' + '; '.join(conflicts) + '.' if conflicts else ''}"
        )
    if report.imbalance > IMBALANCED:
        yield (
            f"The largest class has {report.imbalance:.0f} times the examples of the smallest, so the small ones "
            "are easily overlooked. Add examples of these, or switch on class weights."
        )
