"""What a report reads: photos in an archive, texts in a table."""

import base64
import contextlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

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

from ..archive_plans import ArchivePlan
from ..examples import LeftOut, Progress, Unreadable
from ..images import iter_image_archive, open_by_name, thumbnail
from ..labels import tell_alike, why_no_classes
from ..language import LanguageSample, describe_unknown
from ..left_out import Reasons
from ..texts import iter_rows
from .document import DataReport
from .seen import Example, Lengths, Seen

SAMPLE_CHARACTERS = 200
PICTURED = 24  # classes of which the report holds thumbnails
THUMBNAIL = 96  # pixels


def open_source(
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


class _Archive:
    """Photos in an archive."""

    def __init__(
        self, path: Path, corrections: Corrections, limits: Limits, progress: Progress | None
    ) -> None:
        self._path, self._corrections = path, corrections
        self._limits, self._progress = limits, progress
        self._plans: list[ArchivePlan] = []
        self._of_several = Reasons()

    def examples(self) -> Iterator[Example | Unreadable]:
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
                yield Example(image.name, image.label, digest, image.part, image.sketch, image.group)

    def describe(self, report: DataReport, seen: Seen) -> None:
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
        self._lengths, self._sample = Lengths(), LanguageSample()

    def examples(self) -> Iterator[Example | Unreadable | LeftOut]:
        """Yield every example."""
        for done, row in enumerate(iter_rows(self._reader, self._columns), start=1):
            if self._progress is not None:
                self._progress(done, 0)
            if not isinstance(row, Row):
                yield row
            else:
                self._lengths.add(row.text)
                self._sample.add(row.text)
                # Texts are compared within this report only, and Python's own hash takes a tenth of the time of others.
                digest = hash(row.text).to_bytes(8, "big", signed=True)
                yield Example(
                    row.text[:SAMPLE_CHARACTERS], row.label, digest, row.also[0], row.text, row.also[1]
                )

    def describe(self, report: DataReport, seen: Seen) -> None:
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
