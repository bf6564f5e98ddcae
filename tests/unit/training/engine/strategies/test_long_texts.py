"""Texts that are longer than what an encoder reads at a time, in training and in the files that come out."""

import csv
import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from models_registry.artifacts import Predictor
from training.engine.catalogue import get_architecture
from training.engine.events import Progress
from training.engine.export.torchscript import load_torchscript
from training.engine.request import TrainingRequest, TrainingResult
from training.engine.strategies.long_texts import MOST_WINDOWS, measure_reading, windows_worth_trying
from training.engine.training import train
from training.engine.weights_files import read_verified

from ..conftest import DATA, MakeRequest

LETTERHEAD = "Thank you for your letter of last week, which we have read with great interest. "  # 17 tokens
CLASSES = 4


def long_letters(path: Path) -> Path:
    """Two letters of each class, so few that n-grams are not looked at: a long letterhead, and then what counts."""
    kept: dict[str, list[str]] = {}
    with DATA["textclassification"].open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            kept.setdefault(row["label"], []).append(row["input"])
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("input", "label"))
        for label, texts in islice(kept.items(), CLASSES):
            for half in (texts[:8], texts[8:16]):
                writer.writerow((LETTERHEAD * 16 + " ".join(half), label))
    return path


@pytest.fixture(scope="module")
def letters(
    make_request: MakeRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrainingRequest, TrainingResult]:
    path = long_letters(tmp_path_factory.mktemp("letters") / "letters.csv")
    request = make_request("textclassification", path)
    return request, train(request, lambda _: None, should_stop=lambda: False)


def test_whole_texts_are_read_where_their_beginnings_say_nothing(
    letters: tuple[TrainingRequest, TrainingResult],
) -> None:
    request, result = letters
    assert result.metrics["accuracy"] == 1
    reading = result.metrics["reading"]
    assert (reading["windows"], reading["texts"], reading["longer"]) == (MOST_WINDOWS, 8, 8)
    assert reading["unseen"] == 0
    described = json.loads(Path(request.output_dir, result.artifacts["metadata"]).read_text(encoding="utf-8"))
    assert described["preprocessing"] == {"max_length": 256, "windows": MOST_WINDOWS}


@pytest.mark.parametrize("kind", ["onnx", "onnx-int8", "torchscript"])
def test_files_read_whole_texts(letters: tuple[TrainingRequest, TrainingResult], kind: str) -> None:
    """They know long texts by what their beginnings do not say, and take a short one in the same batch."""
    request, result = letters
    path = Path(request.output_dir, result.artifacts[kind])
    with Path(request.dataset_path).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    texts = [row["input"] for row in rows] + ["Where is my card?"]
    predictor = Predictor.from_bytes(Path(request.output_dir, result.artifacts["onnx"]).read_bytes())
    if kind == "torchscript":
        network, _ = load_torchscript(path)
        found = np.empty((len(texts), CLASSES), np.float32)
        for indices, feeds in predictor.batches(texts):
            found[indices] = network(*map(torch.from_numpy, feeds.values())).softmax(1).detach().numpy()
    else:
        found = Predictor.from_bytes(path.read_bytes()).probabilities(texts)
    assert [result.classes[number] for number in found[:-1].argmax(1)] == [row["label"] for row in rows]
    assert found[-1].sum() == pytest.approx(1, abs=1e-4)


def test_whole_texts_are_not_looked_at_where_few_are_long() -> None:
    tokenizer = _tokenizer()
    architecture = get_architecture("minilm")
    long, short = "word " * 300, "a few words"
    assert windows_worth_trying(architecture, tokenizer, [long] * 2 + [short] * 98) == 1
    assert windows_worth_trying(architecture, tokenizer, [long] * 10 + [short] * 90) == MOST_WINDOWS
    # Many characters are not many tokens.
    assert windows_worth_trying(architecture, tokenizer, ["information " * 200] * 100) == 1


def test_what_a_network_did_not_see_is_measured() -> None:
    progress = Progress(lambda _: None, lambda: False)
    preprocessing = get_architecture("minilm").text_preprocessing
    texts = ["word " * 508, "word " * 254, "short"]
    reading = measure_reading(_tokenizer(), preprocessing, texts, progress)
    assert reading == {"tokens": 256, "windows": 1, "texts": 3, "longer": 1, "unseen": 0.5}
    assert measure_reading(_tokenizer(), preprocessing, texts[1:], progress) is None


def _tokenizer() -> str:
    tokenizer = get_architecture("minilm").tokenizer
    assert tokenizer is not None
    return read_verified(tokenizer).decode()
