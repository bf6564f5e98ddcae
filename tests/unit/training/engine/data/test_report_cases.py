"""The files that people really bring, read as the platform reads them; and how an answer is judged."""

import json
from pathlib import Path

import pytest

from inference.batches.limits import limits
from inference.batches.sources import open_source
from models_registry.inputs import Limits, repack
from tests.cases import FILES, TABLE, Answer, Expected, expectations, is_for_model, judge, task_of
from tests.small_cases import unpacked
from training.engine.data import DataError, build_report
from training.engine.data.images import why_unreadable

EXPECTED = expectations()


def classified(path: Path) -> Answer:
    """Return which inputs of a file a model would classify."""
    if path.parent.name == "I00-odd-images":
        reason = why_unreadable(path.read_bytes(), Limits().max_pixels)
        return Answer({}, reason, inputs=not reason)
    try:
        source = open_source(path, is_image=path.suffix == ".zip", limits=limits())
        items = list(source.items(0))
    except DataError as error:
        return Answer({}, str(error))
    problems = [item.problem or why_no_image(item.content) for item in items]
    return Answer({}, "; ".join(filter(None, problems)), inputs=problems.count(""))


def why_no_image(content: bytes | str) -> str:
    return why_unreadable(content, Limits().max_pixels) if isinstance(content, bytes) else ""


def answer_of(name: str, folder: Path) -> Answer:
    path, task = FILES / name, task_of(name)
    if is_for_model(name):
        return classified(path)
    try:
        if task == "imageclassification" and repack(path, folder / "repacked.zip", Limits()):
            path = folder / "repacked.zip"
        report = build_report(path, task_type=task, columns={})
    except DataError as error:
        return Answer({}, str(error))
    if report.problems:
        return Answer({}, " ".join(report.problems))
    left = [f"{one['name']}: {one['reason']}" for one in report.unreadable]
    return Answer(report.classes, "\n".join([*report.warnings, *left]))


@pytest.mark.parametrize("name", EXPECTED)
def test_file_is_handled_well(name: str, tmp_path: Path) -> None:
    assert judge(EXPECTED[name], answer_of(name, tmp_path)) == ("well", "")


def test_small_collection_is_nearly_all_of_it() -> None:
    names = json.loads(TABLE.read_text())
    missing = [name for name in names if not (unpacked() / name).exists()]
    assert len(names) > 250
    assert len(missing) < 10, missing


@pytest.mark.parametrize(
    ("expected", "answer", "verdict"),
    [
        (Expected({"a": 2}), Answer({"a": 2}, "", {"a": 2}), "well"),
        (Expected({"a": 2}, ["odd"]), Answer({"a": 2}, "an odd file"), "well"),
        (Expected({"a": 2}, ["odd"]), Answer({"a": 2}, "nothing"), "poorly"),
        (Expected({"a": 2}), Answer({"a": 2}, "", {"a": 3}), "poorly"),
        (Expected({"a": 2}), Answer({}, "no"), "poorly"),
        (Expected({"a": 2}), Answer({"a": 1}, ""), "wrongly"),
        (Expected(refused="one class"), Answer({}, "There is one class."), "well"),
        (Expected(refused="one class"), Answer({}, "no"), "poorly"),
        (Expected(refused="one class"), Answer({"a": 2}, ""), "wrongly"),
        (Expected({"a": 2}), Answer({}, "500", has_failed=True), "wrongly"),
        (Expected(inputs=3), Answer({}, "", inputs=3), "well"),
        (Expected(inputs=3), Answer({}, "", inputs=2), "wrongly"),
        (Expected(refused="no image"), Answer({}, "", inputs=1), "wrongly"),
    ],
)
def test_verdict(expected: Expected, answer: Answer, verdict: str) -> None:
    assert judge(expected, answer)[0] == verdict
