import base64
import hashlib
import io
import stat
import threading
import time
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from devtools.bombs import GREY, blank_png
from models_registry.inputs import ArchiveBudget, TooManyPixels, budgets, open_archive
from training.engine.data import DataError, Limits, build_report, images, read_image_archive
from training.engine.data.images import thumbnail, why_unreadable
from training.engine.examples import open_examples
from training.engine.request import TrainingRequest


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


@pytest.mark.parametrize("name", ["../a/0.png", "a/../../0.png", "a\\..\\0.png", "C:\\..\\0.png"])
def test_names_outside_the_archive_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="outside the archive"):
        read_image_archive(archive(tmp_path, two_classes() | {name: picture()}))


@pytest.mark.parametrize("root", ["/", "/home/ann/", "C:\\", "C:\\Users\\ann\\", "\\\\nas\\photos\\"])
def test_paths_from_the_root_of_a_disk_are_read(tmp_path: Path, root: str) -> None:
    slash = "\\" if "\\" in root else "/"
    files = {f"{root}{name.replace('/', slash)}": content for name, content in two_classes().items()}
    images = read_image_archive(archive(tmp_path, files))
    assert Counter(example.label for example in images.examples) == {"a": 3, "b": 3}


def test_symbolic_links_are_left_out_and_told(tmp_path: Path) -> None:
    path = archive(tmp_path, two_classes())
    link = zipfile.ZipInfo("a/link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as target:
        target.writestr(link, "/etc/passwd")
    images = read_image_archive(path)
    assert len(images.examples) == 6
    assert images.unreadable == (
        ("a/link.png", "is a link to another file; put the file itself into the archive"),
    )


def test_encrypted_files_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, two_classes())
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="encrypted"):
        read_image_archive(path)


def test_classes_that_differ_in_case_only_are_kept_apart_and_told(tmp_path: Path) -> None:
    files = two_classes() | {"A/0.PNG": picture(300), "A/1.png": picture(301)}
    report = build_report(archive(tmp_path, files), task_type="imageclassification", columns={})
    assert report.classes == {"A": 2, "a": 3, "b": 3}
    assert any("'A' and 'a'" in warning for warning in report.warnings)


def test_of_the_same_name_twice_the_last_is_read_and_told(tmp_path: Path) -> None:
    path = archive(tmp_path, two_classes())
    with zipfile.ZipFile(path, "a") as target, pytest.warns(UserWarning, match="Duplicate"):
        target.writestr("a/0.png", picture(999))
    images = read_image_archive(path)
    last = next(example for example in images.examples if example.name == "a/0.png")
    assert last.sha256 == hashlib.sha256(picture(999)).hexdigest()
    report = build_report(path, task_type="imageclassification", columns={})
    assert report.classes == {"a": 3, "b": 3}
    assert any(
        warning.endswith("more than once, of which the last is taken: a/0.png.")
        for warning in report.warnings
    )


def test_files_outside_class_folders_are_left_out_and_named(tmp_path: Path) -> None:
    files = two_classes() | {"loose.png": picture(), "README.txt": b"x", "a/b/deep.png": picture(500)}
    report = build_report(archive(tmp_path, files), task_type="imageclassification", columns={})
    assert report.classes == {"a": 4, "b": 3}
    assert [(group["count"], group["names"]) for group in report.left_out] == [
        (1, ["loose.png"]),
        (1, ["README.txt"]),
    ]
    assert "Left out, photos outside the class folders: 1 (loose.png)." in report.warnings
    assert any("b." in warning and "Folders inside class folders" in warning for warning in report.warnings)


def test_own_validation_part_is_used_without_copies_of_training_examples(tmp_path: Path) -> None:
    files = {f"train/{name}": content for name, content in two_classes().items()}
    files |= {
        f"valid/{label}/{number}.png": picture(900 + 10 * ord(label) + number)
        for label in "ab"
        for number in (0, 1)
    }
    files |= {"valid/a/copy.png": picture(0), "test/a/0.png": picture(5000)}
    path = archive(tmp_path, files)
    report = build_report(path, task_type="imageclassification", columns={})
    assert (report.classes, report.validation) == ({"a": 6, "b": 5}, 4)
    assert any("4 examples" in warning and "do not count: 1" in warning for warning in report.warnings)
    request = TrainingRequest(
        public_id="x",
        name="x",
        task_type="imageclassification",
        architecture="x",
        strategy="x",
        dataset_path=str(path),
        dataset_sha256="",
        columns={},
        output_dir=str(tmp_path),
        cache_dir=str(tmp_path),
    )
    with open_examples(request) as examples:
        split = examples.split("70 : 30", 1)
        assert [examples.names[index] for index in split.validation] == [
            f"valid/{label}/{number}.png" for label in "ab" for number in (0, 1)
        ]
        assert len(split.train) == 7
        assert examples.raw(split.validation[0]) == files["valid/a/0.png"]


def test_validation_part_without_a_class_is_split_anew_and_told(tmp_path: Path) -> None:
    files = {f"train/{name}": content for name, content in two_classes().items()}
    path = archive(tmp_path, files | {"val/a/0.png": picture(900), "val/a/1.png": picture(901)})
    report = build_report(path, task_type="imageclassification", columns={})
    assert (report.classes, report.validation) == ({"a": 5, "b": 3}, 0)
    assert any("is not used" in warning for warning in report.warnings)


def test_labels_of_a_table_beside_the_photos_are_read(tmp_path: Path) -> None:
    files = {f"train/{name.replace('/', '')}": content for name, content in two_classes().items()}
    rows = "".join(f"{name[6:]};{name[6]}\n" for name in files)
    files |= {"test/a0.png": picture(777), "train.csv": f"id;breed\n{rows}gone.png;a\n".encode()}
    report = build_report(archive(tmp_path, files), task_type="imageclassification", columns={})
    assert report.classes == {"a": 3, "b": 3}
    assert "Rows of train.csv without a photo or a label: 1." in report.warnings
    assert [group["names"] for group in report.left_out] == [["test/a0.png"], ["train.csv"]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"7z\xbc\xaf\x27\x1c rest", "7-Zip"),
        (b"Rar!\x1a\x07", "RAR"),
        (b"\x1f\x8b\x08 rest", "gzip"),
        (b"a/0.png".ljust(257, b"\0") + b"ustar", "tar archive"),
        (picture(), "single image"),
        (b"PK\3\4 and no more", "cut off"),
    ],
)
def test_what_is_no_zip_is_named_with_the_remedy(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "data.zip").write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_image_archive(tmp_path / "data.zip")


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
    ],
)
def test_limits_are_enforced(tmp_path: Path, limits: Limits, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_image_archive(archive(tmp_path, two_classes()), limits)


def test_image_of_too_many_bytes_is_left_out_alone(tmp_path: Path) -> None:
    scan = io.BytesIO()
    Image.new("RGB", (600, 600), "white").save(scan, "BMP")  # a white page is packed to almost nothing
    path = archive(tmp_path, two_classes() | {"a/scan.bmp": scan.getvalue()}, zipfile.ZIP_DEFLATED)
    found = read_image_archive(path, Limits(max_entry_bytes=1_000_000))
    assert [example.name for example in found.examples] == sorted(two_classes())
    [(name, reason)] = found.unreadable
    assert name == "a/scan.bmp"
    assert "more than 1,000,000 bytes" in reason and "JPEG" in reason
    assert not read_image_archive(path).unreadable


def test_images_of_too_many_bytes_count_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "BYTES_OF_A_SMALL_ONE", 50_000_000)
    scan = io.BytesIO()
    Image.new("RGB", (600, 600), "white").save(scan, "BMP")
    files = two_classes() | {f"a/{number}.bmp": scan.getvalue() for number in range(100)}
    path = archive(tmp_path, files, zipfile.ZIP_DEFLATED)
    with pytest.raises(DataError, match="limit for one of its size"):
        read_image_archive(path, Limits(max_entry_bytes=1_000_000))


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

    def check(content: bytes, max_pixels: int) -> tuple[str, bytes, str, bool]:
        decoded.append(content)
        assert len(decoded) == 1 or holds.wait(20)
        return "", b"", "", False

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


def test_report_class_of_copies_is_left_out_and_told(tmp_path: Path) -> None:
    files = two_classes() | {f"c/{number}.png": picture(77) for number in range(4)}
    path = archive(tmp_path, files)
    report = build_report(path, task_type="imageclassification", columns={})
    assert (report.classes, report.examples, report.problems) == ({"a": 3, "b": 3}, 6, [])
    assert any("left out: 'c'" in warning for warning in report.warnings)
    assert "c" not in report.samples
    assert "c" not in report.thumbnails


def test_report_class_of_copies_is_a_problem_beside_one_other(tmp_path: Path) -> None:
    files = {"a/0.png": picture(1), "a/1.png": picture(2), "c/0.png": picture(77)}
    report = build_report(archive(tmp_path, files), task_type="imageclassification", columns={})
    assert any("'c'" in problem for problem in report.problems)


def test_report_class_that_cannot_be_read_is_left_out_and_told(tmp_path: Path) -> None:
    files = two_classes() | {"c/0.png": b"x", "c/1.png": b"y", "a/broken.png": b"z"}
    report = build_report(archive(tmp_path, files), task_type="imageclassification", columns={})
    assert (report.classes, report.problems, report.unreadable_count) == ({"a": 3, "b": 3}, [], 3)
    assert any("left out: 'c'." in warning for warning in report.warnings)


def test_report_class_that_cannot_be_read_is_a_problem_beside_one_other(tmp_path: Path) -> None:
    files = {"a/0.png": picture(1), "a/1.png": picture(2), "c/0.png": b"x", "c/1.png": b"y"}
    report = build_report(archive(tmp_path, files), task_type="imageclassification", columns={})
    assert "Nothing of class 'c' can be read. Mend it, or remove the class." in report.problems


def test_report_names_the_first_cause_when_nothing_can_be_read(tmp_path: Path) -> None:
    files = {"a/0.png": b"x", "b/0.png": b"<html>"}
    report = build_report(archive(tmp_path, files), task_type="imageclassification", columns={})
    assert report.problems[-1].startswith("Nothing can be used. The first: a/0.png, ")


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
    assert (report.duplicates, report.leaking) == (9, 3)


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
        assert max(Image.open(io.BytesIO(thumbnail(bytes(content), 96))).size) <= 96


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
