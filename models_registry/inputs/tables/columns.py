"""Which column holds the texts and which the labels: what was said, or else what is usually meant."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from ..errors import DataError
from .base import TableReader
from .splits import find_split_column, is_split

SHOWN = 20  # names of columns that a message lists
FEWEST_ROWS = 4  # of a sample from which anything follows
LABEL_CHARS = 60  # of a class's name, on average
# The documents' own names first; they stand for the others too.
USUAL_NAMES = {
    "input": (
        "input", "text", "texts", "sentence", "content", "message", "comment", "review", "utterance",
        "body", "document", "question", "tweet", "example", "prompt", "review_text", "comment_text", "tweet_text",
        "satz", "frage", "nachricht", "kommentar", "texte", "phrase", "commentaire", "avis", "texto",
        "frase", "comentario", "mensaje", "testo", "tekst", "zin", "metin", "текст", "сообщение", "отзыв",
        "文本", "内容", "句子", "评论", "文字", "テキスト", "文", "本文", "텍스트", "문장", "내용", "نص", "النص",
    ),
    "label": (
        "label", "labels", "class", "category", "target", "intent", "sentiment",
        "topic", "tag", "rating", "categories", "choices", "accept", "completion",
        "klasse", "kategorie", "etikett", "thema", "stimmung",
        "catégorie", "categorie", "classe", "étiquette", "etiquette", "sujet", "categoría", "categoria", "etiqueta",
        "clase", "etichetta", "kategoria", "etykieta", "etiket", "kategori", "sınıf", "метка", "класс", "категория",
        "тема", "标签", "类别", "分类", "標籤", "類別", "ラベル", "カテゴリ", "라벨", "레이블", "분류", "تصنيف",
        "الفئة",
    ),
}  # fmt: skip
# The first so many of each are looked for before the others: they say it without doubt.
PLAIN = {"input": 9, "label": 7}
NAMES_OF_LABELS = ("label_text", "label_name", "category_name", "class_name")
INDEX_NAMES = re.compile(
    r"(unnamed: ?\d+|index|id|row|nr|no|#|__index_level_\d+__|column \d+)( \(\d+\))?", re.I
)
MEASURES = 20  # different numbers, at least, of what measures something
EXAMPLES_OF_A_NUMBER = 3  # on average: below it numbers measure something
_is_number = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?%?").fullmatch
SWITCHES = {"0", "1", "0.0", "1.0", "true", "false"}

Sample = Sequence[Mapping[str, str]]


class UnclearColumns(DataError):
    """A table whose columns have to be named; `found` are those it has."""

    def __init__(self, words: str, found: Iterable[str]) -> None:
        super().__init__(words)
        self.found = tuple(found)


class Columns(NamedTuple):
    """The names of two columns, and of those that name the part of a split and a group; "" for none."""

    text: str
    label: str
    split: str = ""
    group: str = ""


def find_columns_of(reader: TableReader, wanted: Mapping[str, str]) -> Columns:
    """Return the columns of a reader's table that `wanted` means; what is remarkable about them goes to its notes.

    A split's column is found by its name and values, unless `wanted` names one, or says "" for none. One of groups
    has to be named. Raises `UnclearColumns`.
    """
    names, sample = reader.columns(), reader.sample()
    try:
        found = resolve_columns(names, wanted)
    except UnclearColumns as error:
        guessed = _guess(names, sample) if _says_nothing(wanted) else None
        if guessed is None:
            if hint := _hint(names, sample):
                raise UnclearColumns(f"{error} {hint}", names) from error
            raise
        found = guessed
        reader.note(f"Taken as the texts: {found.text!r}; as their labels: {found.label!r}.")
    if _says_nothing(wanted):
        found = _corrected(reader, names, sample, found)
    found = found._replace(split=_split_column(names, sample, found, wanted.get("split")))
    if found.split:
        reader.note(f"The column {found.split!r} says which rows are for training, validation and test.")
    if group := wanted.get("group", ""):
        found = found._replace(group=_further_column(names, found, group, role="groups"))
        reader.note(f"Rows with the same {found.group!r} stay on one side of the split.")
    return found


def _corrected(
    reader: TableReader, names: list[str], sample: list[dict[str, str]], found: Columns
) -> Columns:
    """Return the columns that people mean who named none: not swapped, and classes by name, not by number."""
    is_document = found[:2] == ("input", "label")  # whose columns nobody mixes up
    if not is_document and _reads_like_labels(sample, found.text) and _reads_like_texts(sample, found.label):
        reader.note(
            f"The columns {found.text!r} and {found.label!r} seem to be swapped: the texts are in {found.label!r}."
        )
        found = Columns(found.label, found.text)
    if names_of_labels := _names_of_labels(names, sample, found.label):
        reader.note(
            f"The classes' names are in {names_of_labels!r}; it is used in the place of {found.label!r}."
        )
        found = Columns(found.text, names_of_labels)
    return found


def resolve_columns(found: Iterable[str], wanted: Mapping[str, str]) -> Columns:
    """Return the columns of a table that `wanted` means by "input" and "label".

    A name that a person chose has to be there. The documents' own names, "input" and "label", also
    stand for the usual ones, in whatever case. Raises `UnclearColumns`.
    """
    names = list(found)
    text = _resolve(names, wanted.get("input") or "input", role="input")
    label = _resolve(names, wanted.get("label") or "label", role="label")
    if text == label:
        raise UnclearColumns(
            f"The texts and the labels cannot both be in the column {text!r}. Name two columns.", names
        )
    return Columns(text, label)


def resolve_text_column(found: Iterable[str], wanted: str = "", sample: Sample = ()) -> str:
    """Return the column that holds the texts: the one that was named, the usual one, or the only one.

    Raises `UnclearColumns`.
    """
    names = list(found)
    if len(names) == 1 and not wanted:
        return names[0]
    try:
        return _resolve(names, wanted or "input", role="input")
    except UnclearColumns:
        texts = [name for name in names if _reads_like_texts(sample, name)]
        if len(texts) != 1 or wanted not in ("", "input"):
            raise
        return texts[0]


def _resolve(names: list[str], wanted: str, *, role: str) -> str:
    if wanted in names:
        return wanted
    usual = USUAL_NAMES[role] if wanted == role else ()
    for known in (usual[: PLAIN[role]], usual):
        meant = [name for name in names if name.strip().casefold() in known]
        meant = meant or [name for name in names if _last_part(name) in known]
        if len(meant) == 1:
            return meant[0]
        if meant:
            listed = ", ".join(map(repr, meant))
            raise UnclearColumns(
                f"Several columns could be the {role}: {listed}. Say which one it is.", names
            )
    there = ", ".join(repr(name[:100]) for name in names[:SHOWN])
    raise UnclearColumns(f"There is no column {wanted!r}. The table has: {there}.", names)


def _last_part(name: str) -> str:
    """Return what a dotted name of nested JSON ends with: a label's "name" is the label."""
    parts = name.strip().casefold().split(".")
    if len(parts) > 1 and parts[-1] == "name":
        del parts[-1]
    return parts[-1] if "." in name else ""


def is_usual_name(name: str) -> bool:
    """Tell whether a field of a first row is what columns are called."""
    known = name.strip().casefold()
    return any(known in names for names in USUAL_NAMES.values())


def _says_nothing(wanted: Mapping[str, str]) -> bool:
    return all(wanted.get(role) in (None, "", role) for role in USUAL_NAMES)


def _values(sample: Sample, name: str) -> list[str]:
    return [value for row in sample if (value := row.get(name, "").strip())]


def _reads_like_labels(sample: Sample, name: str) -> bool:
    values = _values(sample, name)
    return (
        len(values) >= FEWEST_ROWS
        and 1 < len(set(values)) <= len(values) / 2
        and fmean(map(len, values)) <= LABEL_CHARS
    )


def _are_words(sample: Sample, name: str) -> bool:
    """Tell whether a column reads like labels, and none is a list, of which one may hold several."""
    is_plain = not any(value.startswith(("[", "{")) for value in _values(sample, name))
    return is_plain and _reads_like_labels(sample, name)


def _reads_like_texts(sample: Sample, name: str) -> bool:
    values = _values(sample, name)
    return (
        len(values) >= FEWEST_ROWS
        and len(set(values)) > len(values) / 2
        and fmean(" " in value or not value.isascii() for value in values) > 1 / 2
        and sum(value[:1].isdigit() for value in values) < len(values) / 2
    )


def _guess(names: list[str], sample: Sample) -> Columns | None:
    """Return the only column that reads like texts, and that of labels: by its name, or the only one like them."""
    counting = [name for name in names if _values(sample, name) and not is_split(name, _values(sample, name))]
    texts = [name for name in counting if _reads_like_texts(sample, name)]
    usual = [name for name in counting if name.strip().casefold() in USUAL_NAMES["label"]]
    if len(texts) == len(usual) == 1 and _are_words(sample, usual[0]):
        return Columns(texts[0], usual[0])  # whatever else is there: times, addresses
    labels = [name for name in counting if _reads_like_labels(sample, name)]
    if len(texts) != 1 or len(labels) != 1:
        return None
    others = [name for name in counting if name not in (*texts, *labels)]
    is_only = all(INDEX_NAMES.fullmatch(name) or len(set(_values(sample, name))) == 1 for name in others)
    return Columns(texts[0], labels[0]) if is_only else None


def likely_columns(reader: TableReader) -> list[Columns]:
    """Return pairs of columns that may hold the texts and the labels, by their values and by usual names."""
    names, sample = reader.columns(), reader.sample()
    counting = [name for name in names if _values(sample, name) and not is_split(name, _values(sample, name))]
    usual = [name for name in counting if name.strip().casefold() in USUAL_NAMES["label"]]
    labels = usual or [
        name
        for name in counting
        if _reads_like_labels(sample, name)
        and not INDEX_NAMES.fullmatch(name)
        and not {value.casefold() for value in _values(sample, name)} <= SWITCHES
    ]
    texts = [name for name in counting if _reads_like_texts(sample, name) and name not in labels]
    return [Columns(text, label) for text in texts for label in labels]


def _hint(names: list[str], sample: Sample) -> str:
    """Return what a table without a column of labels seems to be; "" when nothing shows."""
    filled = {name: set(values) for name in names if len(values := _values(sample, name)) >= FEWEST_ROWS}
    switches = [name for name, values in filled.items() if {value.casefold() for value in values} <= SWITCHES]
    if len(switches) > 1:
        listed = ", ".join(map(repr, switches[:SHOWN]))
        return (
            f"There seems to be a column for each class ({listed}). Put the name of each row's class into one "
            "column, and leave out the rows with several: a model here gives each text one label."
        )
    others = [name for name in filled if not (_reads_like_texts(sample, name) or INDEX_NAMES.fullmatch(name))]
    if not others and len(filled) == 1:
        return "There is nothing beside the texts: add a column with the label of each."
    if len(others) == 1 and are_measures(filled[others[0]], len(_values(sample, others[0]))):
        return (
            f"The column {others[0]!r} seems to measure something. A model here tells classes apart and estimates no "
            "numbers: make a few ranges of them (low, medium, high) in a column 'label'."
        )
    return ""


def are_measures(values: Collection[str], count: int) -> bool:
    """Tell whether different values, of `count` examples in all, are numbers that measure something."""
    return (
        len(values) >= MEASURES
        and count < EXAMPLES_OF_A_NUMBER * len(values)
        and all(map(_is_number, values))
    )


def _names_of_labels(names: list[str], sample: Sample, label: str) -> str:
    """Return the column that has a name for each number of the labels' column; "" when there is none."""
    for name in names:
        if name.strip().casefold() not in NAMES_OF_LABELS or name == label:
            continue
        pairs = {(row.get(label, ""), row.get(name, "")) for row in sample}
        one_to_one = len(pairs) == len({number for number, _ in pairs}) == len({word for _, word in pairs})
        if one_to_one and pairs and all(number.strip().isdigit() and word for number, word in pairs):
            return name
    return ""


def _split_column(names: list[str], sample: Sample, found: Columns, wanted: str | None) -> str:
    if not wanted:
        return "" if wanted == "" else find_split_column(names, sample, found[:2])
    return _further_column(names, found, wanted, role="split")


def _further_column(names: list[str], found: Columns, wanted: str, *, role: str) -> str:
    """Return a column that was named for something besides texts, labels and what else is found."""
    taken = {name for name in found if name}
    if wanted not in names or wanted in taken:
        there = ", ".join(repr(name[:100]) for name in names[:SHOWN] if name not in taken)
        raise UnclearColumns(f"There is no column {wanted!r} for the {role}. There are: {there}.", names)
    return wanted
