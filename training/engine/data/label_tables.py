"""Tables beside the photos of an archive that say which class each one has, as competitions and tools hand them out.

CSV and its kin, spreadsheets, JSON (a list of objects, an object a line, {file: label}, COCO's images, annotations and
categories) and Parquet, such as the `metadata` files of the Hugging Face hub.
"""

import csv
import io
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from models_registry.inputs import (
    Corrections,
    DataError,
    LabelRow,
    Limits,
    find_encoding,
    find_split_column,
    open_table,
    part_of_cell,
)
from models_registry.inputs.layout.labels import forms_of, path_in_table

USUAL_HEADINGS = (
    "label labels class class_name classname category target breed species diagnosis dx tag label_name"
)
LABEL_COLUMNS = frozenset(USUAL_HEADINGS.split())
MATCHING = 0.5  # of a table's rows that must name a photo
SAMPLED = 1_000  # rows by which the columns are found
SEPARATORS = ",;\t|"
SHEETS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
MOST_JSON = 16 << 20  # bytes: JSON takes many times as much memory
MOST_COLUMNS = 500
REPEATED = 0.5  # of a column's cells that are the same as others, at least, in one of labels
ON, OFF = frozenset(("1", "1.0", "true")), frozenset(("0", "0.0", "false", ""))
NO_LABELS = frozenset(("sample", "submission", "test", "example"))  # in the name of a table to be filled in

Row = Sequence[str]


class LabelTable(NamedTuple):
    """A table that names photos: what its `rows` say of each, and its `columns`.

    Without rows it is not known which of `choices`, columns whose cells repeat, holds the labels.
    """

    rows: list[LabelRow]
    columns: list[str]
    choices: list[str]


def read_label_table(
    table: str, content: bytes, names: Sequence[str], corrections: Corrections | None = None
) -> LabelTable | None:
    """Return what a table says of the files called `names`; None when it names none of them, or has no labels.

    The column of files is the one whose cells name the photos, with or without folder and suffix; that of
    labels has a usual heading, or is the only other one, or the only one whose cells repeat. Of a column for each class
    the one that is 1 counts. Columns that `corrections` name are taken.
    """
    suffix = PurePosixPath(table).suffix.lower()
    try:
        if suffix in (".json", ".jsonl", ".ndjson"):
            heading, rows = _of_json(content)
        elif suffix in (".parquet", *SHEETS):
            heading, rows = _of_table(content, suffix)
        else:
            heading, rows = _of_csv(content, SEPARATORS + " " * (suffix == ".txt"))
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
        OSError,
        csv.Error,
    ):  # another kind of file
        return None
    known = {form for name in names for form in _forms(name)}
    return _labels(list(heading), rows, known, corrections or Corrections())


def rank_of(table: str, matched: int) -> tuple[bool, bool, int]:
    """Return what tells the table that is meant from others: the greatest of several is."""
    stem = PurePosixPath(table).stem.lower()
    return not is_to_be_filled_in(table), "train" in stem or "label" in stem, matched


def is_to_be_filled_in(table: str) -> bool:
    """Tell whether a table is called as those that wait for somebody's answers."""
    stem = PurePosixPath(table).stem.lower()
    return any(word in stem for word in NO_LABELS)


def _labels(
    heading: list[str], rows: list[list[str]], known: set[str], said: Corrections
) -> LabelTable | None:
    if any(not known.isdisjoint(_forms(cell)) for cell in heading):  # no heading: this row names a photo
        heading, rows = [f"column {place}" for place in range(1, len(heading) + 1)], [heading, *rows]
    sample = [row for row in rows if len(row) == len(heading)][:SAMPLED]
    if not sample or not heading or len(heading) > MOST_COLUMNS:
        return None
    matches = [
        sum(not known.isdisjoint(_forms(row[column])) for row in sample) for column in range(len(heading))
    ]
    file = heading.index(said.input) if said.input in heading else matches.index(max(matches))
    if matches[file] < MATCHING * len(sample):
        return None
    others = [column for column in range(len(heading)) if column != file and heading[column].strip()]
    named = [column for column in others if heading[column] == said.label]
    split = _split_column(heading, sample, [file, *named], said)
    others = [column for column in others if column != split]
    label = named or _label_columns(heading, sample, others)
    if len(label) != 1 and not _are_switches(sample, others):
        return LabelTable([], heading, [heading[column] for column in label]) if label else None
    found = []
    for row in rows:
        if len(row) != len(heading):
            continue
        name = row[label[0]] if len(label) == 1 else _switched_on(heading, row, others)
        part = "" if split is None else part_of_cell(row[split], heading[split]) or ""
        found.append(LabelRow(row[file], name, part))
    return LabelTable(found, heading, [])


def _split_column(
    heading: list[str], sample: list[list[str]], taken: list[int], said: Corrections
) -> int | None:
    """Return the column that says the part of a split each photo belongs to; None for none."""
    if said.split is not None:
        return heading.index(said.split) if said.split and said.split in heading else None
    rows = [dict(zip(heading, row, strict=True)) for row in sample]
    name = find_split_column(heading, rows, [heading[column] for column in taken])
    return heading.index(name) if name else None


def _label_columns(heading: Row, sample: list[list[str]], others: list[int]) -> list[int]:
    """Return the column of labels, several where any of them may be it, none where none is."""
    usual = [column for column in others if heading[column].strip().lower() in LABEL_COLUMNS]
    if len(usual) == 1 or len(others) == 1:
        return usual or others
    if _are_switches(sample, others):
        return []
    words = [column for column in usual or others if not all(row[column].isdigit() for row in sample)]
    repeating = [column for column in words if _repeats([row[column] for row in sample])]
    return repeating or [column for column in usual if _repeats([row[column] for row in sample])]


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


def _of_csv(content: bytes, separators: str) -> tuple[Row, list[list[str]]]:
    encoding = find_encoding([content])
    text = content.decode(encoding.name, "replace").removeprefix("\ufeff")
    first = text.lstrip().split("\n", 1)[0]
    separator = max(separators, key=first.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    heading, *rows = [row for row in lines if any(row)]
    return heading, rows


def _of_table(content: bytes, suffix: str) -> tuple[Row, list[list[str]]]:
    with tempfile.NamedTemporaryFile(suffix=suffix) as file:
        file.write(content)
        file.flush()
        try:
            reader = open_table(Path(file.name), Limits())
            heading = reader.columns()[:MOST_COLUMNS]
            rows = [[row.text, *row.also] for row in reader.rows(text=heading[0], also=heading[1:])]
        except DataError as error:
            raise ValueError(str(error)) from error
    return heading, rows


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
    if isinstance(value, dict) and len(value) > 1 and all(map(_are_names, value.values())):
        return ("file", "label"), [[file, label] for label, files in value.items() for file in files]
    if isinstance(value, dict):  # a list below one key, or an object for each file
        lists = [part for part in value.values() if isinstance(part, list)]
        named = [{"file": name, **part} for name, part in value.items() if isinstance(part, dict)]
        value = lists[0] if len(lists) == 1 else named
    return _of_objects(value)


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


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


def _forms(name: str) -> set[str]:
    return {*forms_of(path_in_table(name).rpartition("/")[2])} - {""}
