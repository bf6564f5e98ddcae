"""Workbooks: a sheet, or several with the same columns that are called after the classes or the parts of their rows."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..corrections import Corrections
from ..errors import DataError
from ..layout.names import are_dates, are_pieces, listed, split_part
from ..limits import Limits
from .base import TableReader
from .several import LABEL, SPLIT, Piece, SeveralTables, are_unlabelled, is_unlabelled
from .sheets import SheetReader

MOST_SHEETS = 30  # that are read as one
# What spreadsheet programs call sheets in the languages that most people use.
NUMBERED = re.compile(
    r"(sheet|tabelle|blatt|feuil(le)?|hoja|planilha|folha|foglio|blad|ark|arkusz|list|sayfa|лист|аркуш|工作表|シート|시트)"
    r"[ _-]?\d+",
    re.IGNORECASE,
)


def open_workbook(path: Path, limits: Limits, corrections: Corrections) -> TableReader:
    """Return the reader of a workbook: of the sheet that a person has named, else of those that belong together."""
    reader = SheetReader(path, limits, corrections=corrections)
    if corrections.sheet:
        return reader
    try:
        columns = reader.columns()
        names = reader.sheets
        if not 1 < len(names) <= MOST_SHEETS or not (is_unlabelled(reader) or any(map(split_part, names))):
            return reader  # no other sheet is opened, each of which takes a process
    except DataError:  # which who reads it is told
        return reader
    readers = {
        name: SheetReader(path, limits, corrections=replace(corrections, sheet=name)) for name in names
    }
    pieces = _of_a_part_each(readers, columns) or _of_a_class_each(readers)
    if not pieces:
        return reader
    found = SeveralTables(path, limits, corrections=corrections, pieces=pieces)
    named = listed([f"{piece.name} ({''.join(piece.said.values())})" for piece in pieces])
    if LABEL in pieces[0].said:
        named = listed([piece.name for piece in pieces])
        found.note("The sheets have no column of labels: the name of each is the class of its rows.")
    found.note(f"Read are {len(pieces)} sheets that have the same columns: {named}.")
    if others := [name for name in names if name not in {piece.name for piece in pieces}]:
        found.note(f"Left out are other sheets: {listed(others)}.")
    found.choices["sheet"] = list(names)
    return found


def _of_a_part_each(readers: Mapping[str, SheetReader], columns: Sequence[str]) -> list[Piece]:
    """Return the sheets that are called train, test and so on; none where they do not have the same columns."""
    parts = {name: part for name in readers if (part := split_part(name))}
    if "train" not in parts.values() or len(set(parts.values())) < 2 or SPLIT in columns:
        return []
    if any(_columns(readers[name]) != columns for name in parts):
        return []
    return [Piece(name, readers[name], {SPLIT: part}) for name, part in parts.items()]


def _of_a_class_each(readers: Mapping[str, SheetReader]) -> list[Piece]:
    """Return the sheets when each holds the texts of a class that it is called after; none when they do not."""
    names = list(readers)
    if any(map(NUMBERED.fullmatch, names)) or any(map(split_part, names)):
        return []
    if are_pieces(names) or are_dates(names) or not are_unlabelled(list(readers.values())):
        return []
    return [Piece(name, reader, {LABEL: name}) for name, reader in readers.items()]


def _columns(reader: SheetReader) -> Sequence[str]:
    try:
        return reader.columns()
    except DataError:
        return ()
