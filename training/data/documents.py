"""A data set in the form of training.json, written piece by piece."""

import base64
import csv
import io
import json
import zipfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from .images import read_image_archive
from .texts import read_text_table

ROWS_AT_ONCE = 1000


def iter_training_document_dataset(path: Path, *, task_type: str, columns: dict[str, str]) -> Iterator[bytes]:
    """Yield the JSON text of the document's `dataset`, in memory of about one example.

    Images: `{class: [base64, …]}`. Texts: one base64 string of a CSV with the columns input, label.
    """
    if task_type == "imageclassification":
        yield from _images(path)
    else:
        yield from _texts(path, columns)


def _images(path: Path) -> Iterator[bytes]:
    examples = sorted(read_image_archive(path).examples, key=lambda example: example.label)
    yield b"{"
    with zipfile.ZipFile(path) as archive:
        for number, (label, members) in enumerate(groupby(examples, key=lambda example: example.label)):
            yield f"{',' if number else ''}\n    {json.dumps(label, ensure_ascii=False)}: [".encode()
            for place, member in enumerate(members):
                comma = b"," if place else b""
                yield comma + b'\n      "' + base64.b64encode(archive.read(member.name)) + b'"'
            yield b"\n    ]"
    yield b"\n  }"


def _texts(path: Path, columns: dict[str, str]) -> Iterator[bytes]:
    table = read_text_table(path, input_column=columns["input"], label_column=columns["label"])
    rows = [("input", "label"), *zip(table.texts, table.labels, strict=True)]
    yield b'"'
    left = b""
    for start in range(0, len(rows), ROWS_AT_ONCE):
        buffer = io.StringIO(newline="")
        csv.writer(buffer).writerows(rows[start : start + ROWS_AT_ONCE])
        left += buffer.getvalue().encode()
        whole = len(left) - len(left) % 3  # base64 pieces join only at multiples of three bytes
        yield base64.b64encode(left[:whole])
        left = left[whole:]
    yield base64.b64encode(left) + b'"'
