"""Import plans of the archives that people bring."""

import time
from collections import Counter
from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_registry.inputs import Corrections, Entry, ImportPlan, LabelRow, plan_images, plan_labels
from models_registry.inputs.layout import OUTSIDE, SYSTEM_FILES, TEST_PART, name_prefix, split_part
from models_registry.inputs.layout.names import are_pieces


def plan(*names: str) -> ImportPlan:
    return plan_images([Entry(name, 1, name.endswith("/")) for name in names])


def photos(*folders: str, count: int = 2) -> list[str]:
    return [f"{folder}/{number}.jpg" for folder in folders for number in range(count)]


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (photos("a", "b"), {"a": 2, "b": 2}),
        (photos("x/y/z/a", "x/y/z/b"), {"a": 2, "b": 2}),
        (photos("a/2023", "a/2024", "b/cam"), {"a": 4, "b": 2}),
        (photos("a/a", "b/b"), {"a": 2, "b": 2}),
        (photos("data/data/a", "data/data/b"), {"a": 2, "b": 2}),
        (photos("00", "01", "10"), {"00": 2, "01": 2, "10": 2}),
        (photos(".NET", "java"), {".NET": 2, "java": 2}),
        (photos("Lo\u0308we", "L\u00f6we", "b"), {"Löwe": 4, "b": 2}),
        (photos("train", "bus"), {"train": 2, "bus": 2}),
        (photos("test tube/1", "train station/1"), {"test tube": 2, "train station": 2}),
        ([*photos("a", "b"), "a/noname", "b/odd.x"], {"a": 3, "b": 3}),
        ([*photos("top/a", "top/b"), "cover.jpg", "top/LICENSE.txt"], {"a": 2, "b": 2}),
    ],
)
def test_folders_of_photos_are_the_classes(names: list[str], classes: dict[str, int]) -> None:
    found = plan(*names)
    assert (found.problem, found.classes) == ("", classes)


@pytest.mark.parametrize(
    ("folders", "parts"),
    [
        (("train/a", "train/b", "val/a", "val/b", "test/a", "test/b"), {"train": 4, "valid": 4}),
        (("seg_train/seg_train/a", "seg_train/seg_train/b", "seg_test/seg_test/a"), {"train": 4}),
        (("x/Training/a", "x/Training/b", "x/Testing/a", "x/Testing/b"), {"train": 4}),
        (("training_set/training_set/a", "training_set/training_set/b", "test_set/test_set/b"), {"train": 4}),
        (("train/images/a", "train/images/b", "valid/images/a", "valid/images/b"), {"train": 4, "valid": 4}),
        (("TRAIN/a", "TRAIN/b", "Validation/a", "masks/m"), {"train": 4, "valid": 2}),
        (("a/train", "a/test", "b/train", "b/val"), {"train": 4, "valid": 2}),
        (("val/a", "val/b", "test/a", "test/b"), {"": 8}),
        (("train/a", "train/b", "test"), {"train": 4}),
    ],
)
def test_folders_of_a_split_are_no_classes(folders: tuple[str, ...], parts: dict[str, int]) -> None:
    found = plan(*photos(*folders))
    assert (found.problem, found.parts) == ("", parts)
    assert set(found.classes) == {"a", "b"}
    left = Counter(found.left_out.values())
    assert sum(left.values()) + len(found.tests) == 2 * len(folders) - sum(parts.values())
    assert set(left) <= {TEST_PART, OUTSIDE}


def test_test_part_is_kept_apart_by_class() -> None:
    found = plan(*photos("train/a", "train/b", "test/a"), "test/loose.jpg")
    assert [(placed.label, placed.part) for placed in found.tests] == [("a", "test"), ("a", "test")]
    assert list(found.left_out.values()) == [TEST_PART]
    assert not {placed.place for placed in found.tests} & {placed.place for placed in found.examples}


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("seg_train", "train"),
        ("Val2017", "valid"),
        ("test_set", "test"),
        ("TrainImages", "train"),
        ("Dev", "valid"),
        ("trained", ""),
        ("contest", ""),
        ("train_test", ""),
        ("valley", ""),
        ("Trainingsdaten", "train"),
        ("Testbilder", "test"),
        ("entraînement", "train"),
        ("Validação", "valid"),
        ("обучающая выборка", "train"),
        ("проверка", "valid"),
        ("训练集", "train"),
        ("验证集", "valid"),
        ("測試圖片", "test"),
        ("検証データ", "valid"),
        ("학습용", "train"),
        ("dataset", ""),
        ("Testament", ""),
        ("trains", ""),
    ],
)
def test_split_part_of_a_name(name: str, part: str) -> None:
    assert split_part(name) == part


def test_junk_is_left_out_without_a_note() -> None:
    junk = [
        "__MACOSX/a/._0.jpg", "a/._0.jpg", ".DS_Store", "a/Thumbs.db", "desktop.ini", "@eaDir/a/0.jpg",
        ".ipynb_checkpoints/0.jpg", "b/.ipynb_checkpoints/1.jpg", ".git/HEAD",
    ]  # fmt: skip
    found = plan(*photos("a", "b"), *junk)
    assert (found.classes, found.notes) == ({"a": 2, "b": 2}, ())
    assert list(found.left_out.values()) == [SYSTEM_FILES] * len(junk)


@pytest.mark.parametrize("empty", ["tulip/", "tulip/.gitkeep", "tulip/notes.txt"])
def test_empty_class_folder_is_told(empty: str) -> None:
    found = plan(*photos("a", "b"), "a/", empty)
    assert found.notes == ("Folders without photos: tulip. They are no classes.",)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "no files"),
        (["a/1.pdf", "b/2.docx"], "1 .pdf, 1 .docx"),
        (["a.zip", "b.7z"], "other archives (a.zip, b.7z)"),
        (
            ["train/cat.1.jpg", "train/cat.2.jpg", "train/dog.1.jpg", "train/dog.2.jpg", "test/1.jpg"],
            "hold the class: cat, dog",
        ),
        (["cat_1.jpg", "cat_2.jpg", "dog_1.jpg", "dog_2.jpg"], "hold the class: cat, dog"),
        (photos("train", "test"), "directly in test, train"),
        (["manifest.json", "Class 1-!-0.jpg", "Class 2-!-0.jpg"], "Teachable Machine"),
    ],
)
def test_archive_without_classes_says_what_to_do(names: list[str], words: str) -> None:
    found = plan(*names)
    assert words in found.problem
    assert "one folder for each class" in found.problem
    assert not found.examples


def test_photos_with_boxes_are_no_classes() -> None:
    found = plan(
        *photos("train/images", "valid/images"), "train/labels/0.txt", "valid/labels/0.txt", "data.yaml"
    )
    assert "object detection" in found.problem
    assert plan(*photos("images", "cats"), "labels/0.txt").problem == ""


def test_near_names_are_told() -> None:
    [note] = plan(*photos("Pansy ", "pansy", "rose", "tea_rose", "tea rose")).notes
    assert "'Pansy ' and 'pansy'" in note
    assert "'tea rose' and 'tea_rose'" in note


def test_labels_of_a_table_find_photos_by_path_name_or_stem() -> None:
    entries = [
        Entry(name) for name in ("train/1.jpg", "test/1.jpg", "x/2.jpg", "3.jpg", "4.jpg", "train.csv")
    ]
    rows = [("1", "a"), ("x\\2.jpg", "b"), ("3.jpg", "a"), ("3.jpg", "b"), ("5.jpg", "a")]
    found = plan_labels(entries, {"train.csv": [LabelRow(*row) for row in rows]})
    assert [(placed.place, placed.label) for placed in found.examples] == [(0, "a"), (2, "b")]
    assert set(found.left_out) == {1, 3, 4, 5}
    assert len(found.notes) == 3


def test_tables_of_parts_mean_the_photos_beside_them() -> None:
    entries = [Entry(f"{part}/{n}.jpg") for part in ("train", "valid", "test") for n in (1, 2)]
    tables = {
        f"{part}/metadata.csv": [LabelRow(f"{n}.jpg", "ab"[n - 1]) for n in (1, 2)]
        for part in ("train", "test")
    }
    found = plan_labels(entries, tables)
    assert [(placed.place, placed.part) for placed in found.examples] == [(0, "train"), (1, "train")]
    assert [(placed.place, placed.part) for placed in found.tests] == [(4, "test"), (5, "test")]
    whole = plan_labels(entries, tables, Corrections(use_split=False))
    assert [placed.part for placed in whole.examples] == [""] * 4


def test_folders_are_pieces_of_one_where_only_numbers_tell_them_apart() -> None:
    assert are_pieces(["photos_1", "photos_2"])
    assert are_pieces(["HAM10000_images_part_1", "HAM10000_images_part_2"])
    assert not are_pieces(["1", "2"])
    assert not are_pieces(["class_1", "class_2"])
    assert not are_pieces(["photos_1", "cats_2"])


def test_one_folder_of_photos_that_are_called_after_their_classes() -> None:
    found = plan("images/cat_1.jpg", "images/cat_2.jpg", "images/dog_1.jpg", "images/dog_2.jpg")
    assert found.problem.startswith("All photos lie in one folder, 'images', and the file names seem to hold")
    assert "cat, dog" in found.problem


@pytest.mark.parametrize(
    ("tops", "inner", "classes"),
    [
        (("fold1", "fold2", "fold3"), ("cat", "dog"), {"cat", "dog"}),
        (("2022", "2023"), ("cat", "dog"), {"cat", "dog"}),
        (("2024-05-01", "2024-05-02"), ("cat", "dog"), {"cat", "dog"}),
        (("session 1", "session 2"), ("ok", "broken"), {"ok", "broken"}),
        (("cat", "dog"), ("2022", "2023"), {"cat", "dog"}),
        (("cat", "dog"), ("fold1", "fold2"), {"cat", "dog"}),
        (("anna", "ben"), ("cat", "dog"), {"anna", "ben"}),
        (("1", "2"), ("cat", "dog"), {"1", "2"}),
    ],
)
def test_classes_inside_pieces_of_one(
    tops: tuple[str, ...], inner: tuple[str, ...], classes: set[str]
) -> None:
    found = plan(*photos(*(f"{top}/{name}" for top in tops for name in inner)))
    assert set(found.classes) == classes
    assert len(found.examples) == 2 * len(tops) * len(inner)
    [note] = found.notes
    assert tops[0] in note or inner[0] in note


@pytest.mark.parametrize(
    ("name", "photo"),
    [
        ("C:\\data\\cat\\1.jpg", "set/cat/1.jpg"),
        ("/home/ann/set/dog/1.jpg", "set/dog/1.jpg"),
        ("https://example.com/dog/1.JPG", "set/dog/1.jpg"),
        ("cat/1.png", "set/cat/1.jpg"),
        ("/data/bird/1.jpg", ""),
        ("/data/val/cat/1.jpg", "set/cat/1.jpg"),
        ("bird/1.jpg", ""),
        ("1.jpg", ""),
    ],
)
def test_photo_that_a_table_names_on_another_computer(name: str, photo: str) -> None:
    entries = [Entry("set/cat/1.jpg"), Entry("set/dog/1.jpg"), Entry("set/dog/2.jpg")]
    found = plan_labels(entries, {"labels.csv": [LabelRow(name, "x")]})
    assert [entries[one.place].name for one in found.examples] == [photo] * bool(photo)


def test_dates_without_the_same_folders_inside_are_classes() -> None:
    assert set(plan(*photos("2022/cat", "2023/dog")).classes) == {"2022", "2023"}


def test_name_prefix_is_what_stands_before_the_number() -> None:
    assert [name_prefix(name) for name in ("cat_001.jpg", "dog.7.png", "IMG (3).jpg", "12.jpg", "cat.jpg")] == [
        "cat", "dog", "IMG", "", "",
    ]  # fmt: skip


FOLDER = st.sampled_from(
    ["a", "A", "b", "train", "valid", "Test", "seg_train", ".x", ".git", "__MACOSX", "é", "..", ""]
)
FILE = st.sampled_from(
    ["1.jpg", "2.png", "noname", "README", "x.csv", "._1.jpg", ".DS_Store", "", "x.zip", "."]
)


@given(
    names=st.lists(
        st.one_of(
            st.text(max_size=12),
            st.builds(lambda folders, file: "/".join([*folders, file]), st.lists(FOLDER, max_size=5), FILE),
        ),
        max_size=30,
    )
)
def test_every_file_is_an_example_or_left_out_exactly_once(names: list[str]) -> None:
    entries = [Entry(name, 1, name.endswith("/")) for name in names]
    files = {place for place, entry in enumerate(entries) if not entry.is_folder}
    rows = [
        LabelRow(name, "x", part) for name, part in zip(names, cycle(("train", "", "test")), strict=False)
    ]
    for found in (plan_images(entries), plan_labels(entries, {"a/x.csv": rows, "test.csv": rows[::2]})):
        places = [placed.place for placed in (*found.examples, *found.tests)]
        assert len(places) == len(set(places))
        assert set(places).isdisjoint(found.left_out)
        assert set(places) | set(found.left_out) == files
        assert bool(found.problem) == (not places)
        assert all(placed.label and placed.part != "test" for placed in found.examples)


def test_paths_of_thousands_of_folders_are_left_out_unseen() -> None:
    deep = [f"{'a/' * 32_000}{number}.jpg" for number in range(700)]
    began = time.perf_counter()
    found = plan(*photos("a", "b"), *deep)
    assert time.perf_counter() - began < 5
    assert found.classes == {"a": 2, "b": 2}
    assert list(found.left_out.values()) == [OUTSIDE] * 700
