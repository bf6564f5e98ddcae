"""What names of files and folders say: left behind by a program, no photo, a part of a split."""

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
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
    (
        "train",
        "train training trn entrenamiento entrainement apprentissage addestramento treino treinamento trening "
        "trenowanie uczenie egitim обучение обучающая тренировка тренировочная 训练 訓練 学習 훈련 학습 تدريب",
    ),
    (
        "valid",
        "val valid validation validate vld dev eval evaluation validierung validacion validacao validazione "
        "walidacja dogrulama проверка валидация валидационная проверочная 验证 驗證 検証 검증 تحقق",
    ),
    (
        "test",
        "test testing tst holdout pred prediction predict prueba teste тест тестовая тестирование 测试 測試 テスト "
        "테스트 시험 اختبار",
    ),
)
FILLER_WORDS = """
data set sets dataset datasets image images img imgs photo photos picture pictures pics folder split part daten satz
menge bilder fotos donnees datos imagenes dati immagini dados imagens dane данные выборка набор фото 数据 數據 集 图片
圖片 图像 圖像 データ セット 画像 데이터 데이터셋 세트 이미지 용
"""
PIECE_WORDS = """
batch chunk piece parts volume vol dir archive shard section fold folds session round day run camera cam user annotator
subject patient scene site
"""
DATE = re.compile(r"(19|20)\d\d([-_. ]?[01]\d([-_. ]?[0-3]\d)?)?")  # a year, a month or a day

WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[^\W\d_a-zA-Z]+")  # of "trainSet", two
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
    found = {part for word in name_words(name) if (part := part_of_word(word))}
    return found.pop() if len(found) == 1 else ""


def part_of_word(word: str) -> Part:
    """Return the part that a word stands for, or what a compound begins with: "trainset", "Testdaten"; "" for none."""
    for known in (word, *_beginnings(word)):
        if part := SPLIT_WORDS.get(known):
            return part
    return ""


def _beginnings(word: str) -> Iterator[str]:
    """Yield what a compound begins with whose end says nothing: "training" of "trainingsdaten"."""
    rest = word
    while end := next((end for end in FILLER_ENDS if rest.endswith(end) and rest != end), ""):
        rest = rest.removesuffix(end)
        yield rest
        yield rest.removesuffix("s")


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
        frozenset(word for word in name_words(top) if not part_of_word(word) and word not in FILLERS)
        for top in kinds
    }
    return len(rests - {frozenset()}) <= 1


def are_pieces(names: Collection[str]) -> bool:
    """Say whether folders are numbered pieces of one: "photos_1" and "photos_2", "images_part_1", "batch 03"."""
    stems = {re.sub(r"\d+", "", name) for name in names}
    words = {word for stem in stems for word in name_words(stem)}
    is_about_data = bool(words & (FILLERS | PIECES)) or any(map(part_of_word, words))
    return len(names) > 1 and len(stems) == 1 and is_about_data


def are_dates(names: Collection[str]) -> bool:
    """Say whether all names are years, months or days."""
    return len(names) > 1 and all(map(DATE.fullmatch, names))


def name_words(name: str) -> list[str]:
    """Return the words of a name, in small letters and without accents, also those of "trainSet"."""
    return [word.lower() for word in WORDS.findall(name if name.isascii() else _plain(name))]


def _plain(name: str) -> str:
    return "".join(
        sign for sign in unicodedata.normalize("NFKD", name) if unicodedata.category(sign) not in ("Mn", "Cf")
    ).replace("ı", "i")


SPLIT_WORDS: dict[str, Part] = {_plain(word): part for part, words in SPLIT_NAMES for word in words.split()}
FILLERS = frozenset(map(_plain, FILLER_WORDS.split()))
FILLER_ENDS = tuple(sorted(FILLERS, key=len, reverse=True))
PIECES = frozenset(PIECE_WORDS.split())


def name_prefix(file: str) -> str:
    """Return what stands before the number in a file's name: "cat" of "cat_001.jpg"; "" for none."""
    match = re.match(r"^(.*?[^\W\d_])[\s_.\-(]*\d+[\s)]*$", PurePosixPath(file).stem)
    return match[1] if match else ""


def listed(names: Sequence[str]) -> str:
    """Return the first names for a message, and how many more there are."""
    shown = ", ".join(name[:80] for name in names[:NAMED])
    return f"{shown} and {len(names) - NAMED:,} more" if len(names) > NAMED else shown
