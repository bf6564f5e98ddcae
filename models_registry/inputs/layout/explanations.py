"""What people are told of an archive: why nothing can be trained, and which classes may be one."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from .names import FILLERS, NAMED, Parts, listed, name_prefix, suffix_of
from .plan import LAYOUT, NO_PHOTOS, Entry

ARCHIVES = frozenset(("zip", "rar", "7z", "tar", "gz", "tgz", "bz2", "xz", "zst"))
TEACHABLE_MACHINE = re.compile(r".+-!-\d+\.")  # a photo's name in its projects: "Class 1-!-0.jpg"


def near_names(labels: set[str]) -> list[str]:
    """Tell of classes whose names differ only in case, blanks or hyphens."""
    near: dict[str, list[str]] = defaultdict(list)
    for label in sorted(labels):
        key = " ".join(re.split(r"[\s_\-]+", unicodedata.normalize("NFKC", label).casefold())).strip()
        near[key].append(label)
    groups = [f"{' and '.join(map(repr, names))}" for names in near.values() if len(names) > 1]
    if not groups:
        return []
    return [
        f"Classes whose names differ only in case, blanks or hyphens: {listed(groups)}. "
        "They are kept apart; when they are the same, put their photos into one folder."
    ]


def why_nothing(entries: Sequence[Entry], left_out: Mapping[int, str]) -> str:
    """Say what an archive without photos holds, and what a person can do."""
    others = [entry for index, entry in enumerate(entries) if left_out.get(index) == NO_PHOTOS]
    if not others:
        return f"The archive holds no files. Put the images into it. {LAYOUT}"
    kinds = Counter(f".{suffix_of(entry.name)}" if suffix_of(entry.name) else "others" for entry in others)
    archives = [entry.name for entry in others if suffix_of(entry.name) in ARCHIVES]
    if archives and len(archives) >= len(others) - 2:
        return f"The archive holds other archives ({listed(archives)}) and no photos. Unpack these. {LAYOUT}"
    found = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common(NAMED))
    return f"The archive holds no photos (found: {found}). {LAYOUT}"


def why_flat(entries: Sequence[Entry], photos: Mapping[int, Parts]) -> str:
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
        else f"directly in {listed([name or 'the archive' for name in where])}"
    )
    prefixes = classes_of_names(photos)
    hint = f" The file names seem to hold the class: {listed(prefixes)}." if prefixes else ""
    first = next(iter(photos.values()))
    return (
        f"The photos lie {place} ({'/'.join(first)!r} does not lie in a class folder), so their classes are not "
        f"known.{hint} {LAYOUT}"
    )


def classes_of_names(photos: Mapping[int, Parts]) -> list[str]:
    """Return the words before the numbers in the photos' names, where there are a few and most photos have one."""
    prefixes = Counter(filter(None, (name_prefix(parts[-1]) for parts in photos.values())))
    is_so = 2 <= len(prefixes) <= prefixes.total() / 2 and 2 * prefixes.total() >= len(photos)
    return sorted(prefixes) if is_so else []


def why_one_folder(photos: Mapping[int, Parts], labels: set[str]) -> str:
    """Say that photos of several classes seem to lie in one folder; "" where it is not so."""
    prefixes = classes_of_names(photos) if len(labels) == 1 else []
    if not prefixes:
        return ""
    return (
        f"All photos lie in one folder, {next(iter(labels))!r}, and the file names seem to hold the class: "
        f"{listed(prefixes)}. {LAYOUT}"
    )


def why_boxes(entries: Sequence[Entry], labels: set[str]) -> str:
    """Say that what lies there are photos with boxes drawn on them, as YOLO keeps them; "" where it is not so."""
    folders = {
        entry.name.rpartition("/")[0].rpartition("/")[2].lower() for entry in entries if is_text(entry.name)
    }
    if "labels" not in folders or not {label.lower() for label in labels} <= FILLERS:
        return ""
    return (
        "This is a data set for object detection: its texts name boxes in the photos, and a classifier needs one class "
        f"for each photo. {LAYOUT}"
    )


def is_text(name: str) -> bool:
    """Say whether a file is a plain text."""
    return suffix_of(name) == "txt"


def why_not_so_deep(photos: Mapping[int, Parts], level: int) -> str:
    """Say that no photo lies at the level whose folders were said to be the classes."""
    deepest = max((len(parts) - 1 for parts in photos.values()), default=0)
    return (
        f"No photo lies in a folder at level {level}. Choose a level from 1 to {deepest}."
        if deepest
        else f"No photo lies in a folder, and none at level {level}. {LAYOUT}"
    )
