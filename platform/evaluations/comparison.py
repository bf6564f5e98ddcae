"""Two or more versions side by side, on the examples that none of them has learnt from."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from django.conf import settings

from bucket.files import download
from core.exceptions import InvalidRequest
from models_registry.models import Project
from training.examples.edits import newest_edit

from .held_out import basis_of
from .models import MEASURED_ON, Evaluation, LabelledFile
from .results import Answered, read_answers
from .statistics import Difference, Figures, difference, measure

SHOWN = 60  # examples that versions answer differently


@dataclass(frozen=True)
class Pair:
    """Two versions and what the test says of them; `better` is the number of the one with more right answers."""

    first: int
    second: int
    difference: Difference

    @property
    def better(self) -> int | None:
        """The version with more right answers; None where both have as many."""
        one, other = self.difference.only_first, self.difference.only_second
        return None if one == other else self.first if one > other else self.second

    @property
    def words(self) -> str:
        """What the test says, as a sentence."""
        one, other, p = self.difference.only_first, self.difference.only_second, self.difference.p
        if self.difference.is_beyond_chance and self.better:
            worse = self.second if self.better == self.first else self.first
            return f"Version {self.better} is better than version {worse} beyond chance ({in_words(p)})."
        if not one and not other:
            return f"Versions {self.first} and {self.second} are right about the same examples."
        return f"Versions {self.first} and {self.second}: no difference that could not be chance ({in_words(p)})."


@dataclass(frozen=True)
class Row:
    """An example that versions answer differently: its answers by version."""

    example: Answered
    answers: Mapping[int, Answered]


@dataclass(frozen=True)
class ClassRow:
    """One class: how many examples, and recall and precision by version, 0…1."""

    name: str
    support: int
    recall: Mapping[int, float]
    precision: Mapping[int, float]


@dataclass(frozen=True)
class Comparison:
    """Versions side by side. `left_out` counts examples that only some of the versions could be measured on."""

    versions: tuple[int, ...]
    figures: Mapping[int, Figures]
    pairs: Sequence[Pair]
    classes: Sequence[ClassRow]
    differing: Sequence[Row]
    differ: int
    left_out: int

    @property
    def examples(self) -> int:
        """How many examples it rests on."""
        return next(iter(self.figures.values()))["examples"]


@dataclass(frozen=True)
class Standing:
    """How far a comparison is: the newest evaluation of each version that has one.

    `is_stale`: the examples have been edited since.
    """

    project: Project
    basis: str
    file: LabelledFile | None
    versions: tuple[int, ...]
    evaluations: Mapping[int, Evaluation] = field(default_factory=dict)
    is_stale: bool = False

    @property
    def measured_on(self) -> str:
        """What the versions are measured on, in words."""
        return self.file.name if self.file else MEASURED_ON[self.basis]

    @property
    def is_ready(self) -> bool:
        """Whether all versions are measured on the same examples."""
        found = list(self.evaluations.values())
        is_complete = len(found) == len(self.versions)
        done = all(one.state == Evaluation.State.SUCCEEDED for one in found)
        return is_complete and done and len({one.edit for one in found}) == 1

    @property
    def is_under_way(self) -> bool:
        """Whether a worker is to measure one of them still."""
        return any(not one.is_final for one in self.evaluations.values())

    @property
    def failed(self) -> list[Evaluation]:
        """Those that could not be measured; each says why."""
        ended = (Evaluation.State.FAILED, Evaluation.State.CANCELLED)
        return [one for one in self.evaluations.values() if one.state in ended]


def standing_of(project: Project, versions: Sequence[int], file: LabelledFile | None = None) -> Standing:
    """Return how far a comparison is. Raises `InvalidRequest` for a version that there is not."""
    numbers = tuple(sorted(set(versions)))
    there = set(project.versions.filter(version__in=numbers).values_list("version", flat=True))
    if missing := set(numbers) - there:
        raise InvalidRequest(f"{project.name} has no version {min(missing)}.")
    basis = Evaluation.Basis.FILE if file else basis_of(project)
    rows = Evaluation.objects.of_project(project).filter(basis=basis, file=file, model__version__in=numbers)
    newest: dict[int, Evaluation] = {}
    for row in rows.order_by("id"):
        newest[row.model.version] = row
    is_stale = basis != Evaluation.Basis.FILE and any(
        one.edit != newest_edit(project) for one in newest.values()
    )
    return Standing(project, basis, file, numbers, newest, is_stale)


def compare(standing: Standing) -> Comparison:
    """Return the comparison of versions that are all measured.

    Raises `InvalidRequest` when there is no example that none of them has learnt from, `BucketError`.
    """
    return compare_answers(
        {version: answers_of(standing.evaluations[version]) for version in standing.versions}
    )


def compare_answers(answers: Mapping[int, Sequence[Answered]]) -> Comparison:
    """Return the comparison of versions by their answers. Raises `InvalidRequest` without a common example."""
    tables = {version: {(one.sha256, one.place): one for one in rows} for version, rows in answers.items()}
    every = set[tuple[str, str]]().union(*tables.values())
    common = sorted(set.intersection(*(set(table) for table in tables.values())))
    if not common:
        raise InvalidRequest(
            "There is no example that none of these versions has learnt from. Bring a labelled file to compare them on."
        )
    columns = {version: [table[key] for key in common] for version, table in tables.items()}
    first = next(iter(columns.values()))
    labels, groups = [one.label for one in first], [one.bundle for one in first]
    predicted = {version: [one.predicted for one in rows] for version, rows in columns.items()}
    figures = {version: measure(labels, given, groups) for version, given in predicted.items()}
    pairs = [
        Pair(one, other, difference(labels, predicted[one], predicted[other]))
        for one, other in combinations(columns, 2)
    ]
    differing = [
        place for place, given in enumerate(zip(*predicted.values(), strict=True)) if len(set(given)) > 1
    ]
    rows = [
        Row(first[place], {version: columns[version][place] for version in columns}) for place in differing
    ]
    rows.sort(key=_by_interest)
    return Comparison(
        tuple(columns), figures, pairs, _by_class(figures), rows[:SHOWN], len(rows), len(every) - len(common)
    )


def answers_of(evaluation: Evaluation, *, of: str | None = None) -> list[Answered]:
    """Return the answers of an evaluation that has succeeded; `of` is the SHA-256 of one example, else all.

    Raises `BucketError`, `WrongFile`.
    """
    with tempfile.TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR) as folder:
        path = Path(folder, "answers.parquet")
        download(evaluation.result_key, path, sha256=evaluation.result_sha256, limit=evaluation.result_size)
        return read_answers(path, of=of)


def in_words(p: float) -> str:
    """Return a p-value as people write it."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def _by_interest(row: Row) -> tuple[bool, float]:
    """Let those come first that some version has right, the most certain answers before others."""
    answers = row.answers.values()
    return (not any(one.is_right for one in answers), -max(one.probability for one in answers))


def _by_class(figures: Mapping[int, Figures]) -> list[ClassRow]:
    of = {version: {one["class"]: one for one in found["per_class"]} for version, found in figures.items()}
    first = next(iter(of.values()))
    return [
        ClassRow(
            name,
            row["support"],
            {version: rows[name]["recall"] for version, rows in of.items()},
            {version: rows[name]["precision"] for version, rows in of.items()},
        )
        for name, row in first.items()
    ]
