import io
import json
import zipfile
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from models_registry.inputs import Corrections, Entry, LabelRow, plan_labels
from tests.sheets import xlsx
from training.engine.data import build_report
from training.engine.data.label_tables import rank_of, read_label_table

PHOTOS = [f"photos/{number:03}.jpg" for number in range(8)]
LABELS = ["cat", "dog"] * 4
PAIRS = list(zip(PHOTOS, LABELS, strict=True))
COCO = {
    "images": [{"id": n, "file_name": name, "width": 9} for n, (name, _) in enumerate(PAIRS)],
    "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    "annotations": [
        {"id": 10 * n + twice, "image_id": n, "category_id": 1 + (label == "dog"), "bbox": [0, 0, 1, 1]}
        for n, (_, label) in enumerate(PAIRS)
        for twice in (0, 1)
    ],
}


def parquet() -> bytes:
    buffer = io.BytesIO()
    names, labels = zip(*PAIRS, strict=True)
    pyarrow.parquet.write_table(pyarrow.table({"file_name": list(names), "label": list(labels)}), buffer)
    return buffer.getvalue()


TABLES: dict[str, bytes | str] = {
    "labels.csv": "image,label\n" + "".join(f"{name},{label}\n" for name, label in PAIRS),
    "kaggle.csv": "Id,Pawpularity kind,height\n"
    + "".join(f"{Path(name).stem},{label},{n * 7 % 11}\n" for n, (name, label) in enumerate(PAIRS)),
    "pipe.csv": "id|breed\n" + "".join(f"{Path(name).stem}|{label}\n" for name, label in PAIRS),
    "_classes.csv": "filename,cat,dog\n"
    + "".join(f"{name},{int(label == 'cat')},{int(label == 'dog')}\n" for name, label in PAIRS),
    "list.json": json.dumps([{"file": name, "label": label} for name, label in PAIRS]),
    "below.json": json.dumps({"version": 2, "items": [{"path": n, "class": [c]} for n, c in PAIRS]}),
    "map.json": json.dumps(dict(PAIRS)),
    "objects.json": json.dumps({name: {"label": label, "score": 1} for name, label in PAIRS}),
    "metadata.jsonl": "\n".join(json.dumps({"file_name": n, "label": c}) for n, c in PAIRS),
    "instances.json": json.dumps(COCO),
    "metadata.parquet": parquet(),
    "labels.xlsx": xlsx([("Photo", "Kind"), *((Path(name).name, label) for name, label in PAIRS)]),
    "train_list.txt": "".join(f"{name} {label}\n" for name, label in PAIRS),
    "no heading.csv": "".join(f"{Path(name).name},{label}\n" for name, label in PAIRS),
    "windows.csv": "path,label\n"
    + "".join(f"C:\\Users\\ann\\{n.replace('/', chr(92))},{c}\n" for n, c in PAIRS),
    "addresses.csv": "url,label\n"
    + "".join(f"https://example.com/shop/{Path(n).name}?size=9,{c}\n" for n, c in PAIRS),
    "capitals.csv": "file,label\n" + "".join(f"{Path(n).name.upper()},{c}\n" for n, c in PAIRS),
    "converted.csv": "file,label\n" + "".join(f"{Path(n).stem}.png,{c}\n" for n, c in PAIRS),
    "classes.json": json.dumps({label: [n for n, c in PAIRS if c == label] for label in ("cat", "dog")}),
    "old page.csv": "Küche;Art\n".encode("cp1252") + "".join(f"{n};{c}\n" for n, c in PAIRS).encode(),
}


def as_bytes(content: bytes | str) -> bytes:
    return content if isinstance(content, bytes) else content.encode()


@pytest.mark.parametrize("table", TABLES)
def test_labels_are_read_from_what_lies_beside_the_photos(table: str) -> None:
    read = read_label_table(table, as_bytes(TABLES[table]), [*PHOTOS, table])
    assert read is not None
    entries = [Entry(name) for name in PHOTOS]
    planned = plan_labels(entries, {table: read.rows})
    assert [(entries[one.place].name, one.label) for one in planned.examples] == PAIRS


@pytest.mark.parametrize(
    ("table", "content"),
    [
        ("config.json", '{"name": "x", "layers": [1, 2]}'),
        ("broken.json", '{"name": '),
        ("deep.json", "[" * 100_000),
        ("list.json", "[1, 2, 3]"),
        ("empty.json", "[]"),
        ("notes.csv", "hello\nworld\n"),
        ("two.csv", "image,width,height\n" + "".join(f"{name},1,2\n" for name in PHOTOS)),
        ("sizes.csv", "image,w,h\n" + "".join(f"{name},{n},{n}\n" for n, name in enumerate(PHOTOS))),
        ("bad.parquet", "PAR1 not really"),
        ("empty.csv", ""),
    ],
)
def test_other_files_give_no_labels(table: str, content: str) -> None:
    assert read_label_table(table, content.encode(), PHOTOS) is None


def test_photo_of_several_classes_has_no_label_of_its_own() -> None:
    read = read_label_table("c.csv", b"filename,cat,dog\na.jpg,1,1\nb.jpg,0,1\n", ["a.jpg", "b.jpg"])
    assert read is not None
    assert read.rows == [LabelRow("a.jpg", ""), LabelRow("b.jpg", "dog")]


def test_column_of_a_split_says_the_part_of_each_photo() -> None:
    lines = [f"{name},{label},{('train', 'val')[n % 2]}" for n, (name, label) in enumerate(PAIRS)]
    content = "\n".join(["file_name,label,split", *lines]).encode()
    read = read_label_table("metadata.csv", content, PHOTOS)
    assert read is not None
    assert [row.part for row in read.rows] == ["train", "valid"] * 4
    passed = read_label_table("metadata.csv", content, PHOTOS, Corrections(split=""))
    assert passed is not None
    assert {row.part for row in passed.rows} == {""}


def test_columns_that_may_hold_the_labels_are_named_until_one_is_chosen() -> None:
    lines = [f"{Path(name).stem},{label},{'mf'[n % 3 > 0]}" for n, (name, label) in enumerate(PAIRS)]
    content = "\n".join(["id,kind,sex", *lines]).encode()
    unclear = read_label_table("meta.csv", content, PHOTOS)
    assert unclear is not None
    assert (unclear.rows, unclear.choices) == ([], ["kind", "sex"])
    chosen = read_label_table("meta.csv", content, PHOTOS, Corrections(label="kind"))
    assert chosen is not None
    assert [row.label for row in chosen.rows] == LABELS


def test_table_with_the_labels_is_ranked_before_one_to_fill_in() -> None:
    tables = [("sample_submission.csv", 9), ("extra.csv", 8), ("train.csv", 8), ("test.csv", 9)]
    assert max(tables, key=lambda one: rank_of(*one))[0] == "train.csv"


@pytest.mark.parametrize("table", ["instances.json", "metadata.jsonl", "labels.xlsx", "_classes.csv"])
def test_archive_with_such_a_table_is_a_data_set(tmp_path: Path, table: str) -> None:
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number, name in enumerate(PHOTOS):
            picture = io.BytesIO()
            Image.new("RGB", (9, 9), (number * 20, 0, 0)).save(picture, "PNG")
            archive.writestr(name, picture.getvalue())
        archive.writestr(table, as_bytes(TABLES[table]))
        archive.writestr("sample_submission.csv", "file,label\n" + "".join(f"{n},cat\n" for n in PHOTOS))
    report = build_report(path, task_type="imageclassification", columns={})
    assert (report.classes, report.problems) == ({"cat": 4, "dog": 4}, [])
    assert f"The labels are those of {table}." in report.warnings
    assert "Other tables with labels are not used: sample_submission.csv." in report.warnings


def test_tables_of_the_parts_of_a_split_go_along_with_one_another(tmp_path: Path) -> None:
    path = tmp_path / "coco.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for part, count in (("train", 6), ("val", 2)):
            ids = range(count)
            for number in ids:
                picture = io.BytesIO()
                Image.new("RGB", (9, 9), (number * 20, len(part), 0)).save(picture, "PNG")
                archive.writestr(f"coco/{part}2017/{part}{number}.png", picture.getvalue())
            described = {
                "images": [{"id": n, "file_name": f"{part}{n}.png"} for n in ids],
                "categories": COCO["categories"],
                "annotations": [{"id": n, "image_id": n, "category_id": 1 + n % 2} for n in ids],
            }
            archive.writestr(f"coco/annotations/instances_{part}2017.json", json.dumps(described))
    report = build_report(path, task_type="imageclassification", columns={})
    assert (report.classes, report.validation, report.problems) == ({"cat": 4, "dog": 4}, 2, [])
