"""What stays together on one side of the split: near copies by themselves, groups where the data name them."""

import csv
import io
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from models_registry.inputs import Corrections
from training.engine.data import DataError, Limits, build_report
from training.engine.data.plan import plan_archive_file, plan_table_file
from training.engine.examples import Examples, open_examples
from training.engine.request import TrainingRequest
from training.engine.training import train

from .conftest import MakeRequest

IMAGES, TEXTS = "imageclassification", "textclassification"
WORDS = [
    f"{first}{second}"
    for first in ("ba", "ko", "tri", "mel")
    for second in ("dan", "lur", "gis", "pon", "vek")
]


def sentence(seed: int) -> str:
    return " ".join(np.random.default_rng(seed).permutation(WORDS)[:8])


def table(path: Path) -> Path:
    """Write a table of twelve customers with eight texts each, of which a class is easy to tell."""
    rows = [
        (
            f"{('cats', 'dogs')[number % 2]} {sentence(number)}",
            ("cat", "dog")[number % 2],
            f"customer {number // 8}",
        )
        for number in range(96)
    ]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label", "customer"), *rows])
    return path


def archive(path: Path) -> Path:
    """Write a zip with a folder for each patient inside those of the classes."""
    generator = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as target:
        for label in ("ill", "well"):
            for patient in range(6):
                for number in range(4):
                    file = io.BytesIO()
                    pixels = generator.integers(0, 255, (4, 4, 3)).astype(np.uint8)
                    Image.fromarray(pixels).resize((40, 40)).save(file, "PNG")
                    target.writestr(f"{label}/patient {patient}/{number}.png", file.getvalue())
    return path


def request(path: Path, task: str, corrections: dict[str, Any]) -> TrainingRequest:
    return TrainingRequest(
        public_id="x",
        name="x",
        task_type=task,
        architecture="",
        strategy="",
        dataset_path=str(path),
        dataset_sha256="",
        columns={},
        output_dir="",
        cache_dir="",
        corrections=corrections,
    )


def sides_of(examples: Examples, names: list[str]) -> dict[str, set[int]]:
    """Return on which sides of the split each group lies."""
    split = examples.split("70 : 30", 0)
    assert split.train
    assert split.validation
    sides: dict[str, set[int]] = defaultdict(set)
    for side, part in enumerate((split.train, split.validation)):
        for index in part:
            sides[names[index]].add(side)
    return sides


def test_column_keeps_its_groups_on_one_side(tmp_path: Path) -> None:
    path = table(tmp_path / "data.csv")
    with path.open(encoding="utf-8") as file:
        customer = {row["text"]: row["customer"] for row in csv.DictReader(file)}
    with open_examples(request(path, TEXTS, {"group": "customer"})) as examples:
        sides = sides_of(examples, [customer[name] for name in examples.names])
        assert examples.independence == {"examples": 96, "groups": 12}
    assert len(sides) == 12
    assert all(len(found) == 1 for found in sides.values())
    with open_examples(request(path, TEXTS, {})) as examples:
        sides = sides_of(examples, [customer[name] for name in examples.names])
    assert any(len(found) == 2 for found in sides.values())


def test_folders_of_a_level_stay_on_one_side_across_classes(tmp_path: Path) -> None:
    path = archive(tmp_path / "data.zip")
    with open_examples(request(path, IMAGES, {"group": 2, "class_level": 1})) as examples:
        sides = sides_of(examples, [name.split("/")[1] for name in examples.names])
        assert examples.independence["groups"] == 6
    assert len(sides) == 6
    assert all(len(found) == 1 for found in sides.values())


def test_report_and_plan_tell_of_groups(tmp_path: Path) -> None:
    corrections = Corrections(group="customer")
    path = table(tmp_path / "data.csv")
    report = build_report(path, task_type=TEXTS, columns={}, corrections=corrections)
    assert report.groups == 12
    assert "There are 12 groups; each stays on one side of the split." in report.warnings
    plan = plan_table_file(path, corrections, limits(), is_whole=True)
    assert "Rows with the same 'customer' stay on one side of the split." in plan.notes
    corrections = Corrections(group=2, class_level=1)
    path = archive(tmp_path / "data.zip")
    assert build_report(path, task_type=IMAGES, columns={}, corrections=corrections).groups == 6
    plan = plan_archive_file(path, corrections, limits(), is_whole=True)
    assert any("level 2 stay on one side" in note for note in plan.notes)


def test_plan_offers_groups_and_takes_them_back(tmp_path: Path) -> None:
    path = table(tmp_path / "data.csv")
    plan = plan_table_file(path, Corrections(), limits(), is_whole=True)
    assert {"group": "customer"} in [offer.corrections for offer in plan.suggestions]
    plan = plan_table_file(path, Corrections(group="customer"), limits(), is_whole=True)
    assert [offer.corrections for offer in plan.suggestions if "group" in offer.corrections] == [
        {"group": None}
    ]
    path = archive(tmp_path / "data.zip")
    plan = plan_archive_file(path, Corrections(class_level=1), limits(), is_whole=True)
    assert [offer.corrections for offer in plan.suggestions if "group" in offer.corrections] == [{"group": 2}]


def limits() -> Limits:
    return Limits()


@pytest.mark.parametrize(("group", "message"), [("patient", "There is no column 'patient' for the groups")])
def test_column_of_groups_has_to_be_there(tmp_path: Path, group: str, message: str) -> None:
    path = table(tmp_path / "data.csv")
    with pytest.raises(DataError, match=message), open_examples(request(path, TEXTS, {"group": group})):
        pass
    assert message in plan_table_file(path, Corrections(group=group), limits(), is_whole=True).problem


@pytest.mark.parametrize(
    ("group", "message"),
    [(5, "not two different folders at level 5"), ("patient", "give the level of theirs")],
)
def test_level_of_groups_has_to_be_there(tmp_path: Path, group: str | int, message: str) -> None:
    path = archive(tmp_path / "data.zip")
    corrections = Corrections(group=group, class_level=1)
    with pytest.raises(DataError, match=message), open_examples(request(path, IMAGES, corrections.to_json())):
        pass
    with pytest.raises(DataError, match=message):
        build_report(path, task_type=IMAGES, columns={}, corrections=corrections)
    assert message in plan_archive_file(path, corrections, limits(), is_whole=True).problem


def test_near_copies_stay_on_one_side_and_the_naive_claim_is_told(
    make_request: MakeRequest, tmp_path: Path
) -> None:
    """Labels are drawn by lot: what is right beyond chance has been seen before."""
    generator = np.random.default_rng(0)
    path = tmp_path / "copies.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("input", "label"))
        for number in range(40):
            label = ("heads", "tails")[generator.integers(2)]
            writer.writerows((f"{sentence(number)}{end}", label) for end in ("", "!", " 1", "?? 2"))
    result = train(make_request(TEXTS, path), lambda _: None, should_stop=lambda: False)
    metrics = result.metrics
    assert metrics["near_copies"] == 120
    assert metrics["cross_validated"] is True
    assert metrics["accuracy"] < 0.8
    assert metrics["naive_accuracy"] > metrics["accuracy"] + 0.15
    assert metrics["accuracy_high"] - metrics["accuracy_low"] > 0.25  # as of 40 examples, not of 160
    report = build_report(path, task_type=TEXTS, columns={})
    assert report.near_copies == 120
    assert any(words.startswith("Near copies of other examples") for words in report.warnings)
