"""Reads of examples: pages of bounded size, whatever a project holds, and counts."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time

from django.db.models import Count, Max, Q, QuerySet, Value
from django.db.models.functions import Lower

from models_registry.models import Project

from ..engine.data.manifest import CAMERA, UPLOAD
from .models import Edit, Example

PAGE = 60
EDITS_LOOKED_AT = 10_000
IN_DOUBT = Q(doubt__isnull=False, confirmed=False, excluded=False)
SHOW = {
    "": "All",
    "doubt": "Labels that look wrong",
    "excluded": "Excluded",
    "pending": "Changed since the last training",
    "confirmed": "Looked at by a person",
}
SOURCES = {UPLOAD: "Uploads", CAMERA: "Camera"}


@dataclass(frozen=True)
class Wanted:
    """Which examples to show; "" is any. `text` is searched for in texts, and in the names of photos.

    `by` and `since` are of the newest change of an example: who made it (a username), and from which day on (UTC).
    """

    label: str = ""
    split: str = ""
    show: str = ""
    text: str = ""
    source: str = ""
    by: str = ""
    since: date | None = None

    @classmethod
    def of(cls, given: Mapping[str, str]) -> "Wanted":
        """Read the filters of an address; what is unknown is ignored."""
        split, show, source = given.get("split", ""), given.get("show", ""), given.get("source", "")
        return cls(
            label=given.get("class", ""),
            split=split if split in Example.Split.values else "",
            show=show if show in SHOW else "",
            text=given.get("q", "").strip(),
            source=source if source in SOURCES else "",
            by=given.get("by", ""),
            since=_day(given.get("since", "")),
        )

    def parameters(self) -> dict[str, str]:
        """Return what `of` reads."""
        given = {"class": self.label, "split": self.split, "show": self.show, "q": self.text}
        given |= {"source": self.source, "by": self.by, "since": self.since.isoformat() if self.since else ""}
        return {name: value for name, value in given.items() if value}

    @property
    def is_narrow(self) -> bool:
        """Tell whether more is asked for than class, part and kind: what a page shows without being asked to."""
        return bool(self.source or self.by or self.since)

    def filter(self, project: Project) -> QuerySet[Example]:
        """Return the examples, in no order."""
        rows = Example.objects.filter(project=project)
        if self.label:
            rows = rows.filter(label=self.label)
        if self.split:
            rows = rows.filter(split=self.split)
        if self.source:
            rows = rows.filter(source=self.source)
        if self.by or self.since:
            rows = rows.filter(version__in=self._edits(project))
        if self.show:
            rows = rows.filter(_shown_as(self.show, project))
        if self.text:
            rows = rows.filter(searched__contains=Lower(Value(self.text)))
        return rows

    def _edits(self, project: Project) -> list[int]:
        """Return the numbers of the newest edits that `by` and `since` leave: a list is looked up far faster."""
        edits = Edit.objects.filter(project=project)
        if self.by:
            edits = edits.filter(author__username=self.by)
        if self.since:
            edits = edits.filter(created_at__gte=datetime.combine(self.since, time(), UTC))
        return list(edits.values_list("number", flat=True)[:EDITS_LOOKED_AT])


def _shown_as(show: str, project: Project) -> Q:
    """Return the condition of one of the kinds of `SHOW`."""
    if show == "doubt":
        return IN_DOUBT
    if show == "pending":
        trained = Edit.objects.filter(project=project, revision__isnull=False)
        return Q(version__gt=trained.aggregate(newest=Max("number"))["newest"] or 0)
    return Q(**{show: True})  # of which columns are named


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def authors_of(project: Project) -> list[str]:
    """Return the usernames of those who have changed a project's examples, in order."""
    edits = Edit.objects.filter(project=project, author__isnull=False).order_by("author__username")
    return list(edits.values_list("author__username", flat=True).distinct())


@dataclass(frozen=True)
class Page:
    """Some examples, and the cursor of those after them; "" at the end."""

    examples: list[Example]
    after: str


def page_of_examples(project: Project, wanted: Wanted, after: str = "", size: int = PAGE) -> Page:
    """Return a page: what looks wrong by certainty, everything else as it came. Unknown cursors begin anew."""
    rows = wanted.filter(project).defer("searched")
    by_doubt = wanted.show == "doubt"
    cursor = _cursor(after)
    if by_doubt:
        rows = rows.order_by("-doubt", "id")
        if cursor is not None:
            doubt, pk = cursor
            rows = rows.filter(Q(doubt__lt=doubt) | Q(doubt=doubt, pk__gt=pk), doubt__lte=doubt)
    else:
        rows = rows.order_by("id")
        if cursor is not None:
            rows = rows.filter(pk__gt=cursor[1])
    found = list(rows[: size + 1])
    if len(found) <= size:
        return Page(found, "")
    last = found[size - 1]
    return Page(found[:size], f"{last.doubt if by_doubt else 0!r}:{last.pk}")


def _cursor(text: str) -> tuple[float, int] | None:
    try:
        doubt, pk = text.split(":")
        return float(doubt), int(pk)
    except ValueError:
        return None


@dataclass(frozen=True)
class Counts:
    """How many examples there are: of each class and part those that are not excluded."""

    classes: dict[str, int] = field(default_factory=dict)
    splits: dict[str, int] = field(default_factory=dict)
    excluded: int = 0
    doubts: int = 0

    @property
    def total(self) -> int:
        """Return how many are not excluded."""
        return sum(self.classes.values())


def count_examples(project: Project) -> Counts:
    """Count a project's examples, in two queries."""
    rows = Example.objects.filter(project=project)
    classes, splits, excluded = Counter[str](), Counter[str](), 0
    groups = rows.order_by().values_list("label", "split", "excluded").annotate(count=Count("pk"))
    for label, split, is_excluded, count in groups:
        if is_excluded:
            excluded += count
            classes[label] += 0
        else:
            classes[label] += count
            splits[split] += count
    return Counts(dict(sorted(classes.items())), dict(splits), excluded, rows.filter(IN_DOUBT).count())
