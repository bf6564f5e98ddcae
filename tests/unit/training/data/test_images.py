import base64
import io
import stat
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from models_registry.inputs import ArchiveBudget, TooManyPixels, open_archive
from tests.bombs import GREY, blank_png
from training.data import DataError, Limits, build_report, images, read_image_archive
from training.data.images import thumbnail, why_unreadable


def picture(colour: int = 0, kind: str = "PNG", size: tuple[int, int] = (8, 8), mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, colour if mode != "RGB" else (colour % 256, colour // 256, 7)).save(buffer, kind)
    return buffer.getvalue()


def archive(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path / "data.zip", "w", compression) as target:
        for name, content in files.items():
            target.writestr(name, content)
    return path / "data.zip"


def two_classes(**more: bytes) -> dict[str, bytes]:
    files = {
        f"{label}/{number}.png": picture(number + 100 * (label == "b"))
        for label in "ab"
        for number in range(3)
    }
    return files | {name.replace("__", "/"): content for name, content in more.items()}


def test_folders_are_the_classes(tmp_path: Path) -> None:
    images = read_image_archive(archive(tmp_path, two_classes()))
    assert {example.label for example in images.examples} == {"a", "b"}
    assert len(list(images.iter_bytes())) == 6


def test_one_folder_around_the_classes_is_fine(tmp_path: Path) -> None:
    files = {f"photos/{name}": content for name, content in two_classes().items()}
    images = read_image_archive(archive(tmp_path, files))
    assert {example.label for example in images.examples} == {"a", "b"}


def test_what_file_managers_leave_is_ignored(tmp_path: Path) -> None:
    files = two_classes() | {"__MACOSX/a/0.png": b"x", "a/.DS_Store": b"x", "b/Thumbs.db": b"x"}
    images = read_image_archive(archive(tmp_path, files))
    assert len(images.examples) == 6
    assert not images.unreadable


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_usual_formats_are_read(tmp_path: Path, kind: str) -> None:
    files = {
        f"{label}/{number}.x": picture(number * 50, kind, (16, 16)) for label in "ab" for number in range(2)
    }
    assert len(read_image_archive(archive(tmp_path, files)).examples) == 4


@pytest.mark.parametrize("mode", ["L", "1", "P", "I;16", "RGBA", "CMYK"])
def test_unusual_modes_are_read(tmp_path: Path, mode: str) -> None:
    kind = "TIFF" if mode == "CMYK" else "PNG"
    buffer = io.BytesIO()
    Image.new(mode, (8, 8)).save(buffer, kind)
    files = two_classes() | {"a/odd.png": buffer.getvalue()}
    assert len(read_image_archive(archive(tmp_path, files)).examples) == 7


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        picture(1, "JPEG", (64, 64))[:-200],
        b"PK\x03\x04",
    ],
    ids=["empty", "text", "svg", "truncated", "nested zip"],
)
def test_unreadable_image_is_listed_with_its_reason(tmp_path: Path, content: bytes) -> None:
    images = read_image_archive(archive(tmp_path, two_classes() | {"a/broken.jpg": content}))
    assert len(images.examples) == 6
    [(name, reason)] = images.unreadable
    assert name == "a/broken.jpg"
    assert reason


def test_huge_dimensions_are_refused_before_decoding(tmp_path: Path) -> None:
    header = picture(1)[:16] + (50_000).to_bytes(4, "big") * 2 + picture(1)[24:]
    images = read_image_archive(archive(tmp_path, two_classes() | {"a/huge.png": header}))
    assert [name for name, _ in images.unreadable] == ["a/huge.png"]


@pytest.mark.parametrize("name", ["../a/0.png", "/a/0.png", "a/../../0.png", "a\\0.png"])
def test_names_outside_the_archive_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="outside the archive"):
        read_image_archive(archive(tmp_path, two_classes() | {name: picture()}))


def test_symbolic_links_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, two_classes())
    link = zipfile.ZipInfo("a/link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as target:
        target.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="symbolic link"):
        read_image_archive(path)


def test_encrypted_files_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, two_classes())
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="encrypted"):
        read_image_archive(path)


def test_names_that_differ_in_case_only_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="twice"):
        read_image_archive(archive(tmp_path, two_classes() | {"A/0.PNG": picture()}))


@pytest.mark.parametrize("name", ["loose.png", "a/b/deep.png"])
def test_files_outside_class_folders_are_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=name):
        read_image_archive(archive(tmp_path, two_classes() | {name: picture()}))


def test_bomb_is_refused_by_what_comes_out(tmp_path: Path) -> None:
    files = two_classes() | {"a/bomb.png": b"\0" * 40_000_000}
    with pytest.raises(DataError, match=r"bomb\.png"):
        read_image_archive(archive(tmp_path, files, zipfile.ZIP_DEFLATED))


def test_bomb_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, two_classes() | {"a/bomb.png": b"\0" * 40_000_000}, zipfile.ZIP_DEFLATED)
    content = path.read_bytes().replace((40_000_000).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    path.write_bytes(content)
    with pytest.raises(DataError):
        read_image_archive(path)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(max_entries=5), "entries"),
        (Limits(max_bytes=100), "bytes"),
        (Limits(max_entry_bytes=10), "unpacks"),
    ],
)
def test_limits_are_enforced(tmp_path: Path, limits: Limits, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_image_archive(archive(tmp_path, two_classes()), limits)


def test_archive_of_pictures_that_take_long_is_refused_before_most_are_decoded(tmp_path: Path) -> None:
    huge = blank_png(7000, 7000)
    files = {f"{label}/{number}.png": huge for label in "ab" for number in range(20)}
    path = archive(tmp_path, files, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 50_000
    began = time.perf_counter()
    with pytest.raises(DataError, match=r"more than 5. megapixels together.*Scale them down"):
        read_image_archive(path, Limits(max_archive_pixels=50_000_000))
    assert time.perf_counter() - began < 10


def test_archive_budget_is_for_twenty_huge_pictures_unless_it_is_large(tmp_path: Path) -> None:
    huge = blank_png(7000, 7000, GREY, 1)
    path = archive(tmp_path, {f"a/{number}.png": huge for number in range(40)})
    with open_archive(path, Limits()) as (opened, members):
        budget = ArchiveBudget(opened, members, Limits())
        for _ in range(20):
            budget.count_pixels(huge)
        with pytest.raises(TooManyPixels):
            for _ in range(2):
                budget.count_pixels(huge)


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x05\x06" + b"\0" * 18])
def test_no_archive_says_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data.zip").write_bytes(content)
    with pytest.raises(DataError):
        read_image_archive(tmp_path / "data.zip")


def test_cut_archive_says_so(tmp_path: Path) -> None:
    path = archive(tmp_path, two_classes())
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match="zip"):
        read_image_archive(path)


def test_report_counts_copies_and_warns(tmp_path: Path) -> None:
    files = two_classes() | {"a/copy.png": picture(0), "b/conflict.png": picture(0), "b/broken.png": b"x"}
    report = build_report(archive(tmp_path, files), task_type="imageclassification", columns={})
    assert report.classes == {"a": 4, "b": 4}
    assert (report.duplicates, report.conflicting_duplicates, report.unreadable_count) == (2, 1, 1)
    assert report.majority_baseline == 0.5
    assert report.problems == []
    assert len(report.warnings) == 4


def test_report_tells_its_progress(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    build_report(
        archive(tmp_path, two_classes(a__broken=b"no image")),
        task_type="imageclassification",
        columns={},
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(done, 7) for done in range(1, 8)]


def test_reader_that_is_stopped_decodes_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[bytes] = []
    holds = threading.Event()

    def check(content: bytes, max_pixels: int) -> tuple[str, str]:
        decoded.append(content)
        assert len(decoded) == 1 or holds.wait(20)
        return "", ""

    class Stop(Exception):
        pass

    def stop(done: int, total: int) -> None:
        holds.set()
        raise Stop

    monkeypatch.setattr(images, "_check", check)
    monkeypatch.setattr(images, "CHECKERS", 1)
    files = {f"a/{number}.png": picture(number) for number in range(2 * images.FILES_AHEAD)}
    with pytest.raises(Stop):
        list(images.iter_image_archive(archive(tmp_path, files), progress=stop))
    assert len(decoded) < images.FILES_AHEAD


def test_report_of_one_class_is_a_problem(tmp_path: Path) -> None:
    files = {f"a/{number}.png": picture(number) for number in range(4)}
    report = build_report(archive(tmp_path, files), task_type="imageclassification", columns={})
    assert any("two classes" in problem for problem in report.problems)


def test_report_class_of_copies_is_a_problem(tmp_path: Path) -> None:
    files = two_classes() | {f"c/{number}.png": picture(77) for number in range(4)}
    report = build_report(archive(tmp_path, files), task_type="imageclassification", columns={})
    assert any("'c'" in problem for problem in report.problems)


def test_report_class_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    files = two_classes() | {"c/0.png": b"x", "c/1.png": b"y", "a/broken.png": b"z"}
    report = build_report(archive(tmp_path, files), task_type="imageclassification", columns={})
    assert report.problems == ["Nothing of class 'c' can be read. Mend it, or remove the class."]


def test_report_shows_small_upright_pictures(tmp_path: Path) -> None:
    turned = Image.new("RGB", (400, 100), "red")
    exif = turned.getexif()
    exif[0x0112] = 6  # stored lying on its side
    buffer = io.BytesIO()
    turned.save(buffer, "JPEG", exif=exif)
    files = {"a/" + "long" * 70 + ".jpg": buffer.getvalue(), "a/2.png": picture(2)} | {
        f"b/{number}.png": picture(number, mode="P") for number in range(9)
    }
    report = build_report(archive(tmp_path, files), task_type="imageclassification", columns={})
    assert {label: len(shown) for label, shown in report.thumbnails.items()} == {"a": 2, "b": 3}
    with Image.open(io.BytesIO(base64.b64decode(report.thumbnails["a"][0]))) as shown:
        assert (shown.format, shown.size) == ("JPEG", (24, 96))


def test_report_counts_what_would_leak(tmp_path: Path) -> None:
    files = two_classes() | {f"a/copy{number}.png": picture(0) for number in range(9)}
    report = build_report(archive(tmp_path, files), task_type="imageclassification", columns={})
    assert (report.duplicates, report.leaking_unguarded, report.leaking) == (9, 3, 0)
    files |= {f"b/copy{number}.png": picture(0) for number in range(10)}
    report = build_report(archive(tmp_path, files), task_type="imageclassification", columns={})
    assert report.leaking == round(20 * 0.3 * 0.7)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    at=st.integers(0, 5000),
    junk=st.binary(min_size=1, max_size=4),
    cut=st.booleans(),
    compression=st.sampled_from(
        [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
    ),
)
def test_damaged_archives_end_in_a_data_error_or_examples(
    tmp_path: Path, at: int, junk: bytes, cut: bool, compression: int
) -> None:
    path = archive(tmp_path, two_classes(), compression)
    content = bytearray(path.read_bytes())
    at %= len(content)
    content[at : len(content) if cut else at + len(junk)] = junk
    path.write_bytes(bytes(content))
    try:
        read_image_archive(path)
    except DataError as error:
        assert str(error)


@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from(["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"]),
    at=st.integers(0, 2000),
    junk=st.binary(min_size=1, max_size=4),
)
def test_damaged_images_are_unreadable_or_have_a_thumbnail(kind: str, at: int, junk: bytes) -> None:
    content = bytearray(picture(1, kind, (32, 24)))
    at %= len(content)
    content[at : at + len(junk)] = junk
    if not why_unreadable(bytes(content), 10**6):
        thumbnail(bytes(content), 96)


@pytest.mark.parametrize(
    ("image", "seen"),
    [
        (Image.fromarray(np.full((200, 200), 32_896, np.uint16)), (128, 128, 128)),
        (Image.new("RGBA", (200, 200), (255, 0, 255, 0)), (255, 255, 255)),
        (Image.new("LA", (200, 200), (0, 128)), (127, 127, 127)),
    ],
    ids=["sixteen bits", "hidden colour", "half transparent"],
)
def test_thumbnail_shows_what_is_trained_on(image: Image.Image, seen: tuple[int, int, int]) -> None:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    with Image.open(io.BytesIO(thumbnail(buffer.getvalue(), 96))) as small:
        assert small.size == (96, 96)
        assert np.abs(np.asarray(small).reshape(-1, 3).mean(0) - seen).max() <= 2
