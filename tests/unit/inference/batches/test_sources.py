"""What a batch's file may cost."""

import zipfile
from pathlib import Path

import pytest

from devtools.bombs import GREY, blank_png
from inference.batches.sources import ImageSource
from models_registry.inputs import Limits


def test_images_beyond_the_pixels_of_an_archive_have_a_reason_and_the_others_are_passed_on(
    tmp_path: Path,
) -> None:
    path = tmp_path / "batch.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(3):
            archive.writestr(f"huge{number}.png", blank_png(7000, 7000, GREY, 1))
        archive.writestr("small.png", blank_png(8, 8))
    source = ImageSource(path, Limits(max_archive_pixels=97_000_000))
    items = list(source.items(0))
    assert [item.place for item in items] == ["huge0.png", "huge1.png", "huge2.png", "small.png"]
    assert ["megapixels together" in item.problem for item in items] == [False, False, True, False]
    assert source.count() == 4


def test_files_that_are_no_photos_are_told_and_cost_nothing(tmp_path: Path) -> None:
    path = tmp_path / "batch.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("small.png", blank_png(8, 8))
        archive.writestr("labels.csv", b"0" * 5_000_000)  # packs far better than a photo
        archive.writestr("a/LICENSE", b"free")
        archive.writestr("Thumbs.db", b"of a system")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("small.png", blank_png(9, 9))
        archive.writestr("last.png", blank_png(8, 8))
    source = ImageSource(path, Limits())
    told = [(item.place, item.problem) for item in source.items(0)]
    assert told == [
        ("labels.csv", "is no photo, by its name"),
        ("a/LICENSE", "is no photo, by its name"),
        ("small.png", ""),
        ("last.png", ""),
        ("small.png", "is in the archive more than once; the last one is classified"),
    ]
    assert source.count() == len(told)
    assert [(item.place, item.problem) for item in source.items(4)] == told[4:]
    assert list(source.items(5)) == []
