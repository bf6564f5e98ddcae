"""Tables beside the photos of an archive that say which class each one has, as competitions and tools hand them out.

CSV and TSV, JSON (a list of objects, an object a line, {file: label}, COCO's images, annotations and categories) and
Parquet, such as the `metadata` files of the Hugging Face hub.
"""

import csv
import io
import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from models_registry.inputs import DataError, Limits, open_table

USUAL_HEADINGS = (
    "label labels class class_name classname category target breed species diagnosis tag label_name"
)
LABEL_COLUMNS = frozenset(USUAL_HEADINGS.split())
MATCHING = 0.5  # of a table's rows that must name a photo
SAMPLED = 1_000  # rows by which the columns are found
SEPARATORS = ",;\t|"
MOST_JSON = 16 << 20  # bytes: JSON takes many times as much memory
MOST_COLUMNS = 500
REPEATED = 0.5  # of a column's cells that are the same as others, at least, in one of labels
ON, OFF = frozenset(("1", "1.0", "true")), frozenset(("0", "0.0", "false", ""))
NO_LABELS = frozenset(("sample", "submission", "test", "example"))  # in the name of a table to be filled in

Row = Sequence[str]


def read_label_table(table: str, content: bytes, names: Sequence[str]) -> list[tuple[str, str]]:
    """Return (file, label) of each row; empty when the table names no photos or has no column of labels.

    The column of files is the one whose cells name the photos, with or without folder and suffix; that of
    labels has a usual heading, or is the only other one, or the only one whose cells repeat. Of a column for each class
    the one that is 1 counts.
    """
    suffix = PurePosixPath(table).suffix.lower()
    try:
        if suffix in (".json", ".jsonl", ".ndjson"):
            heading, rows = _of_json(content)
        elif suffix == ".parquet":
            heading, rows = _of_parquet(content)
        else:
            heading, rows = _of_csv(content)
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
        csv.Error,
    ):  # another kind of file
        return []
    return _pairs(heading, rows, {form for name in names for form in _forms(name)})


def rank_of(table: str, matched: int) -> tuple[bool, bool, int]:
    """Return what tells the table that is meant from others: the greatest of several is."""
    stem = PurePosixPath(table).stem.lower()
    return not any(word in stem for word in NO_LABELS), "train" in stem or "label" in stem, matched


def _pairs(heading: Row, rows: list[list[str]], known: set[str]) -> list[tuple[str, str]]:
    sample = [row for row in rows if len(row) == len(heading)][:SAMPLED]
    if not sample or not heading or len(heading) > MOST_COLUMNS:
        return []
    matches = [
        sum(not known.isdisjoint(_forms(row[column])) for row in sample) for column in range(len(heading))
    ]
    if max(matches) < MATCHING * len(sample):
        return []
    file = matches.index(max(matches))
    others = [column for column in range(len(heading)) if column != file and heading[column].strip()]
    if len(label := _label_columns(heading, sample, others)) == 1:
        return [(row[file], row[label[0]]) for row in rows if len(row) > max(file, label[0])]
    if _are_switches(sample, others):
        return [(row[file], _switched_on(heading, row, others)) for row in rows if len(row) == len(heading)]
    return []


def _label_columns(heading: Row, sample: list[list[str]], others: list[int]) -> list[int]:
    usual = [column for column in others if heading[column].strip().lower() in LABEL_COLUMNS]
    if len(usual) == 1 or len(others) == 1:
        return usual or others
    words = [column for column in usual or others if not all(row[column].isdigit() for row in sample)]
    repeating = [column for column in words if _repeats([row[column] for row in sample])]
    return repeating if not _are_switches(sample, others) else []


def _repeats(cells: list[str]) -> bool:
    filled = [cell for cell in cells if cell.strip()]
    return len(set(filled)) > 1 and len(set(filled)) <= (1 - REPEATED) * len(filled)


def _are_switches(sample: list[list[str]], columns: list[int]) -> bool:
    """Tell whether there is a column for each class, in which 1 says that it is this one."""
    cells = ({row[column].strip().lower() for row in sample} for column in columns)
    return len(columns) > 1 and all(found <= ON | OFF for found in cells)


def _switched_on(heading: Row, row: list[str], columns: list[int]) -> str:
    on = [heading[column].strip() for column in columns if row[column].strip().lower() in ON]
    return on[0] if len(on) == 1 else ""


def _of_csv(content: bytes) -> tuple[Row, list[list[str]]]:
    text = content.decode("utf-8-sig")
    heading, *rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text)))
    return heading, rows


def _of_parquet(content: bytes) -> tuple[Row, list[list[str]]]:
    with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
        file.write(content)
        file.flush()
        try:
            reader = open_table(Path(file.name), Limits())
            heading = reader.columns()
            columns = [_cells(reader.rows(text=name)) for name in heading[:MOST_COLUMNS]]
        except DataError as error:
            raise ValueError(str(error)) from error
    return heading, [list(row) for row in zip(*columns, strict=True)]


def _cells(rows: Iterable[object]) -> list[str]:
    return [getattr(row, "text", "") for row in rows]


def _of_json(content: bytes) -> tuple[Row, list[list[str]]]:
    if len(content) > MOST_JSON:
        raise ValueError("too large")
    text = content.decode("utf-8-sig")
    try:
        value = json.loads(text)
    except ValueError:
        value = [json.loads(line) for line in text.splitlines() if line.strip()]
    if isinstance(value, dict) and {"images", "annotations", "categories"} <= value.keys():
        return ("file_name", "label"), _of_coco(value)
    if isinstance(value, dict) and all(isinstance(label, str | int) for label in value.values()):
        return ("file", "label"), [[file, str(label)] for file, label in value.items()]
    if isinstance(value, dict):  # a list below one key, or an object for each file
        lists = [part for part in value.values() if isinstance(part, list)]
        named = [{"file": name, **part} for name, part in value.items() if isinstance(part, dict)]
        value = lists[0] if len(lists) == 1 else named
    return _of_objects(value)


def _of_objects(objects: Sequence[Mapping[str, object]]) -> tuple[Row, list[list[str]]]:
    heading = list(dict.fromkeys(key for entry in objects[:SAMPLED] for key in entry))
    return heading, [[_plain(entry.get(key)) for key in heading] for entry in objects]


def _plain(value: object) -> str:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return "" if value is None or isinstance(value, dict | list) else str(value)


def _of_coco(value: Mapping[str, Sequence[Mapping[str, object]]]) -> list[list[str]]:
    files = {image["id"]: str(image["file_name"]) for image in value["images"]}
    names = {category["id"]: str(category["name"]) for category in value["categories"]}
    pairs = {(files[one["image_id"]], names[one["category_id"]]) for one in value["annotations"]}
    return [[file, label] for file, label in sorted(pairs)]


def _separator(text: str) -> str:
    heading = text.split("\n", 1)[0]
    return max(SEPARATORS, key=heading.count)


def _forms(name: str) -> set[str]:
    file = name.strip().replace("\\", "/").rpartition("/")[2]
    return {file, PurePosixPath(file).stem} - {""}
