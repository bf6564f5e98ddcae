"""The real data that benchmarks train on, read from and written to the files that people upload."""

import csv
import io
import os
import zipfile
from pathlib import Path, PurePosixPath

from devtools.platform_process import ROOT

DATA = Path(os.environ.get("TRAINYARD_BENCH_DATA", ROOT.parent / "shared" / "data"))
CACHE = Path(os.environ.get("TRAINYARD_HOME", ROOT / ".data")) / "backbones"
HELD_OUT = 5

Labelled = list[tuple[bytes | str, str]]  # raw input and its true class


def hold_out(examples: Labelled) -> tuple[Labelled, Labelled]:
    """Split off every fifth example for the test."""
    test = examples[::HELD_OUT]
    return [example for index, example in enumerate(examples) if index % HELD_OUT], test


def read_zip(path: Path) -> Labelled:
    """Read a zip with a folder for each class."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in sorted(archive.namelist()) if not name.endswith("/")]
        return [(archive.read(name), PurePosixPath(name).parent.name) for name in names]


def write_zip(examples: Labelled) -> bytes:
    """Write a zip with a folder for each class."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, (content, label) in enumerate(examples):
            archive.writestr(f"{label}/{number:05}.img", content)
    return buffer.getvalue()


def read_csv(path: Path) -> Labelled:
    """Read a table with the columns input and label."""
    with path.open(newline="", encoding="utf-8") as file:
        return [(row["input"], row["label"]) for row in csv.DictReader(file)]


def write_csv(examples: Labelled) -> bytes:
    """Write a table with the columns input and label."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerows([("input", "label"), *examples])
    return buffer.getvalue().encode()
