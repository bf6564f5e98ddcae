"""Reads of examples: pages of bounded size, whatever a project holds, and counts."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time

from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet, Sum, Value
from django.db.models.functions import Lower

from models_registry.models import Project

from ..engine.data.manifest import CAMERA, UPLOAD
from .models import Edit, Example

PAGE = 60
EDITS_LOOKED_AT = 10_000
IN_DOUBT = Q(doubt__isnull=False, confirmed=False, excluded=False)
ODD = Q(oddness__isnull=False, confirmed=False, excluded=False)
NEAR_COPY = Q(likeness__isnull=False, excluded=False)
SHOW = {
    "": "All",
    "doubt": "Labels that look wrong",
    "near_copy": "Near copies",
    "odd_one": "Odd ones out",
    "excluded": "Excluded",
    "pending": "Changed since the last training",
    "confirmed": "Looked at by a person",
}
WRONG_LABEL = "wrong_label"  # what programs call "doubt"
FLAGS = {{"doubt": WRONG_LABEL}.get(name, name): words for name, words in SHOW.items() if name}
ACROSS = {"": "All near copies", "class": "In different classes", "split": "In different parts"}
# By what a list is ordered, the most certain first, and then by id; what is not here is listed as it came.
ORDERS = {"doubt": ("doubt",), "near_copy": ("likeness", "near_copy_of"), "odd_one": ("oddness",)}
SOURCES = {UPLOAD: "Uploads", CAMERA: "Camera"}


@dataclass(frozen=True)
class Wanted:
    """Which examples to show; "" is any. `text` is searched for in texts, and in the names of photos.

    `by` and `since` are of the newest change of an example: who made it (a username), and from which day on (UTC).
    `across` is for near copies: those of which another one is in another class, or in another part.
    """

    label: str = ""
    split: str = ""
    show: str = ""
    text: str = ""
    source: str = ""
    by: str = ""
    since: date | None = None
    across: str = ""

    @classmethod
    def of(cls, given: Mapping[str, str]) -> "Wanted":
        """Read the filters of an address; what is unknown is ignored."""
        split, show = given.get("split", ""), given.get("flag") or given.get("show", "")
        show, across = "doubt" if show == WRONG_LABEL else show, given.get("across", "")
        source = given.get("source", "")
        return cls(
            label=given.get("class", ""),
            split=split if split in Example.Split.values else "",
            show=show if show in SHOW else "",
            text=given.get("q", "").strip(),
            source=source if source in SOURCES else "",
            by=given.get("by", ""),
            since=_day(given.get("since", "")),
            across=across if across in ACROSS and show == "near_copy" else "",
        )

    def parameters(self) -> dict[str, str]:
        """Return what `of` reads."""
        given = {"class": self.label, "split": self.split, "show": self.show, "q": self.text}
        given |= {"source": self.source, "by": self.by, "since": self.since.isoformat() if self.since else ""}
        given["across"] = self.across
        return {name: value for name, value in given.items() if value}

    @property
    def is_narrow(self) -> bool:
        """Tell whether more is asked for than class, part and kind: what a page shows without being asked to."""
        return bool(self.source or self.by or self.since)

    @property
    def is_of_findings(self) -> bool:
        """Tell whether what is asked for is what a training finds in its data."""
        return self.show in ORDERS

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
        if self.show == "near_copy":
            rows = rows.filter(NEAR_COPY, _has_copies(self.across), confirmed=False)
        elif self.show:
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
    if show == "odd_one":
        return ODD
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


def _has_copies(across: str) -> Exists:
    """Return the condition that an example's near copies have not all been excluded meanwhile."""
    others = Example.objects.filter(
        NEAR_COPY, project=OuterRef("project"), near_copy_of=OuterRef("near_copy_of")
    )
    if across == "class":
        return Exists(others.exclude(label=OuterRef("label")))
    if across == "split":
        return Exists(others.exclude(split=OuterRef("split")))
    return Exists(others.exclude(pk=OuterRef("pk")))


def near_copies_of(examples: Sequence[Example]) -> dict[str, list[Example]]:
    """Return the members of the groups of near copies that some examples of one project are in, by group."""
    names = {example.near_copy_of for example in examples} - {""}
    found: dict[str, list[Example]] = defaultdict(list)
    if names:
        rows = Example.objects.filter(NEAR_COPY, project=examples[0].project_id, near_copy_of__in=names)
        for example in rows.defer("searched").order_by("id"):
            found[example.near_copy_of].append(example)
    return dict(found)


def further_copies(project: Project, wanted: Wanted) -> QuerySet[Example]:
    """Return the wanted near copies, but the first of each group and class, which stands for the others."""
    before = Example.objects.filter(
        NEAR_COPY,
        project=OuterRef("project"),
        near_copy_of=OuterRef("near_copy_of"),
        label=OuterRef("label"),
        pk__lt=OuterRef("pk"),
    )
    return wanted.filter(project).filter(Exists(before))


@dataclass(frozen=True)
class Page:
    """Some examples, and the cursor of those after them; "" at the end."""

    examples: list[Example]
    after: str


def page_of_examples(project: Project, wanted: Wanted, after: str = "", size: int = PAGE) -> Page:
    """Return a page: what may be wrong by certainty, near copies side by side, everything else as it came.

    Unknown cursors begin anew.
    """
    names = ORDERS.get(wanted.show, ())
    rows = (
        wanted.filter(project)
        .defer("searched")
        .order_by(*(f"-{name}" for name in names[:1]), *names[1:], "id")
    )
    cursor = _cursor(after, names)
    if cursor is not None:
        rows = rows.filter(_beyond(names, cursor))
    found = list(rows[: size + 1])
    if len(found) <= size:
        return Page(found, "")
    last = found[size - 1]
    return Page(found[:size], ":".join([*(str(getattr(last, name)) for name in names), str(last.pk)]))


def is_cursor(text: str, wanted: Wanted) -> bool:
    """Tell whether a text is the cursor of a page of what is wanted: each kind has an order of its own."""
    return _cursor(text, ORDERS.get(wanted.show, ())) is not None


def _beyond(names: Sequence[str], cursor: Sequence[float | str | int]) -> Q:
    """Return the condition that an example comes after a cursor: the first of `names` falls, the others rise."""
    *values, pk = cursor
    beyond = Q(pk__gt=pk)
    for name, value in reversed(list(zip(names[1:], values[1:], strict=True))):
        beyond = Q(**{f"{name}__gt": value}) | Q(beyond, **{name: value})
    if names:
        first, value = names[0], values[0]
        # The second condition is what an index knows to begin at.
        beyond = (Q(**{f"{first}__lt": value}) | Q(beyond, **{first: value})) & Q(**{f"{first}__lte": value})
    return beyond


def _cursor(text: str, names: Sequence[str]) -> list[float | str | int] | None:
    parts = text.split(":")
    if len(parts) != len(names) + 1:
        return None
    try:
        return [*(float(part) for part in parts[:-1][:1]), *parts[1:-1], int(parts[-1])]
    except ValueError:
        return None


@dataclass(frozen=True)
class Counts:
    """How many examples there are: of each class and part those that are not excluded."""

    classes: dict[str, int] = field(default_factory=dict)
    splits: dict[str, int] = field(default_factory=dict)
    excluded: int = 0
    doubts: int = 0
    near_copies: int = 0
    odd_ones: int = 0

    @property
    def total(self) -> int:
        """Return how many are not excluded."""
        return sum(self.classes.values())


def count_examples(project: Project) -> Counts:
    """Count a project's examples, in four queries."""
    rows = Example.objects.filter(project=project)
    classes, splits, excluded = Counter[str](), Counter[str](), 0
    # Of no column that is not in the index: PostgreSQL reads nothing else then.
    groups = rows.order_by().values_list("label", "split", "excluded").annotate(count=Count("*"))
    for label, split, is_excluded, count in groups:
        if is_excluded:
            excluded += count
            classes[label] += 0
        else:
            classes[label] += count
            splits[split] += count
    copies = (
        rows.filter(NEAR_COPY)
        .order_by()
        .values("near_copy_of")
        .annotate(together=Count("pk"), waiting=Count("pk", filter=Q(confirmed=False)))
    )
    return Counts(
        dict(sorted(classes.items())),
        dict(splits),
        excluded,
        doubts=rows.filter(IN_DOUBT).count(),
        near_copies=copies.filter(together__gt=1).aggregate(count=Sum("waiting"))["count"] or 0,
        odd_ones=rows.filter(ODD).count(),
    )
