"""What an import plan is: what becomes of each file of an archive, and why."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from .names import (
    DEEPEST,
    NAMED,
    Part,
    Parts,
    are_pieces,
    is_hidden_file,
    is_no_photo,
    path_of,
)

SYSTEM_FILES = "files of an operating system or a program"
NO_PHOTOS = "files that are no photos"
OUTSIDE = "photos outside the class folders"
TEST_PART = "photos of the test part without a class, which nothing can be measured on"
UNLABELLED = "photos without a label in the table"
NOT_WANTED = "photos of classes that are left out"
LAYOUT = "Make one folder for each class with its photos inside, and zip these folders."


class Entry(NamedTuple):
    """A file or an empty folder, by its name in the archive with "/" between folders."""

    name: str
    size: int = 0
    is_folder: bool = False


class Placed(NamedTuple):
    """A file that becomes an example: its place among the entries, its class and its part of the split."""

    place: int
    label: str
    part: Part


@dataclass(frozen=True)
class ImportPlan:
    """What becomes of each entry; indices are those of the entries.

    Each file is once in `examples`, in `tests` (those of a test part, which nothing is learnt from) or in `left_out`
    (with the reason); folders are in none. `notes` are doubts, for people. `problem` says why there is nothing to
    train on; `is_flat` that a table with the labels, one of `tables`, would do. `labels_from` is the table that the
    labels are those of, `columns` are its columns and `label_columns` those that may hold the labels, where that is not
    clear.
    """

    examples: tuple[Placed, ...] = ()
    left_out: Mapping[int, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    problem: str = ""
    is_flat: bool = False
    tables: tuple[int, ...] = ()
    tests: tuple[Placed, ...] = ()
    labels_from: str = ""
    columns: tuple[str, ...] = ()
    label_columns: tuple[str, ...] = ()

    def with_notes(self, *notes: str) -> "ImportPlan":
        """Return the plan with further doubts ahead of its own."""
        return replace(self, notes=(*notes, *self.notes))

    @property
    def wants_labels(self) -> bool:
        """Whether a table beside the photos may know their classes: they lie in no class folders, or all in one.

        So it may where the folders are called as pieces of one are: photos_1, photos_2.
        """
        return self.is_flat or (bool(self.tables) and (len(self.classes) == 1 or are_pieces(self.classes)))

    @property
    def classes(self) -> dict[str, int]:
        """Return how many files each class has, sorted by name."""
        return dict(sorted(Counter(placed.label for placed in self.examples).items()))

    @property
    def parts(self) -> dict[Part, int]:
        """Return how many examples each part of a given split has."""
        return dict(Counter(placed.part for placed in self.examples))


def photos_of(entries: Sequence[Entry]) -> tuple[dict[int, Parts], dict[int, str]]:
    """Return the paths of the files that may be photos, and the others with the reason."""
    photos: dict[int, Parts] = {}
    left_out: dict[int, str] = {}
    for index, entry in enumerate(entries):
        parts = path_of(entry.name)
        if entry.is_folder or not parts:
            if not entry.is_folder:
                left_out[index] = SYSTEM_FILES
        elif len(parts) > DEEPEST:
            left_out[index] = OUTSIDE
        elif is_hidden_file(parts):
            left_out[index] = SYSTEM_FILES
        elif is_no_photo(entry.name):
            left_out[index] = NO_PHOTOS
        else:
            photos[index] = parts
    return photos, left_out


def reasons(entries: Sequence[Entry], plan: ImportPlan) -> Iterator[tuple[str, int, list[str]]]:
    """Yield each reason for leaving out files with their number and the first names."""
    names: dict[str, list[str]] = defaultdict(list)
    counts: Counter[str] = Counter()
    for index in sorted(plan.left_out):
        reason = plan.left_out[index]
        counts[reason] += 1
        if len(names[reason]) < NAMED:
            names[reason].append(entries[index].name)
    for reason, count in counts.most_common():
        yield reason, count, names[reason]
