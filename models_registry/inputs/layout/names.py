"""What names of files and folders say: left behind by a program, no photo, a part of a split."""

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Literal

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
txt md rst rtf log csv tsv json jsonl ndjson xml yaml yml toml ini cfg names data pdf doc docx xls xlsx xlsm xlsb ods
ppt pptx tab html htm css js py ipynb m mat npy npz pkl pickle h5 hdf5 pt pth onnx pb tflite parquet arrow feather db
sqlite sql sh bat exe dll lnk url webloc zip rar 7z tar gz tgz bz2 xz mp4 mov avi mkv webm m4v 3gp mp3 wav m4a aae xmp
thm cache tfrecord record lst bib tex odt
"""
NO_PHOTO_SUFFIXES = frozenset(OTHER_SUFFIXES.split())
OF_PHOTOS = "jpg jpeg jpe jfif png webp heic heif hif avif jxl gif bmp dib tif tiff jp2 j2k pbm pgm ppm pnm pfm ico tga"
PHOTO_SUFFIXES = frozenset(OF_PHOTOS.split())
OTHER_NAMES = "readme license licence copying notice authors changelog citation attribution credits makefile"
NO_PHOTO_NAMES = frozenset(OTHER_NAMES.split())
OF_TABLES = "csv tsv tab json jsonl ndjson parquet xlsx xlsm xlsb xls ods"
TABLE_SUFFIXES = frozenset(OF_TABLES.split())
LISTS = re.compile(
    r"(?i).*(label|train|class|annot|list|ground.?truth|target).*\.txt"
)  # of files and their classes
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
PIECE_WORDS = "batch chunk piece parts volume vol dir archive shard section"
PIECES = frozenset(PIECE_WORDS.split())

TOO_DEEP: Parts = ("",) * (DEEPEST + 1)  # stands for a path that is not looked at


def is_litter(part: str) -> bool:
    """Say whether a file or folder of this name is what systems and programs leave behind."""
    return part.lower() in JUNK or part.startswith("._")


def is_hidden_file(parts: Parts) -> bool:
    """Say whether a file is not meant to be seen. A folder with a dot may be a class: ".NET"."""
    return any(is_litter(part) for part in parts) or parts[-1].startswith(".")


def is_no_photo(name: str) -> bool:
    """Say whether a file is of a kind that lies beside photos: a table, a text, a licence."""
    return suffix_of(name) in NO_PHOTO_SUFFIXES or name.rpartition("/")[2].lower() in NO_PHOTO_NAMES


def may_hold_labels(name: str) -> bool:
    """Say whether a file beside photos is of a kind in which their labels may stand."""
    return suffix_of(name) in TABLE_SUFFIXES or bool(LISTS.fullmatch(name.rpartition("/")[2]))


def is_photo(name: str) -> bool:
    """Say whether a file is called as photos are."""
    return suffix_of(name) in PHOTO_SUFFIXES


def split_part(name: str) -> Part:
    """Return the part that a folder's name stands for: "seg_train", "Validation", "test_set"; "" for none."""
    found = {SPLIT_WORDS[word] for word in name_words(name) if word in SPLIT_WORDS}
    return found.pop() if len(found) == 1 else ""


def normalised(name: str) -> str:
    """Return a class's name as it is kept: composed (NFC), so that one word is one class."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def path_of(name: str) -> Parts:
    """Return a path's folders and file; folders composed, so that one word is one folder."""
    if name.count("/") > DEEPEST:
        return TOO_DEEP
    *folders, file = [part for part in name.split("/") if part not in ("", ".")] or [""]
    return (*map(normalised, folders), file) if file else ()


def suffix_of(name: str) -> str:
    """Return what stands behind the last dot of a file's name, in small letters; "" for none."""
    stem, _, suffix = name.rpartition("/")[2].rpartition(".")
    return suffix.lower() if stem else ""


def are_of_one_dataset(kinds: Mapping[str, Part]) -> bool:
    """Say whether the rest of the folders' names is alike: "seg_train" and "seg_test", no "test tube"."""
    rests = {
        frozenset(word for word in name_words(top) if word not in SPLIT_WORDS and word not in FILLERS)
        for top in kinds
    }
    return len(rests - {frozenset()}) <= 1


def are_pieces(names: Collection[str]) -> bool:
    """Say whether folders are numbered pieces of one: "photos_1" and "photos_2", "images_part_1", "batch 03"."""
    stems = {re.sub(r"\d+", "", name) for name in names}
    words = {word for stem in stems for word in name_words(stem)}
    return len(names) > 1 and len(stems) == 1 and bool(words & (FILLERS | PIECES | SPLIT_WORDS.keys()))


def name_words(name: str) -> list[str]:
    """Return the words of a name, in small letters, also those of "trainSet"."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)]


def name_prefix(file: str) -> str:
    """Return what stands before the number in a file's name: "cat" of "cat_001.jpg"; "" for none."""
    match = re.match(r"^(.*?[^\W\d_])[\s_.\-(]*\d+[\s)]*$", PurePosixPath(file).stem)
    return match[1] if match else ""


def listed(names: Sequence[str]) -> str:
    """Return the first names for a message, and how many more there are."""
    shown = ", ".join(name[:80] for name in names[:NAMED])
    return f"{shown} and {len(names) - NAMED:,} more" if len(names) > NAMED else shown
