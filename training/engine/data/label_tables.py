"""Tables beside the photos of an archive that say which class each one has, as competitions hand them out."""

import csv
import io
from collections.abc import Sequence
from pathlib import PurePosixPath

USUAL_HEADINGS = (
    "label labels class class_name classname category target breed species diagnosis tag label_name"
)
LABEL_COLUMNS = frozenset(USUAL_HEADINGS.split())
MATCHING = 0.5  # of a table's rows that must name a photo
SAMPLED = 1_000  # rows by which the columns are found
SEPARATORS = ",;\t"


def read_label_table(content: bytes, names: Sequence[str]) -> list[tuple[str, str]]:
    """Return (file, label) of each row; empty when the table names no photos or has no column of labels.

    The column of files is the one whose cells name the photos, with or without folder and suffix; that of
    labels has a usual heading, or is the only other one.
    """
    try:
        text = content.decode("utf-8-sig")
        heading, *rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text)))
    except (UnicodeDecodeError, ValueError, csv.Error):
        return []
    known = {form for name in names for form in _forms(name)}
    sample = [row for row in rows if len(row) == len(heading)][:SAMPLED]
    matches = [
        sum(not known.isdisjoint(_forms(row[column])) for row in sample) for column in range(len(heading))
    ]
    if not sample or max(matches) < MATCHING * len(sample):
        return []
    file = matches.index(max(matches))
    others = [column for column in range(len(heading)) if column != file]
    usual = [column for column in others if heading[column].strip().lower() in LABEL_COLUMNS]
    if len(usual) != 1 and len(others) != 1:
        return []
    label = usual[0] if len(usual) == 1 else others[0]
    return [(row[file], row[label]) for row in rows if len(row) > max(file, label)]


def _separator(text: str) -> str:
    heading = text.split("\n", 1)[0]
    return max(SEPARATORS, key=heading.count)


def _forms(name: str) -> set[str]:
    file = name.strip().replace("\\", "/").rpartition("/")[2]
    return {file, PurePosixPath(file).stem} - {""}
