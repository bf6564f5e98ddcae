import csv
import zipfile
from pathlib import Path

import numpy as np
import pytest

from models_registry.artifacts import Predictor
from models_registry.artifacts.model_metrics import test_set_of as shown_of
from training.engine.data import build_report, iter_training_document_dataset
from training.engine.events import Event, ProgressEvent
from training.engine.examples import open_examples
from training.engine.request import TrainingRequest, TrainingResult
from training.engine.training import train

from .conftest import DATA, MakeRequest
from .small_data import few_digits, few_sentences

IMAGE, TEXT = "imageclassification", "textclassification"


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits in train and test folders; the test part also has a copy of a training example and a digit of its own."""
    folder = tmp_path_factory.mktemp("digits")
    with (
        zipfile.ZipFile(few_digits(folder / "few.zip")) as source,
        zipfile.ZipFile(DATA[IMAGE]) as all_of_them,
        zipfile.ZipFile(folder / "parts.zip", "w") as target,
    ):
        for name in source.namelist():
            part = "test" if int(name[2:4]) > 5 else "train"
            target.writestr(f"{part}/{name}", source.read(name))
        target.writestr("test/1/copy.png", source.read("1/01.png"))
        target.writestr("test/7/01.png", all_of_them.read("7/01.png"))
    return folder / "parts.zip"


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sentences with a column that says which part of a split they belong to."""
    folder = tmp_path_factory.mktemp("sentences")
    rows = list(csv.DictReader(few_sentences(folder / "few.csv").open(newline="", encoding="utf-8")))
    parts = ("train", "Training", "train", "validation", "TEST")
    with (folder / "parts.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label", "Split"))
        writer.writerows((row["input"], row["label"], parts[n % 5]) for n, row in enumerate(rows))
        writer.writerow(("Which one is this?", "another", "test"))
    return folder / "parts.csv"


def trained(request: TrainingRequest) -> tuple[TrainingResult, list[Event]]:
    events: list[Event] = []
    return train(request, events.append, should_stop=lambda: False), events


def test_report_counts_the_test_part_apart(digits: Path, sentences: Path) -> None:
    found = build_report(digits, task_type=IMAGE, columns={})
    assert (found.examples, found.test, found.classes) == (15, 10, {"0": 5, "1": 5, "2": 5})
    assert any("test part is kept apart: 10 examples" in words for words in found.warnings)
    assert any("only the test part has enough examples: '7'" in words for words in found.warnings)
    table = build_report(sentences, task_type=TEXT, columns={})
    assert (table.examples, table.test, table.validation) == (39, 9, 9)
    assert table.columns == {"input": "text", "label": "label", "split": "Split"}


def test_report_trains_on_all_where_the_split_has_no_training_part(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("text,label,split\n" + "".join(f"text {n},{'ab'[n % 2]},test\n" for n in range(20)))
    found = build_report(path, task_type=TEXT, columns={})
    assert (found.examples, found.test, found.columns) == (20, 0, {"input": "text", "label": "label"})
    assert any("'split' names no training part" in words for words in found.warnings)


def test_report_leaves_out_rows_of_an_unknown_part(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    rows = [f"text {n},{'ab'[n % 2]},{'train' if n < 400 else 'later'}\n" for n in range(410)]
    path.write_text("text,label,split\n" + "".join(rows))
    found = build_report(path, task_type=TEXT, columns={})
    assert (found.examples, found.unreadable_count) == (400, 10)
    assert found.unreadable[0]["reason"] == "'later' in 'split' is no part of a split"
    assert build_report(path, task_type=TEXT, columns={"split": ""}).examples == 410


@pytest.mark.parametrize("task", [IMAGE, TEXT])
def test_no_strategy_sees_the_test_part(
    make_request: MakeRequest, digits: Path, sentences: Path, task: str
) -> None:
    path = digits if task == IMAGE else sentences
    columns = build_report(path, task_type=task, columns={}).columns
    request = make_request(task, dataset_path=str(path), dataset_sha256="", columns=columns)
    with open_examples(request) as examples:
        assert examples.tests is not None
        tests = {examples.tests.raw(index) for index in range(len(examples.tests.labels))}
        assert not tests & {examples.raw(index) for index in range(len(examples))}
        assert len(tests) == 9
        assert (examples.tests.copies, examples.tests.unknown) == ((1, 1) if task == IMAGE else (0, 1))
    document = b"".join(iter_training_document_dataset(path, task_type=task, columns=columns))
    everything = b"".join(
        iter_training_document_dataset(path, task_type=task, columns={**columns, "split": ""})
    )
    assert (len(document) < len(everything)) == (task == TEXT)


@pytest.mark.parametrize("task", [IMAGE, TEXT])
def test_finished_model_is_measured_on_the_test_part(
    make_request: MakeRequest, digits: Path, sentences: Path, task: str
) -> None:
    path = digits if task == IMAGE else sentences
    columns = build_report(path, task_type=task, columns={}).columns
    request = make_request(task, dataset_path=str(path), dataset_sha256="", columns=columns)
    result, events = trained(request)
    found = result.metrics["test"]
    predictor = Predictor.from_bytes(Path(request.output_dir, result.artifacts["onnx"]).read_bytes())
    with open_examples(request) as examples:
        assert examples.tests is not None
        labels = examples.tests.labels
        answers = predictor.probabilities([examples.tests.raw(index) for index in range(len(labels))])
    assert found["examples"] == len(labels) == 9
    assert found["accuracy"] == pytest.approx(np.mean(answers.argmax(1) == labels))
    assert "Measuring on the test set" in {e.message for e in events if isinstance(e, ProgressEvent)}
    shown = shown_of({"test": found})
    assert shown is not None
    assert str(shown).startswith(
        f"test set: 9 examples, accuracy {100 * found['accuracy']:.2f} % (95 % interval "
    )


@pytest.mark.parametrize(
    "metrics", [{}, {"test": None}, {"test": {"examples": 0}}, {"test": {"examples": "9"}}]
)
def test_models_without_a_test_part_show_none(metrics: dict[str, object]) -> None:
    assert shown_of(metrics) is None
