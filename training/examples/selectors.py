"""Reads of examples: pages of bounded size, whatever a project holds, and counts."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from django.db.models import Count, Q, QuerySet

from models_registry.models import Project

from .models import Example

PAGE = 60
IN_DOUBT = Q(doubt__isnull=False, confirmed=False, excluded=False)
SHOW = {"": "All", "doubt": "Labels that look wrong", "excluded": "Excluded"}


@dataclass(frozen=True)
class Wanted:
    """Which examples to show; "" is any. `text` is searched for in texts, and in the names of photos."""

    label: str = ""
    split: str = ""
    show: str = ""
    text: str = ""

    @classmethod
    def of(cls, given: Mapping[str, str]) -> "Wanted":
        """Read the filters of an address; what is unknown is ignored."""
        split, show = given.get("split", ""), given.get("show", "")
        return cls(
            label=given.get("class", ""),
            split=split if split in Example.Split.values else "",
            show=show if show in SHOW else "",
            text=given.get("q", "").strip(),
        )

    def parameters(self) -> dict[str, str]:
        """Return what `of` reads."""
        given = {"class": self.label, "split": self.split, "show": self.show, "q": self.text}
        return {name: value for name, value in given.items() if value}

    def filter(self, project: Project) -> QuerySet[Example]:
        """Return the examples, in no order."""
        rows = Example.objects.filter(project=project)
        if self.label:
            rows = rows.filter(label=self.label)
        if self.split:
            rows = rows.filter(split=self.split)
        if self.show == "doubt":
            rows = rows.filter(IN_DOUBT)
        if self.show == "excluded":
            rows = rows.filter(excluded=True)
        if self.text:
            column = "text" if project.task_type == "textclassification" else "place"
            rows = rows.filter(**{f"{column}__icontains": self.text})
        return rows


@dataclass(frozen=True)
class Page:
    """Some examples, and the cursor of those after them; "" at the end."""

    examples: list[Example]
    after: str


def page_of_examples(project: Project, wanted: Wanted, after: str = "", size: int = PAGE) -> Page:
    """Return a page: what looks wrong by certainty, everything else as it came. Unknown cursors begin anew."""
    rows = wanted.filter(project)
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
