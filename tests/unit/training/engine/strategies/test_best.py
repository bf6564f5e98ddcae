from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models_registry.artifacts import Predictor
from training.engine.data import Split
from training.engine.events import TrainingStopped
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
    monkeypatch.setattr(best, "has_less_loss", lambda *_: True)  # whatever twelve sentences say
    monkeypatch.setattr(best, "DRAWS", 2)
    monkeypatch.setattr(best, "MOST_ON_ALL", 3)
    tried: list[str] = []
    on_all: list[str] = []
    learn, say, learn_all = best.Training.learn, best.Training._averaged_say, best.Training._learn_all

    def unsure(training: best.Training, recipe: best.Recipe, turn: Split) -> best.Learnt:
        tried.append(recipe.title)
        learnt = learn(training, recipe, turn)
        return replace(learnt, probabilities=np.full_like(learnt.probabilities, 1 / 3))

    def better_each_time(training: best.Training, *given: object) -> object:
        said = say(training, *given)  # type: ignore[arg-type]
        sure = np.eye(said.shape[1], dtype=np.float32)[training.truth]
        return np.where(np.arange(len(sure))[:, None] < len(training.soup) + 2, sure, np.float32(1 / 3))

    def watched_on_all(training: best.Training, way: best.Answer, *given: object) -> object:
        on_all.append(way.recipe.title)
        return learn_all(training, way, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(best.Training, "learn", unsure)
    monkeypatch.setattr(best.Training, "_averaged_say", better_each_time)
    monkeypatch.setattr(best.Training, "_learn_all", watched_on_all)
    request = make_request(
        "textclassification",
        few_sentences(tmp_path / "sentences.csv", each=4, classes=3),
        architecture="minilm",
        strategy="best",
        hyperparameters=Hyperparameters(epochs=1, budget_minutes=10),
    )
    result = train(request, lambda _: None, should_stop=lambda: False)
    names = list(dict.fromkeys(title.partition(",")[0] for title in tried))
    assert names == ["last stages", "more stages", "whole network"]
    assert any(title.endswith("draw 2") for title in tried), "what has joined is drawn again"
    metrics = result.metrics
    assert metrics["kept"].startswith("Mean of ")
    assert {row["name"] for row in metrics["candidates"]} == {"Fast", metrics["kept"], *tried}
    assert len(on_all) == 3
    assert set(on_all) <= set(tried)
    assert metrics["cross_validated"], "four sentences a class are few"
    assert result.parity["changed_labels"] == 0
    served = Predictor.from_bytes(Path(request.output_dir, result.artifacts["onnx"]).read_bytes())
    assert served.probabilities(["where is my card"]).shape == (1, len(result.classes))
    assert torch.jit.load(Path(request.output_dir, result.artifacts["torchscript"])) is not None


def test_later_attempt_goes_on_with_the_networks_that_have_joined(
    make_request: MakeRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(best, "has_less_loss", lambda *_: True)
    monkeypatch.setattr(best, "DRAWS", 1)
    monkeypatch.setattr(best, "MOST_ON_ALL", 1)
    recipes, held_out = best.Training.recipes, best.Training.held_out
    monkeypatch.setattr(best.Training, "recipes", lambda training: recipes(training)[:2])
    tried: list[str] = []
    dies = True

    def watched(training: best.Training, recipe: best.Recipe) -> object:
        if dies and tried:
            raise TrainingStopped
        tried.append(recipe.title)
        return held_out(training, recipe)

    monkeypatch.setattr(best.Training, "held_out", watched)
    request = make_request(
        "textclassification",
        few_sentences(tmp_path / "sentences.csv", each=40, classes=2),
        architecture="minilm",
        strategy="best",
        checkpoint_dir=str(tmp_path / "checkpoints"),
        hyperparameters=Hyperparameters(epochs=1, budget_minutes=10),
    )
    with pytest.raises(TrainingStopped):
        train(request, lambda _: None, should_stop=lambda: False)
    dies = False
    result = train(request, lambda _: None, should_stop=lambda: False)
    assert len(tried) == len(set(tried)) == 2, "nothing is trained twice"
    assert result.metrics["cross_validated"], "a validation part of two dozen says too little"
    assert {row["name"] for row in result.metrics["candidates"]} >= {"Fast", *tried}
    assert result.metrics["kept"] in (tried[0], tried[1], "Mean of 2 ways")


def test_network_that_beats_fast_on_many_examples_has_its_data_judged(
    make_request: MakeRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(best, "has_less_loss", lambda *_: True)
    recipes = best.Training.recipes
    monkeypatch.setattr(best.Training, "recipes", lambda training: recipes(training)[:1])
    monkeypatch.setattr(best, "DRAWS", 1)
    monkeypatch.setattr(best, "MOST_ON_ALL", 1)
    monkeypatch.setattr(best, "LEAST_VALIDATED", 1)
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


def test_where_there_is_no_time_for_the_usual_epochs_the_cheapest_way_trains_for_fewer(
    make_request: MakeRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(best, "has_less_loss", lambda *_: True)
    monkeypatch.setattr(best, "DRAWS", 1)
    monkeypatch.setattr(best, "MOST_ON_ALL", 1)
    monkeypatch.setattr(best, "rounds_of", lambda _: [1_000_000])
    recipes = best.Training.recipes
    monkeypatch.setattr(best.Training, "recipes", lambda training: recipes(training)[:1])
    monkeypatch.setattr(best, "fewest_epochs", lambda _: 2)
    request = make_request(
        "textclassification",
        few_sentences(tmp_path / "sentences.csv", each=40, classes=2),
        architecture="minilm",
        strategy="best",
        hyperparameters=Hyperparameters(budget_minutes=10),
    )
    result = train(request, lambda _: None, should_stop=lambda: False)
    assert result.metrics["kept"] == "last stages, 2 epochs at 0.001"
    assert len(result.metrics["curve"]) == 2
    assert result.metrics["refit_on_all"]
