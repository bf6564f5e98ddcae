"""Zips that would cost a thousand times their size."""

import io
import lzma
import random
import struct
import time
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from devtools.bombs import encode, list_of_files
from devtools.costs import cost_of
from models_registry.inputs import ArchiveBudget, DataError, Limits, budgets, open_archive, read_member

MB = 2**20


def read_all(path: str) -> list[int]:
    """Read every file of a zip as data sets and batches do."""
    limits = Limits()
    with open_archive(Path(path), limits) as (archive, members):
        budget = ArchiveBudget(archive, members, limits)
        return [len(budget.read(member)) for member in members]


@pytest.mark.parametrize(
    ("entries", "zip64"),
    [(1_000_000, False), (4_000_000, False), (4_000_000, True)],
    ids=["1M", "4M", "zip64"],
)
def test_list_of_millions_of_files_is_refused_before_it_is_in_memory(
    tmp_path: Path, entries: int, zip64: bool
) -> None:
    path = tmp_path / "many.zip"
    path.write_bytes(list_of_files(entries, zip64=zip64))
    cost = cost_of(read_all, str(path))
    assert cost.error == "DataError: The archive has more than 200,000 entries, the limit."
    assert cost.peak_growth < 160 * MB  # the list itself, of 256 bytes an entry at most, and a copy
    assert cost.seconds < 3


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=["bzip2", "lzma"])
def test_methods_that_pack_a_million_times_are_unpacked_piece_by_piece(tmp_path: Path, method: int) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", method) as archive, archive.open("a/bomb.png", "w") as file:
        for _ in range(150):
            file.write(b"\0" * MB)
    assert path.stat().st_size < 200_000
    cost = cost_of(read_all, str(path))
    assert cost.error.startswith("DataError: 'a/bomb.png' unpacks to more than")
    assert cost.peak_growth < 80 * MB


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_every_method_gives_the_files_back(tmp_path: Path, method: int) -> None:
    contents = {"a.bin": b"", "b.bin": b"x", "c.bin": random.Random(1).randbytes(2_300_000)}
    path = tmp_path / "plain.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    with open_archive(path, Limits()) as (archive, members):
        assert {member.filename: read_member(archive, member, Limits()) for member in members} == contents


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_content_of_another_checksum_is_damaged(tmp_path: Path, method: int) -> None:
    path = tmp_path / "damaged.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a.bin", b"content" * 100)
    checksum = struct.pack("<I", zipfile.ZipFile(path).infolist()[0].CRC)
    path.write_bytes(path.read_bytes().replace(checksum, b"\1\2\3\4"))
    with pytest.raises(DataError, match="CRC"), open_archive(path, Limits()) as (archive, members):
        read_member(archive, members[0], Limits())


def test_dictionary_of_gigabytes_is_refused(tmp_path: Path) -> None:
    packed = lzma.compress(b"x" * 100, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA1}])
    header = b"\x09\x04\x05\x00" + b"\x5d" + struct.pack("<I", 0xF0000000)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.bin", header + packed)
    content = buffer.getvalue()
    for signature, offset in ((b"PK\3\4", 8), (b"PK\1\2", 10)):  # say that it is packed by LZMA
        at = content.index(signature) + offset
        content = content[:at] + b"\x0e\0" + content[at + 2 :]
    (tmp_path / "dictionary.zip").write_bytes(content)
    cost = cost_of(read_all, str(tmp_path / "dictionary.zip"))
    assert "Memory usage limit" in cost.error
    assert cost.peak_growth < 50 * MB


def test_files_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    """As Fifield's zip bomb does: each entry of the list names the same packed bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", b"\0" * 10_000_000)
    content = buffer.getvalue()
    start, end = content.index(b"PK\1\2"), content.index(b"PK\5\6")
    entry = content[start:end]
    directory = b"".join(entry[:-1] + bytes([letter]) for letter in range(97, 123))
    tail = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 26, 26, len(directory), start, 0)
    (tmp_path / "shared.zip").write_bytes(content[:start] + directory + tail)
    with pytest.raises(DataError, match="share their bytes"):
        read_all(str(tmp_path / "shared.zip"))


def test_declared_sizes_are_added_up_before_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(5):
            archive.writestr(f"{number}.bin", b"\0" * MB)
    began = time.thread_time()
    with (
        pytest.raises(DataError, match="unpacks to 5,242,880 bytes"),
        open_archive(path, Limits(max_bytes=4 * MB)),
    ):
        pass
    assert time.thread_time() - began < 1


def test_small_archive_may_not_unpack_to_gigabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file begins like an image, so that each alone may be packed well."""
    monkeypatch.setattr(budgets, "BYTES_OF_A_SMALL_ONE", 8 * MB)
    path = tmp_path / "ratio.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(12):
            archive.writestr(f"{number}.bmp", b"BM" + b"\0" * MB)
    with pytest.raises(DataError, match="the limit for one of its size"):
        read_all(str(path))


def test_scans_of_empty_pages_pack_well_and_are_read(tmp_path: Path) -> None:
    page = encode(Image.new("RGB", (2480, 3508), "white"), "BMP")
    path = tmp_path / "scans.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("letter/0.bmp", page)
    assert path.stat().st_size < len(page) / 500
    assert read_all(str(path)) == [len(page)]


def test_zip_in_a_zip_is_a_file_like_another(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/bomb.png", b"\0" * 100 * MB)
    path = tmp_path / "outer.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/inner.png", inner.getvalue())
    assert read_all(str(path)) == [len(inner.getvalue())]
