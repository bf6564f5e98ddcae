"""What is kept of the examples while they are read, in bounded memory."""

from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

from models_registry.inputs import Limits

from ..duplicates import DuplicateCounter
from ..examples import LeftOut, Unreadable
from ..left_out import Reasons
from ..near_copies import TextSketches, bundle_photos
from ..split import Bundled, bundle, given_split

LISTED = 50  # unreadable examples that a report lists
SAMPLES = 3  # of each class
COMPARED = 100_000  # examples among which near copies are looked for
REMEMBERED = 50_000  # examples among which copies in other classes are found by name
CONFLICTS = 3  # that are named
CONFLICT_CHARS = 60  # of a name or a text among them
SEEN_CHARS = 1_000  # of a text: the 256 tokens that encoders read at a time, in English four characters each


class Example(NamedTuple):
    """A usable example as the report counts it; `digest` stands for the content, `look` shows near copies.

    That is a photo's sketch or a whole text. `group` is one that the data name.
    """

    name: str
    label: str
    digest: bytes
    part: str = ""
    look: bytes | str = b""
    group: str = ""


class Seen:
    """All that is kept of the examples, in bounded memory."""

    def __init__(self, limits: Limits) -> None:
        self.counter = DuplicateCounter(limits)
        self.samples = _Samples()
        self.unreadable = _UnreadableList(limits)
        self.given = _GivenSplit()
        self.conflicts = Conflicts()
        self.bundling = _Bundling()
        self.tests: list[Example] = []
        self.has_train = False
        self.left_out = Reasons()

    def add(self, example: Example | Unreadable | LeftOut) -> None:
        """Count an example, or note why there is none."""
        if isinstance(example, Unreadable):
            self.unreadable.add(example)
        elif isinstance(example, LeftOut):
            self.left_out.add(example.reason, [example.name])
        elif example.part == "test":
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

    def _count(self, example: Example) -> None:
        self.bundling.add(example)
        self.conflicts.add(example)
        self.counter.add(example.label, example.digest)
        self.samples.add(example)
        self.given.add(example)


class Lengths:
    """How many texts are longer than what an encoder reads at a time, and how much of them that is."""

    def __init__(self) -> None:
        self._long = self._characters = 0

    def add(self, text: str) -> None:
        """Look at one text."""
        if len(text) > SEEN_CHARS:
            self._long += 1
            self._characters += len(text)

    @property
    def _share(self) -> float:
        """Return how much of the long texts their beginnings are, in percent."""
        return 100 * SEEN_CHARS * self._long / self._characters

    def warnings(self) -> Iterator[str]:
        """Yield what to say of them."""
        if self._long:
            yield (
                f"Texts of more than {SEEN_CHARS:,} characters: {self._long:,}. A network reads about so many at a "
                f"time, the beginning, which is {self._share:.0f} % of these texts, or the mean of a few such windows "
                "where that is better. Words and parts of words are learnt from the whole texts."
            )


class Conflicts:
    """The first examples that stand in two classes, among as many examples as can be remembered."""

    def __init__(self) -> None:
        self._first: dict[bytes, tuple[str, str]] = {}  # the name and the class of each content
        self.shown: list[str] = []

    def add(self, example: Example) -> None:
        """Compare an example with those that are remembered."""
        if len(self.shown) == CONFLICTS:
            return
        found = self._first.get(example.digest)
        if found is None:
            if len(self._first) < REMEMBERED:
                self._first[example.digest] = example.name[:CONFLICT_CHARS], example.label
            return
        first, label = found
        if label != example.label:
            second = example.name[:CONFLICT_CHARS]
            both = repr(first) if first == second else f"{first!r} and {second!r}"
            self.shown.append(f"{both} ({label}, {example.label})")


class _Samples:
    """The first few examples of each class, by name."""

    def __init__(self) -> None:
        self.names: dict[str, list[str]] = {}

    def add(self, example: Example) -> None:
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

    def add(self, example: Example) -> None:
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
        self._examples: list[tuple[int, Example]] = []
        self._count = 0
        self.notes: list[str] = []

    def add(self, example: Example) -> None:
        if example.part:
            self._examples.append((self._count, example._replace(name="", look=b"")))
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
