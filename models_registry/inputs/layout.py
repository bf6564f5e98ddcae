"""Which class each photo of an archive belongs to, from the names of its files alone.

People bring class folders inside other folders, split into train and test, among the files that their systems
and tools leave. An import plan says for every file what becomes of it; nothing is read and nothing unpacked.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

Part = Literal["", "train", "valid", "test"]  # of the split that the person has made; "": none
Parts = tuple[str, ...]  # of a path

NAMED = 5  # names in a message
DEEPEST = 20  # folders and the file; nobody nests photos so deep
JUNK_NAMES = """
thumbs.db ehthumbs.db desktop.ini __macosx @eadir #recycle $recycle.bin lost+found .ds_store .localized .trash .trashes
.fseventsd .spotlight-v100 .temporaryitems .documentrevisions-v100 .appledouble .lsoverride .apdisk .directory
.thumbnails .thumb .@__thumb .cache .picasa.ini .picasaoriginals .nomedia .stfolder .stversions .dropbox
.dropbox.cache .tmp.drivedownload .tmp.driveupload .ipynb_checkpoints .git .gitignore .gitattributes .gitkeep .keep
.github .svn .hg .dvc .idea .vscode .venv .env __pycache__ .pytest_cache .mypy_cache .ruff_cache .placeholder
"""
JUNK = frozenset(JUNK_NAMES.split()) | {"system volume information", "icon\r"}
OTHER_SUFFIXES = """
txt md rst rtf log csv tsv json jsonl ndjson xml yaml yml toml ini cfg names data pdf doc docx xls xlsx ods odt ppt
pptx html htm css js py ipynb m mat npy npz pkl pickle h5 hdf5 pt pth onnx pb tflite parquet arrow feather db sqlite
sql sh bat exe dll lnk url webloc zip rar 7z tar gz tgz bz2 xz mp4 mov avi mkv webm m4v 3gp mp3 wav m4a aae xmp thm
cache tfrecord record lst bib tex
"""
NO_PHOTO_SUFFIXES = frozenset(OTHER_SUFFIXES.split())
OTHER_NAMES = "readme license licence copying notice authors changelog citation attribution credits makefile"
NO_PHOTO_NAMES = frozenset(OTHER_NAMES.split())
TABLE_SUFFIXES = frozenset(("csv", "tsv"))
SPLIT_NAMES: tuple[tuple[Part, str], ...] = (
    ("train", "train training trn trainset traindata trainingset entrenamiento entrainement addestramento"),
    ("valid", "val valid validation validate dev eval evaluation valset validierung validacion validazione"),
    ("test", "test testing tst testset testdata holdout pred prediction predict prueba"),
)
SPLIT_WORDS = {word: part for part, words in SPLIT_NAMES for word in words.split()}
FILLER_WORDS = (
    "data set sets dataset datasets image images img imgs photo photos picture pics folder split part"
)
FILLERS = frozenset(FILLER_WORDS.split())
TEACHABLE_MACHINE = re.compile(r".+-!-\d+\.")  # a photo's name in its projects: "Class 1-!-0.jpg"

SYSTEM_FILES = "files of an operating system or a program"
NO_PHOTOS = "files that are no photos"
OUTSIDE = "photos outside the class folders"
TEST_PART = "photos of the test part, which is kept out of training"
UNLABELLED = "photos without a label in the table"
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

    Each file is once in `examples` or in `left_out` (with the reason); folders are in neither. `notes` are
    doubts, for people. `problem` says why there is nothing to train on; `is_flat` that a table with the labels,
    one of `tables`, would do.
    """

    examples: tuple[Placed, ...] = ()
    left_out: Mapping[int, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    problem: str = ""
    is_flat: bool = False
    tables: tuple[int, ...] = ()

    @property
    def classes(self) -> dict[str, int]:
        """Return how many files each class has, sorted by name."""
        return dict(sorted(Counter(placed.label for placed in self.examples).items()))

    @property
    def parts(self) -> dict[Part, int]:
        """Return how many examples each part of a given split has."""
        return dict(Counter(placed.part for placed in self.examples))


TOO_DEEP: Parts = ("",) * (DEEPEST + 1)  # stands for a path that is not looked at


def is_litter(part: str) -> bool:
    """Say whether a file or folder of this name is what systems and programs leave behind."""
    return part.lower() in JUNK or part.startswith("._")


def is_hidden_file(parts: Parts) -> bool:
    """Say whether a file is not meant to be seen. A folder with a dot may be a class: ".NET"."""
    return any(is_litter(part) for part in parts) or parts[-1].startswith(".")


def split_part(name: str) -> Part:
    """Return the part that a folder's name stands for: "seg_train", "Validation", "test_set"; "" for none."""
    found = {SPLIT_WORDS[word] for word in _name_words(name) if word in SPLIT_WORDS}
    return found.pop() if len(found) == 1 else ""


def plan_images(entries: Sequence[Entry]) -> ImportPlan:
    """Plan how the photos of an archive become examples, by the folders in which they lie."""
    photos, left_out = _photos(entries)
    if not photos:
        return ImportPlan(left_out=left_out, problem=_why_nothing(entries, left_out))
    tables = tuple(
        index
        for index, entry in enumerate(entries)
        if left_out.get(index) == NO_PHOTOS and _suffix(entry) in TABLE_SUFFIXES
    )
    root = _without_wrappers(photos)
    below = _below(photos, root)
    kinds = _split_folders(below)
    if kinds:
        examples, notes = _by_split(below, kinds)
    else:
        labelled = {index: parts for index, parts in below.items() if len(parts) > 1}
        examples, notes = _by_class(labelled)
        if not labelled or _are_bare_split_folders(below):
            for index in photos:
                left_out[index] = OUTSIDE
            return ImportPlan(
                left_out=left_out, problem=_why_flat(entries, photos), is_flat=True, tables=tables
            )
    tests = {placed.place for placed in examples if placed.part == "test"}
    if "train" in kinds.values():
        tests |= {index for index, parts in below.items() if kinds.get(parts[0]) == "test" and len(parts) > 1}
    examples = [placed for placed in examples if placed.place not in tests]
    for index in photos.keys() - {placed.place for placed in examples}:
        left_out[index] = TEST_PART if index in tests else OUTSIDE
    notes += _folders_without_photos(entries, photos, root, kinds)
    return ImportPlan(
        examples=tuple(sorted(examples)),
        left_out=left_out,
        notes=(*notes, *_near_names({placed.label for placed in examples})),
        tables=tables,
    )


def plan_labels(entries: Sequence[Entry], rows: Iterable[tuple[str, str]], table: str) -> ImportPlan:
    """Plan photos whose labels stand in a table: (file, label) of each row, from the file called `table`.

    A row's file is a path, a file's name, or one without its suffix. Of equal names the one in the folder that
    is called as the table is meant; else none is.
    """
    photos, left_out = _photos(entries)
    find = _Finder(photos, PurePosixPath(table).stem)
    labels: dict[int, str] = {}
    conflicting: set[int] = set()
    missing = 0
    for name, label in rows:
        index = find(name)
        if index is None or not label.strip():
            missing += 1
        elif labels.setdefault(index, normalised(label.strip())) != normalised(label.strip()):
            conflicting.add(index)
    examples = tuple(Placed(index, labels[index], "") for index in sorted(labels) if index not in conflicting)
    for index in photos.keys() - {placed.place for placed in examples}:
        left_out[index] = UNLABELLED
    notes = _notes_of_labels(table, missing=missing, conflicting=len(conflicting))
    problem = "" if examples else f"No row of {table} names a photo of the archive. {LAYOUT}"
    return ImportPlan(
        examples,
        left_out,
        (*notes, *_near_names(set(labels.values()))),
        problem=problem,
        is_flat=not examples,
    )


def _notes_of_labels(table: str, *, missing: int, conflicting: int) -> list[str]:
    notes = [f"The labels are those of {table}."]
    if missing:
        notes.append(f"Rows of {table} without a photo or a label: {missing:,}.")
    if conflicting:
        notes.append(f"Photos with two labels in {table}, which are left out: {conflicting:,}.")
    return notes


def normalised(name: str) -> str:
    """Return a class's name as it is kept: composed (NFC), so that one word is one class."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def _photos(entries: Sequence[Entry]) -> tuple[dict[int, Parts], dict[int, str]]:
    """Return the paths of the files that may be photos, and the others with the reason."""
    photos: dict[int, Parts] = {}
    left_out: dict[int, str] = {}
    for index, entry in enumerate(entries):
        parts = _path(entry.name)
        if entry.is_folder or not parts:
            if not entry.is_folder:
                left_out[index] = SYSTEM_FILES
        elif len(parts) > DEEPEST:
            left_out[index] = OUTSIDE
        elif is_hidden_file(parts):
            left_out[index] = SYSTEM_FILES
        elif _suffix(entry) in NO_PHOTO_SUFFIXES or parts[-1].lower() in NO_PHOTO_NAMES:
            left_out[index] = NO_PHOTOS
        else:
            photos[index] = parts
    return photos, left_out


def _path(name: str) -> Parts:
    """Return a path's folders and file; folders composed, so that one word is one folder."""
    if name.count("/") > DEEPEST:
        return TOO_DEEP
    *folders, file = [part for part in name.split("/") if part not in ("", ".")] or [""]
    return (*map(normalised, folders), file) if file else ()


def _suffix(entry: Entry) -> str:
    stem, _, suffix = entry.name.rpartition("/")[2].rpartition(".")
    return suffix.lower() if stem else ""


def _below(photos: Mapping[int, Parts], root: Parts) -> dict[int, Parts]:
    return {index: parts[len(root) :] for index, parts in photos.items() if parts[: len(root)] == root}


def _without_wrappers(photos: Mapping[int, Parts]) -> Parts:
    """Return the folder whose folders are the classes or the parts of a split."""
    inside = list(photos.values())
    root: Parts = ()
    while True:
        depth = len(root)
        inside = [parts for parts in inside if len(parts) > depth + 1]
        tops = {parts[depth] for parts in inside}
        if len(tops) != 1:
            return root
        is_loose = any(len(parts) == depth + 2 for parts in inside)
        folders = {parts[depth + 1] for parts in inside if len(parts) > depth + 2}
        if not folders or (is_loose and len(folders) == 1):
            return root  # the only class
        root = (*root, tops.pop())


def _split_folders(below: Mapping[int, Parts]) -> dict[str, Part]:
    """Return the part of each folder that is one of a split; empty when the folders are classes."""
    tops = {parts[0] for parts in below.values() if len(parts) > 1}
    kinds: dict[str, Part] = {top: part for top in tops if (part := split_part(top))}
    with_folders = {parts[0] for parts in below.values() if len(parts) > 2}
    if len(set(kinds.values())) < 2 or not _is_one_dataset(kinds):
        return {}
    if not any(
        top in with_folders for top in kinds if kinds[top] == "train" or "train" not in kinds.values()
    ):
        return {}  # photos lie directly in them
    others = tops - kinds.keys()
    if others and not all(len(_class_names(below, top)) >= 2 for top in kinds if kinds[top] == "train"):
        return {}
    return kinds


def _is_one_dataset(kinds: Mapping[str, Part]) -> bool:
    """Say whether the rest of the folders' names is alike: "seg_train" and "seg_test", no "test tube"."""
    rests = {
        frozenset(word for word in _name_words(top) if word not in SPLIT_WORDS and word not in FILLERS)
        for top in kinds
    }
    return len(rests - {frozenset()}) <= 1


def _name_words(name: str) -> list[str]:
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)]


def _class_names(below: Mapping[int, Parts], top: str) -> set[str]:
    return {parts[1] for parts in below.values() if len(parts) > 2 and parts[0] == top}


def _are_bare_split_folders(below: Mapping[int, Parts]) -> bool:
    """Say whether all photos lie directly in folders called as the parts of a split: no class has a name."""
    folders = {parts[0] for parts in below.values() if len(parts) > 1}
    return (
        all(len(parts) <= 2 for parts in below.values())
        and all(split_part(top) for top in folders)
        and len({split_part(top) for top in folders}) == len(folders)
        and _is_one_dataset({top: split_part(top) for top in folders})
    )


def _by_split(below: Mapping[int, Parts], kinds: Mapping[str, Part]) -> tuple[list[Placed], list[str]]:
    """Place photos by class folders inside the folders of a split; a test part is left out."""
    inner: dict[str, dict[int, Parts]] = {}
    for top in sorted(kinds, key=lambda name: (kinds[name] != "train", name)):
        inside = {i: parts[1:] for i, parts in below.items() if parts[0] == top and len(parts) > 1}
        inner[top] = _without_inner_wrapper(inside, kinds[top], {p for t in inner.values() for p in _tops(t)})
    has_train = "train" in kinds.values()
    examples: list[Placed] = []
    notes: list[str] = []
    for top, inside in inner.items():
        placed, doubts = _by_class({i: parts for i, parts in inside.items() if len(parts) > 1})
        part = kinds[top] if has_train else ""
        examples += [Placed(index, label, part) for index, label, _ in placed]
        notes += [doubt for doubt in doubts if doubt not in notes]
    if not has_train:
        notes.append(f"There is no training part: {_listed(sorted(kinds))} are trained on together.")
    return examples, notes


def _tops(inside: Mapping[int, Parts]) -> set[str]:
    return {parts[0] for parts in inside.values() if len(parts) > 1}


def _without_inner_wrapper(inside: dict[int, Parts], kind: Part, classes: set[str]) -> dict[int, Parts]:
    """Leave out a folder around the class folders of a part: "train/train", "train/images"."""
    while len(tops := _tops(inside)) == 1:
        [top] = tops
        deeper = {i: parts[1:] for i, parts in inside.items() if parts[0] == top and len(parts) > 1}
        if top in classes or not _tops(deeper):
            break
        if any(len(parts) == 1 for parts in deeper.values()) and split_part(top) != kind:
            break
        inside = deeper
    return inside


def _by_class(below: Mapping[int, Parts]) -> tuple[list[Placed], list[str]]:
    """Place photos by their outer folder. Folders of a split inside the classes are heeded."""
    folders: dict[str, set[str]] = defaultdict(set)
    for parts in below.values():
        if len(parts) > 2:
            folders[parts[0]].add(parts[1])
    inner = {name for names in folders.values() for name in names}
    kinds = {name: split_part(name) for name in inner}
    is_split = (
        bool(inner)
        and all(kinds.values())
        and "train" in kinds.values()
        and len(set(kinds.values())) > 1
        and all(len(parts) > 2 for parts in below.values())
    )
    examples = [
        Placed(index, parts[0], kinds[parts[1]] if is_split else "") for index, parts in below.items()
    ]
    other = sorted(inner - folders.keys())
    notes = []
    if other and not is_split:
        notes.append(f"Folders inside class folders belong to the class around them: {_listed(other)}.")
    dotted = sorted(label for label in {parts[0] for parts in below.values()} if label.startswith("."))
    if dotted:
        notes.append(f"Hidden folders with photos are classes, too: {_listed(dotted)}. Remove them if not.")
    return examples, notes


def _folders_without_photos(
    entries: Sequence[Entry], photos: Mapping[int, Parts], root: Parts, kinds: Mapping[str, Part]
) -> list[str]:
    """Tell of folders beside the class folders that no photo lies in: a class vanishes otherwise."""
    full = {parts[:depth] for parts in photos.values() for depth in range(1, len(parts))}
    depth = len(root) + (2 if kinds else 1)
    empty = set()
    for entry in entries:
        parts = _path(entry.name)
        folders = (*parts[:-1], normalised(parts[-1])) if entry.is_folder and parts else parts[:-1]
        place = folders[:depth] if parts is not TOO_DEEP else ()
        is_beside = len(place) == depth and place[: len(root)] == root and place not in full
        if is_beside and not any(map(is_litter, place)) and (not kinds or place[len(root)] in kinds):
            empty.add(place[-1])
    return [f"Folders without photos: {_listed(sorted(empty))}. They are no classes."] if empty else []


def _near_names(labels: set[str]) -> list[str]:
    """Tell of classes whose names differ only in case, blanks or hyphens."""
    near: dict[str, list[str]] = defaultdict(list)
    for label in sorted(labels):
        key = " ".join(re.split(r"[\s_\-]+", unicodedata.normalize("NFKC", label).casefold())).strip()
        near[key].append(label)
    groups = [f"{' and '.join(map(repr, names))}" for names in near.values() if len(names) > 1]
    if not groups:
        return []
    return [
        f"Classes whose names differ only in case, blanks or hyphens: {_listed(groups)}. "
        "They are kept apart; when they are the same, put their photos into one folder."
    ]


def _why_nothing(entries: Sequence[Entry], left_out: Mapping[int, str]) -> str:
    others = [entry for index, entry in enumerate(entries) if left_out.get(index) == NO_PHOTOS]
    if not others:
        return f"The archive holds no files. Put the images into it. {LAYOUT}"
    kinds = Counter(f".{_suffix(entry)}" if _suffix(entry) else "others" for entry in others)
    if kinds[".zip"] and kinds[".zip"] >= len(others) - 2:
        inner = _listed([entry.name for entry in others if _suffix(entry) == "zip"])
        return f"The archive holds other zips ({inner}) and no photos. Unpack these. {LAYOUT}"
    found = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common(NAMED))
    return f"The archive holds no photos (found: {found}). {LAYOUT}"


def _why_flat(entries: Sequence[Entry], photos: Mapping[int, Parts]) -> str:
    """Say what a person can do whose photos lie in no class folders."""
    if any(TEACHABLE_MACHINE.match(parts[-1]) for parts in photos.values()):
        return (
            "This is a project of Teachable Machine, whose photos lie in no class folders. There, choose "
            f"'Download samples' for each class and unpack these. {LAYOUT}"
        )
    where = sorted({"/".join(parts[:-1]) for parts in photos.values()})
    place = (
        "outside folders"
        if where == [""]
        else f"directly in {_listed([name or 'the archive' for name in where])}"
    )
    prefixes = Counter(name_prefix(parts[-1]) for parts in photos.values())
    hint = ""
    if 2 <= len(prefixes) <= len(photos) / 2 and "" not in prefixes:
        hint = f" The file names seem to hold the class: {_listed(sorted(prefixes))}."
    first = next(iter(photos.values()))
    return (
        f"The photos lie {place} ({'/'.join(first)!r} does not lie in a class folder), so their classes are not "
        f"known.{hint} {LAYOUT}"
    )


def name_prefix(file: str) -> str:
    """Return what stands before the number in a file's name: "cat" of "cat_001.jpg"; "" for none."""
    match = re.match(r"^(.*?[^\W\d_])[\s_.\-(]*\d+[\s)]*$", PurePosixPath(file).stem)
    return match[1] if match else ""


class _Finder:
    """Finds a photo by what a table calls it."""

    def __init__(self, photos: Mapping[int, Parts], folder: str) -> None:
        self._paths = {parts: index for index, parts in photos.items()}
        self._photos = photos
        self._folder = folder
        self._names: dict[str, list[int]] = defaultdict(list)
        for index, parts in photos.items():
            for name in {parts[-1], PurePosixPath(parts[-1]).stem}:
                self._names[normalised(name)].append(index)

    def __call__(self, name: str) -> int | None:
        parts = _path(name.strip().replace("\\", "/"))
        if not parts:
            return None
        if parts in self._paths:
            return self._paths[parts]
        found = [
            index
            for index in self._names.get(normalised(parts[-1]), ())
            if len(parts) == 1 or self._photos[index][-len(parts) : -1] == parts[:-1]
        ]
        if len(found) > 1:
            found = [index for index in found if self._folder in self._photos[index][:-1]]
        return found[0] if len(found) == 1 else None


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


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(name[:80] for name in names[:NAMED])
    return f"{shown} and {len(names) - NAMED:,} more" if len(names) > NAMED else shown
