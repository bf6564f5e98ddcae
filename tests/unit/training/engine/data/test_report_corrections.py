"""Report, training and document agree about which examples there are, whatever was said against the guess."""

import base64
import csv
import io
import json
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from models_registry.inputs import Corrections
from training.engine.data import DataError, DataReport, Limits, build_report, iter_training_document_dataset
from training.engine.data.plan import DataPlan, plan_archive_file, plan_table_file
from training.engine.examples import open_examples
from training.engine.request import TrainingRequest

IMAGES, TEXTS = "imageclassification", "textclassification"
ROWS = [
    (f"row {number} of many words", ("Cat", "cat", "dog", "bird", "once")[number % 4]) for number in range(80)
]
ROWS += [("the only one", "once"), ("", "dog"), ("no label", "")]


def photo(number: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (number % 256, number // 256, 77)).save(file, "PNG")
    return file.getvalue()


def archive(path: Path, folders: dict[str, int], **more: bytes) -> Path:
    number = 0
    with zipfile.ZipFile(path, "w") as target:
        for folder, count in folders.items():
            for _ in range(count):
                number += 1
                target.writestr(f"{folder}/{number}.png", photo(number))
        target.writestr(f"{next(iter(folders))}/broken.png", b"no image")
        for name, content in more.items():
            target.writestr(name.replace("__", "."), content)
    return path


def table(path: Path, *, separator: str = ",", heading: bool = True, encoding: str = "utf-8") -> Path:
    file = io.StringIO(newline="")
    rows = [("text", "label"), *ROWS] if heading else ROWS
    csv.writer(file, delimiter=separator).writerows(rows)
    path.write_bytes(file.getvalue().encode(encoding))
    return path


FOLDERS = {"a/Cat/x": 4, "a/Cat/y": 3, "a/cat/x": 5, "a/dog/y": 6, "a/once/y": 1}
SPLIT = {"train/cat": 4, "train/dog": 4, "valid/cat": 3, "valid/dog": 3, "test/cat": 2, "test/dog": 2}
IMAGE_CASES: list[tuple[dict[str, int], dict[str, Any], dict[str, int]]] = [
    (FOLDERS, {}, {"Cat": 7, "cat": 5, "dog": 6}),
    (FOLDERS, {"merge": {"Cat": "cat"}}, {"cat": 12, "dog": 6}),
    (FOLDERS, {"leave_out": ["Cat"]}, {"cat": 5, "dog": 6}),
    (FOLDERS, {"min_examples": 6}, {"Cat": 7, "dog": 6}),
    (FOLDERS, {"class_level": 3}, {"x": 9, "y": 10}),
    (FOLDERS, {"class_level": 3, "merge": {"x": "z"}}, {"y": 10, "z": 9}),
    (SPLIT, {}, {"cat": 7, "dog": 7}),
    (SPLIT, {"merge": {"cat": "kitten"}, "min_examples": 7}, {"dog": 7, "kitten": 7}),
    ({**SPLIT, "train/few": 2}, {"min_examples": 3}, {"cat": 7, "dog": 7}),
    (SPLIT, {"use_split": False}, {"cat": 9, "dog": 9}),
    (SPLIT, {"class_level": 1, "use_split": False}, {"train": 8, "valid": 6, "test": 4}),
    (SPLIT, {"class_level": 2}, {"cat": 7, "dog": 7}),
]
CLASSES = {"Cat": 20, "bird": 20, "cat": 20, "dog": 20}
TABLE_CASES: list[tuple[dict[str, Any], dict[str, Any], dict[str, int]]] = [
    ({}, {}, CLASSES),
    ({}, {"merge": {"Cat": "cat", "once": "cat"}}, {"bird": 20, "cat": 41, "dog": 20}),
    ({}, {"leave_out": ["bird", "dog"]}, {"Cat": 20, "cat": 20}),
    ({}, {"merge": {"Cat": "cat"}, "min_examples": 30, "leave_out": ["once"]}, {"cat": 40}),
    ({"heading": False}, {"heading": False}, CLASSES),
    ({"separator": "#"}, {"separator": "#"}, CLASSES),
    ({"encoding": "utf-16"}, {"encoding": "utf-16"}, CLASSES),
]


def trained(path: Path, task_type: str, report: DataReport, corrections: dict[str, Any]) -> Counter[str]:
    request = TrainingRequest(
        **dict.fromkeys(("public_id", "name", "architecture", "strategy", "output_dir", "cache_dir"), "x"),
        task_type=task_type,
        dataset_path=str(path),
        dataset_sha256=report.sha256,
        columns=report.columns,
        corrections=corrections,
    )
    with open_examples(request) as examples:
        return Counter(examples.classes[number] for number in examples.labels)


def written(path: Path, task_type: str, report: DataReport, corrections: Corrections) -> Counter[str]:
    pieces = iter_training_document_dataset(
        path,
        task_type=task_type,
        columns=report.columns,
        corrections=corrections,
        classes=report.classes,
        unreadable={entry["name"] for entry in report.unreadable},
    )
    found = json.loads(b"".join(pieces))
    if task_type == IMAGES:
        return Counter({label: len(files) for label, files in found.items()})
    rows = csv.DictReader(io.StringIO(base64.b64decode(found).decode(), newline=""))
    return Counter(row["label"] for row in rows)


def planned(path: Path, task_type: str, corrections: Corrections) -> DataPlan:
    plan = plan_archive_file if task_type == IMAGES else plan_table_file
    return plan(path, corrections, Limits(), is_whole=True)


def all_agree(path: Path, task_type: str, said: dict[str, Any]) -> DataReport:
    corrections = Corrections.from_json(said)
    report = build_report(path, task_type=task_type, columns={}, corrections=corrections)
    plan = planned(path, task_type, corrections)
    left_out = sum(reason["count"] for reason in report.left_out) + report.unreadable_count
    assert report.examples == sum(report.classes.values())
    planned_out = sum(reason.number for reason in plan.left_out)
    assert plan.examples + plan.parts.get("test", 0) + planned_out == report.examples + report.test + left_out
    if len(report.classes) < 2:
        assert report.problems
        assert plan.problem
        with pytest.raises(DataError, match="fewer than two classes"):
            trained(path, task_type, report, corrections.to_json())
    else:
        assert trained(path, task_type, report, corrections.to_json()) == report.classes
        assert (plan.problem, plan.classes.keys()) == ("", report.classes.keys())
    assert written(path, task_type, report, corrections) == report.classes
    return report


@pytest.mark.parametrize(("folders", "said", "classes"), IMAGE_CASES)
def test_image_readers_agree(
    tmp_path: Path, folders: dict[str, int], said: dict[str, Any], classes: dict[str, int]
) -> None:
    report = all_agree(archive(tmp_path / "data.zip", folders), IMAGES, said)
    assert report.classes == classes


@pytest.mark.parametrize(("written_as", "said", "classes"), TABLE_CASES)
def test_table_readers_agree(
    tmp_path: Path, written_as: dict[str, Any], said: dict[str, Any], classes: dict[str, int]
) -> None:
    report = all_agree(table(tmp_path / "data.csv", **written_as), TEXTS, said)
    assert (report.classes, report.unreadable_count) == (classes, 2)


def test_labels_from_a_table_or_from_the_folders(tmp_path: Path) -> None:
    labels = "file,label\n" + "\n".join(f"{number}.png,{'xy'[number % 2]}" for number in range(1, 11))
    path = archive(tmp_path / "data.zip", {"a": 5, "b": 5}, labels__csv=labels.encode())
    assert all_agree(path, IMAGES, {}).classes == {"a": 5, "b": 5}
    assert all_agree(path, IMAGES, {"labels_from": "labels.csv"}).classes == {"x": 5, "y": 5}
    with pytest.raises(DataError, match="no file 'other"):
        build_report(
            path,
            task_type=IMAGES,
            columns={},
            corrections=Corrections.from_json({"labels_from": "other.csv"}),
        )


def test_names_in_the_code_page_that_was_named(tmp_path: Path) -> None:
    path = archive(tmp_path / "data.zip", {"XX": 3, "YY": 3})
    path.write_bytes(path.read_bytes().replace(b"XX/", b"\x8e\x8f/").replace(b"YY/", b"\x8e\x90/"))
    assert all_agree(path, IMAGES, {"name_encoding": "cp866"}).classes == {"ОП": 3, "ОР": 3}
