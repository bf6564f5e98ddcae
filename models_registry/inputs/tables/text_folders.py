"""A zip of text files in a folder for each class."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from ..archives import open_listing, read_member
from ..corrections import Corrections
from ..errors import DataError
from ..layout import Entry, ImportPlan, plan_images
from ..layout.names import listed
from .base import Row, TableReader, row_of
from .encodings import find_encoding
from .several import SPLIT


@dataclass(frozen=True)
class TextFolderReader(TableReader):
    """A zip of text files in a folder for each class, planned as folders of photos are."""

    suffixes: ClassVar[tuple[str, ...]] = ()

    def columns(self) -> list[str]:
        """Return the names that such a table would have."""
        return ["text", "label", SPLIT] if self._plan.parts.keys() - {""} else ["text", "label"]

    def sample(self) -> list[dict[str, str]]:
        """Return the parts of a split, where there is one: what texts are is known."""
        if SPLIT not in self.columns():
            return []
        return [{SPLIT: part} for part in ("train", *self._plan.parts)]

    def rows(self, *, text: str, label: str | None = None, also: Sequence[str] = ()) -> Iterator[Row]:
        """Yield the files, each with its class."""
        examples = sorted((*self._plan.examples, *self._plan.tests))
        with open_listing(self.path, self.limits, self.corrections.name_encoding) as listing:
            for count, placed in enumerate(examples, start=1):
                self.check_count(count)
                member = listing.entries[placed.place]
                content = read_member(listing.archive, member, self.limits)
                encoding = find_encoding([content])
                values = {
                    "text": content.decode(encoding.name, "surrogateescape").removeprefix("\ufeff"),
                    "label": placed.label,
                    SPLIT: placed.part,
                }
                fields = [values[name] for name in (text, label, *also) if name is not None]
                yield row_of(member.filename, fields, also=len(also))

    @cached_property
    def _plan(self) -> ImportPlan:
        """The files by their folders. Raises `DataError` for none."""
        said = self.corrections
        own = Corrections(class_level=said.class_level, use_split=said.use_split)
        with open_listing(self.path, self.limits, said.name_encoding) as listing:
            names = [entry.filename for entry in listing.entries]
        found = plan_images([_as_example(name) for name in names], own)
        if found.problem:
            raise DataError(
                "The texts lie in no class folders. Make one folder for each class, and zip these folders."
            )
        outside = [names[place] for place in sorted(found.left_out) if names[place].lower().endswith(".txt")]
        if outside:
            self.note(f"Text files outside the class folders are left out: {listed(outside)}.")
        return found


def _as_example(name: str) -> Entry:
    """Return a file as a plan of photos counts it: a text is one, whatever else there is is none."""
    folder, slash, file = name.rpartition("/")
    stem, _, suffix = file.rpartition(".")
    if stem and suffix.lower() == "txt":
        return Entry(f"{folder}{slash}{stem.replace('.', '_')}")
    return Entry(name if not file else f"{name}.txt", is_folder=not file)
