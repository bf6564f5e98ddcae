"""Pieces of the samples, just large enough to run through every phase in a second."""

import csv
import zipfile
from pathlib import Path

from .conftest import DATA

CLASSES = 3
TEXTS = 16  # of each class


def few_digits(path: Path, each: int = 8, classes: int = CLASSES) -> Path:
    """Write a zip of some digits, and the first of them beside it as a picture."""
    with zipfile.ZipFile(DATA["imageclassification"]) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            if name[0] in "0123456789"[:classes] and int(name[2:4]) <= each:
                target.writestr(name, source.read(name))
        path.with_suffix(".png").write_bytes(source.read("0/01.png"))
    return path


def few_sentences(path: Path, each: int = TEXTS, classes: int = CLASSES) -> Path:
    """Write a table of some of the sample's sentences."""
    kept: dict[str, list[str]] = {}
    with DATA["textclassification"].open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            kept.setdefault(row["label"], []).append(row["input"])
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("input", "label"))
        for label in list(kept)[:classes]:
            writer.writerows((text, label) for text in kept[label][:each])
    return path
