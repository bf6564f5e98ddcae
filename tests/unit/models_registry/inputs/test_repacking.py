"""Archives of other kinds become zips of the same files, or are refused before they cost much."""

import bz2
import gzip
import io
import json
import lzma
import random
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inflate64 import Deflater

from devtools.costs import cost_of
from models_registry.inputs import DataError, Limits, NeedsMoreRoom, Room, is_link, open_listing, repack
from models_registry.inputs.repacking import LONGEST_HEADER

MB = 2**20
PHOTO = b"\xff\xd8\xff\xe0 a photo"
FILES = {f"{label}/{number}.jpg": PHOTO + bytes([number]) for label in ("cat", "dog") for number in range(3)}


def tar(files: dict[str, bytes], *, encoding: str = "utf-8", mode: str = "w", **kind: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, encoding=encoding, **kind) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def repacked(tmp_path: Path, content: bytes, limits: Limits | None = None) -> dict[str, bytes] | None:
    """Repack a file; return what the zip holds, or None when it was left as it is."""
    source, target = tmp_path / "source", tmp_path / "target.zip"
    source.write_bytes(content)
    target.unlink(missing_ok=True)
    if not repack(source, target, limits or Limits()):
        assert not target.exists()
        return None
    with open_listing(target, Limits()) as listing:
        return {info.filename: listing.archive.read(info) for info in listing.entries}


def zst(content: bytes) -> bytes:
    return bytes(pyarrow.compress(content, codec="zstd", asbytes=True))


def written(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "source"
    path.write_bytes(content)
    return path


Pack = Callable[[dict[str, bytes]], bytes]
PACKS = {"tar": bytes, "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zst}


@pytest.mark.parametrize("pack", PACKS.values(), ids=PACKS)
@pytest.mark.parametrize("kind", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_tar_is_repacked(tmp_path: Path, pack: type[bytes], kind: int) -> None:
    long = {f"{'d' * 60}/{'e' * 60}/{number}.jpg": PHOTO for number in range(2)}
    assert repacked(tmp_path, pack(tar({**FILES, **long}, format=kind))) == {**FILES, **long}


def test_folders_of_a_tar_are_kept_even_empty(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        folder = tarfile.TarInfo("empty")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
    assert repacked(tmp_path, buffer.getvalue()) == {"empty/": b""}


@pytest.mark.parametrize("encoding", ["utf-8", "cp866", "gbk"])
def test_names_of_a_tar_are_read_in_their_code_page(tmp_path: Path, encoding: str) -> None:
    names = {"utf-8": "Löwenzahn", "cp866": "подсолнух", "gbk": "向日葵"}
    files = {f"{names[encoding]}/{number}.jpg": PHOTO for number in range(3)}
    assert repacked(tmp_path, tar(files, encoding=encoding, format=tarfile.GNU_FORMAT)) == files


def test_plain_zip_and_other_files_are_left_as_they_are(tmp_path: Path) -> None:
    assert repacked(tmp_path, zipped(FILES)) is None
    assert repacked(tmp_path, zipped({**FILES, "notes.zip": zipped({"a.txt": b"x"})})) is None
    assert repacked(tmp_path, PHOTO) is None
    assert repacked(tmp_path, b"") is None
    assert repacked(tmp_path, gzip.compress(b"text,label\na,b\n" * 100)) is None


def test_each_zip_inside_a_zip_is_a_folder(tmp_path: Path) -> None:
    inner = {f"{label}-samples.zip": zipped({"1.jpg": PHOTO, "2.jpg": PHOTO}) for label in ("cat", "dog")}
    found = repacked(tmp_path, zipped(inner))
    assert found == {f"{label}/{n}.jpg": PHOTO for label in ("cat", "dog") for n in (1, 2)}


def test_zip_inside_a_zip_keeps_its_own_folders(tmp_path: Path) -> None:
    found = repacked(tmp_path, zipped({"README.md": b"photos", "flowers.zip": zipped(FILES)}))
    assert found == {f"flowers/{name}": content for name, content in FILES.items()}


def test_labels_beside_zips_are_kept(tmp_path: Path) -> None:
    files = {"labels.csv": b"file,label\n1.jpg,cat\n", "train.zip": zipped({"1.jpg": PHOTO})}
    found = repacked(tmp_path, zipped(files))
    assert found == {"train/1.jpg": PHOTO, "labels.csv": files["labels.csv"]}


NAMES = st.sampled_from(["a/1.jpg", "a/b/2.png", "3.jpg", "x.txt", "é/4.jpg", "b/labels.csv"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(["cat", "dog", "x y", "ü"]), st.sets(NAMES, min_size=1), min_size=1))
def test_each_file_of_each_inner_zip_is_there_once(tmp_path: Path, tree: dict[str, set[str]]) -> None:
    inner = {f"{top}.zip": zipped({name: name.encode() for name in names}) for top, names in tree.items()}
    found = repacked(tmp_path, zipped(inner))
    assert found == {f"{top}/{name}": name.encode() for top, names in tree.items() for name in names}


def test_system_files_beside_are_no_inner_zips(tmp_path: Path) -> None:
    found = repacked(tmp_path, zipped({"__MACOSX/._cat.zip": b"junk", "cat.zip": zipped({"1.jpg": PHOTO})}))
    assert found == {"cat/1.jpg": PHOTO}


def test_damaged_inner_zip_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"In dog\.zip"):
        repacked(tmp_path, zipped({"cat.zip": zipped({"1.jpg": PHOTO}), "dog.zip": b"PK\3\4 cut off"}))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_links_of_a_tar_stay_links(tmp_path: Path, kind: bytes) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("cat/1.jpg")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    (tmp_path / "links.tar").write_bytes(buffer.getvalue())
    assert repack(tmp_path / "links.tar", tmp_path / "links.zip", Limits())
    with open_listing(tmp_path / "links.zip", Limits()) as listing:
        assert [(entry.filename, is_link(entry)) for entry in listing.entries] == [("cat/1.jpg", True)]


@pytest.mark.parametrize("pack", [zipped, lambda files: gzip.compress(tar(files))])
def test_archives_inside_archives_are_unpacked(tmp_path: Path, pack: Pack) -> None:
    suffix = ".zip" if pack is zipped else ".tar.gz"
    inner = {f"{label}{suffix}": pack({"1.jpg": PHOTO}) for label in ("cat", "dog")}
    expected = {"cat/1.jpg": PHOTO, "dog/1.jpg": PHOTO}
    assert repacked(tmp_path, zipped(inner)) == expected
    assert repacked(tmp_path, tar(inner)) == expected
    assert repacked(tmp_path, zipped({"all.zip": zipped(inner)})) == {
        f"all/{name}": content for name, content in expected.items()
    }


def test_archives_are_unpacked_no_deeper_than_a_person_nests_them(tmp_path: Path) -> None:
    content = zipped({"1.jpg": PHOTO})
    for _ in range(9):
        content = zipped({"a.zip": content})
    assert list(repacked(tmp_path, content) or {}) == ["a/a/a/a.zip"]


@pytest.mark.parametrize("pack", ["tar", "zip"])
def test_doubtful_names_stay_doubtful(tmp_path: Path, pack: str) -> None:
    name = "Ромашка/1.jpg".encode("cp1251").decode("utf-8", "surrogateescape")
    content = tar({name: PHOTO})
    if pack == "zip":
        repack(written(tmp_path, content), tmp_path / "inner.zip", Limits())
        content = zipped({"photos.zip": (tmp_path / "inner.zip").read_bytes()})
    repack(written(tmp_path, content), tmp_path / "outer.zip", Limits())
    with open_listing(tmp_path / "outer.zip", Limits()) as listing:
        assert listing.code_page == "cp1251"
        assert [entry.filename.endswith("Ромашка/1.jpg") for entry in listing.entries] == [True]


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_tar_with_what_is_no_file_is_refused(tmp_path: Path, kind: bytes) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("cat/1.jpg")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(DataError, match=r"'cat/1\.jpg' is no plain file"):
        repacked(tmp_path, buffer.getvalue())


def test_tar_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Make it anew"):
        repacked(tmp_path, tar({"cat/1.jpg": PHOTO * 1000})[:3000])
    for pack in (gzip.compress, lzma.compress, zst):
        with pytest.raises(DataError, match="Make it anew"):
            repacked(tmp_path, pack(tar({"cat/1.jpg": random.Random(1).randbytes(300_000)}))[:-200])


def test_streams_of_xz_one_after_the_other_are_one_file(tmp_path: Path) -> None:
    whole = tar(FILES)
    content = lzma.compress(whole[:1000]) + b"\0" * 4 + lzma.compress(whole[1000:])
    assert repacked(tmp_path, content) == FILES


def test_xz_that_takes_more_memory_than_is_given_is_refused(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 512 * MB}]
    content = lzma.compress(tar(FILES), filters=filters)
    assert repacked(tmp_path, content) is None


def test_limits_hold(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="more than 3 entries"):
        repacked(tmp_path, tar(FILES), Limits(max_entries=3))
    with pytest.raises(DataError, match="unpacks to more than 40 bytes"):
        repacked(tmp_path, tar(FILES), Limits(max_bytes=40))
    many = zipped({f"{label}.zip": zipped({"1.jpg": PHOTO, "2.jpg": PHOTO}) for label in ("cat", "dog")})
    with pytest.raises(DataError, match="more than 3 entries"):
        repacked(tmp_path, many, Limits(max_entries=3))
    scans = zipped({f"{label}.zip": zipped({"1.bmp": b"\0" * 20_000}) for label in ("cat", "dog")})
    with pytest.raises(DataError, match="unpacks to more than 30,000 bytes"):
        repacked(tmp_path, scans, Limits(max_bytes=30_000))


def test_header_of_gigabytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 2 * 2**30
    content = gzip.compress(info.tobuf() + b"\0" * (300 * MB))
    assert len(content) < MB
    (tmp_path / "bomb.tar.gz").write_bytes(content)
    cost = cost_of(repack_file, str(tmp_path / "bomb.tar.gz"))
    assert cost.error.startswith("DataError: A header of this tar archive has 2,147,483,648 bytes")
    assert cost.peak_growth < 40 * MB
    assert LONGEST_HEADER < 40 * MB


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress], ids=["gzip", "bzip2", "xz"])
def test_bomb_costs_what_its_limit_allows(tmp_path: Path, pack: type[bytes]) -> None:
    (tmp_path / "bomb.tar").write_bytes(pack(tar({"cat/1.jpg": b"\0" * (200 * MB)})))
    assert (tmp_path / "bomb.tar").stat().st_size < MB
    cost = cost_of(repack_file, str(tmp_path / "bomb.tar"))
    assert "unpacks to more than" in cost.error
    assert cost.peak_growth < 40 * MB


def repack_file(path: str) -> None:
    """Repack as a data set of 50 MB at most, in a process that is measured."""
    repack(Path(path), Path(path).with_name("target.zip"), Limits(max_bytes=50 * MB))


def deflate64(files: dict[str, bytes]) -> bytes:
    """Make a zip as Windows Explorer does of large folders: APPNOTE, sections 4.3.7, 4.3.12 and 4.3.16."""
    content, listing = b"", b""
    for name, plain in files.items():
        deflater = Deflater()
        packed = deflater.deflate(plain) + deflater.flush()
        sizes = struct.pack("<HHIIIHH", 0, 0, zlib.crc32(plain), len(packed), len(plain), len(name), 0)
        fields = struct.pack("<HHH", 21, 0, 9) + sizes
        listing += b"PK\1\2\x15\0" + fields + struct.pack("<HHHII", 0, 0, 0, 0, len(content)) + name.encode()
        content += b"PK\3\4" + fields + name.encode() + packed
    end = struct.pack("<HHHHIIH", 0, 0, len(files), len(files), len(listing), len(content), 0)
    return content + listing + b"PK\5\6" + end


def test_zip_of_windows_explorer_is_repacked(tmp_path: Path) -> None:
    files = {**FILES, "cat/long.jpg": bytes(range(256)) * 4_000}
    assert repacked(tmp_path, deflate64(files)) == files


def test_damaged_deflate64_is_told(tmp_path: Path) -> None:
    good = deflate64({"cat/1.jpg": bytes(range(256)) * 400})
    with pytest.raises(DataError, match="Make it anew"):
        repacked(tmp_path, good[:60] + b"\xff" * 40 + good[100:])


def test_bomb_of_deflate64_costs_what_its_limit_allows(tmp_path: Path) -> None:
    (tmp_path / "bomb.zip").write_bytes(deflate64({"cat/1.jpg": b"\0" * (200 * MB)}))
    assert (tmp_path / "bomb.zip").stat().st_size < MB
    cost = cost_of(repack_with_little_room, str(tmp_path / "bomb.zip"))
    assert "unpacks to more than" in cost.error
    assert cost.peak_growth < 60 * MB


def repack_with_little_room(path: str) -> None:
    """Repack into 20 MB at most, in a process that is measured."""
    repack(Path(path), Path(path).with_name("target.zip"), Limits(), Room(20 * MB, 100))


@pytest.mark.parametrize(
    "pack", [lambda files: gzip.compress(tar(files)), deflate64], ids=["tar.gz", "deflate64"]
)
@pytest.mark.parametrize("room", [Room(50, 100), Room(MB, 3)], ids=["bytes", "files"])
def test_what_does_not_fit_into_the_room_is_told_apart(tmp_path: Path, pack: type[bytes], room: Room) -> None:
    (tmp_path / "source").write_bytes(pack(FILES))  # type: ignore[arg-type]
    with pytest.raises(NeedsMoreRoom):
        repack(tmp_path / "source", tmp_path / "target.zip", Limits(), room)
    assert repack(tmp_path / "source", tmp_path / "target.zip", Limits())


def parquet(columns: dict[str, object], names: list[str] | None = None) -> bytes:
    """Write a table as the library of the Hugging Face hub does, with the names of its classes in the metadata."""
    feature = {"label": {"names": names, "_type": "ClassLabel"}} if names else {}
    described = json.dumps({"info": {"features": feature}}).encode()
    buffer = io.BytesIO()
    table = pyarrow.table(columns).replace_schema_metadata({b"huggingface": described})
    pyarrow.parquet.write_table(table, buffer)
    return buffer.getvalue()


def test_photos_of_a_parquet_file_are_repacked_by_class(tmp_path: Path) -> None:
    cells = [{"bytes": content, "path": name} for name, content in FILES.items()]
    content = parquet({"image": cells, "label": [0, 0, 0, 1, 1, None]}, ["cat", "dog"])
    found = repacked(tmp_path, content)
    assert found is not None
    assert [name.partition("/")[0] for name in found] == ["cat"] * 3 + ["dog"] * 2
    assert list(found.values()) == list(FILES.values())[:5]
    plain = repacked(
        tmp_path, parquet({"id": [1, 2], "jpg": list(FILES.values())[:2], "class": ["a", "b/c"]})
    )
    assert plain is not None
    assert [name.partition("/")[0] for name in plain] == ["a", "b\u2215c"]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"text": ["a"], "label": ["b"]}, "no column of images. It has: 'text', 'label'"),
        ({"image": [b"no image"], "label": ["b"]}, "'image' of this Parquet file holds no image files"),
        ({"image": [PHOTO], "a": ["b"], "b": ["c"]}, "Which column of this Parquet file holds the labels"),
    ],
)
def test_parquet_without_photos_or_labels_is_told(
    tmp_path: Path, columns: dict[str, object], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        repacked(tmp_path, parquet(columns))
