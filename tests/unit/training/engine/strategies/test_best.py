from pathlib import Path

import numpy as np
import pytest
import torch

from models_registry.artifacts import Predictor
from training.engine.seen_examples import read_seen_examples
from training.engine.specs.hyperparameters import Hyperparameters
from training.engine.strategies import best
from training.engine.training import train

from ..conftest import MakeRequest
from ..small_data import few_sentences


@pytest.mark.long
def test_mean_of_networks_is_published_with_the_figures_of_what_was_held_out(
    make_request: MakeRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(best, "is_better", lambda *_: True)  # whatever twenty sentences say
    tried: list[str] = []
    held_out = best.Training.held_out

    def watched(training: best.Training, recipe: best.Recipe) -> object:
        tried.append(recipe.title)
        probabilities, curve = held_out(training, recipe)
        sure = np.eye(probabilities.shape[1], dtype=np.float32)[training.truth]
        return (sure if recipe.members > 1 else np.full_like(sure, 1 / sure.shape[1])), curve

    monkeypatch.setattr(best.Training, "held_out", watched)
    request = make_request(
        "textclassification",
        few_sentences(tmp_path / "sentences.csv", each=4, classes=3),
        architecture="minilm",
        strategy="best",
        hyperparameters=Hyperparameters(epochs=1, budget_minutes=10),
    )
    result = train(request, lambda _: None, should_stop=lambda: False)
    assert [title.partition(",")[0] for title in tried[::2]][:3] == [
        "last stages",
        "more stages",
        "whole network",
    ]
    assert tried[-1].endswith("mean of 3")
    metrics = result.metrics
    assert metrics["kept"] == tried[-1]
    assert {row["name"] for row in metrics["candidates"]} == {"Fast", *tried}
    assert metrics["accuracy"] > 0.9
    assert metrics["cross_validated"], "five sentences a class are few"
    assert result.parity["changed_labels"] == 0
    served = Predictor.from_bytes(Path(request.output_dir, result.artifacts["onnx"]).read_bytes())
    assert served.probabilities(["where is my card"]).shape == (1, len(result.classes))
    assert torch.jit.load(Path(request.output_dir, result.artifacts["torchscript"])) is not None


def test_network_that_beats_fast_on_many_examples_has_its_data_judged(
    make_request: MakeRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(best, "is_better", lambda *_: True)
    recipes = best.Training.recipes
    monkeypatch.setattr(best.Training, "recipes", lambda training: recipes(training)[:1])
    monkeypatch.setattr(best, "AVERAGED", 1)
    request = make_request(
        "textclassification",
        few_sentences(tmp_path / "sentences.csv", each=40, classes=2),
        architecture="minilm",
        strategy="best",
        hyperparameters=Hyperparameters(epochs=1, budget_minutes=10),
    )
    result = train(request, lambda _: None, should_stop=lambda: False)
    assert not result.metrics["cross_validated"], "eighty sentences of two classes are many"
    assert result.metrics["kept"].startswith("last stages")
    _, columns = read_seen_examples(Path(request.output_dir, result.examples))
    assert all(value is not None for value in columns["given"]), "each sentence was held out once"
