"""Tables in zips whose names, methods and bytes are not as usual."""

import io
import random
import zipfile
from pathlib import Path

import pytest

from models_registry.inputs import Corrections, DataError, Limits, open_table

TABLE = "text,label\n" + "".join(
    f"where is my {word} {n},{word}\n" for n in range(40) for word in ("card", "phone")
)
ROWS = 80
FLIPS = 150  # damaged copies


class InCodePage(zipfile.ZipInfo):
    """An entry whose name is written in a code page, and without a word on which."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802
        return self.filename.encode("cp850"), self.flag_bits


def zipped(*entries: str | zipfile.ZipInfo, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for entry in entries:
            archive.writestr(entry, TABLE)
    return file.getvalue()


def rows_of(path: Path, corrections: Corrections | None = None) -> int:
    reader = open_table(path, Limits(), corrections)
    reader.columns()
    return len(list(reader.rows(text="text", label="label")))


@pytest.mark.parametrize(
    "content",
    [
        zipped("data\\all.csv"),
        zipped(InCodePage("Übersicht/Größe.csv")),
        zipped("all.csv", method=zipfile.ZIP_LZMA),
        zipped("all.csv", method=zipfile.ZIP_BZIP2),
        zipped("__MACOSX/._all.csv", "all.csv"),
    ],
    ids=["backslash", "code page", "LZMA", "bzip2", "Finder"],
)
def test_table_in_a_zip_is_read_whatever_its_name_and_method(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.zip"
    path.write_bytes(content)
    assert rows_of(path) == ROWS


def test_member_is_named_as_it_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    path.write_bytes(zipped("data\\test.csv", "data\\train.csv"))
    assert rows_of(path, Corrections.from_json({"member": "data/test.csv"})) == ROWS


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_damaged_zip_of_a_table_is_refused_or_read(tmp_path: Path, method: int) -> None:
    whole, generator = zipped("a.csv", "data\\train.csv", method=method), random.Random(7)
    path, refused = tmp_path / "data.zip", 0
    for _ in range(FLIPS):
        content = bytearray(whole)
        for place in generator.sample(range(len(content)), 3):
            content[place] ^= 1 << generator.randrange(8)
        path.write_bytes(content[: generator.choice((len(content), generator.randrange(len(content)) + 1))])
        try:
            rows_of(path)
        except DataError:
            refused += 1
    assert refused > FLIPS / 2
