from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from models_registry.artifacts.views import NETWORK, NETWORK_AND_NGRAMS
from training.engine.loop.loop import Classifier
from training.engine.specs.hyperparameters import Hyperparameters
from training.engine.strategies import best, finetune, network_training, ngrams
from training.engine.strategies.linear_head import Selection
from training.engine.strategies.network_training import Material
from training.engine.training import train

from ..conftest import MakeRequest
from ..small_data import few_digits, few_sentences


@pytest.mark.parametrize("strategy", ["finetune", "best"])
def test_two_examples_of_a_class_are_too_few_to_go_on_training_with(
    make_request: MakeRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    monkeypatch.setattr(finetune, "is_better", lambda *_: True)  # whatever so few examples say
    monkeypatch.setattr(best, "has_less_loss", lambda *_: True)
    request = make_request(
        "textclassification",
        few_sentences(tmp_path / "sentences.csv", each=2, classes=3),
        architecture="minilm",
        strategy=strategy,
    )
    metrics = train(request, lambda _: None, should_stop=lambda: False).metrics
    assert metrics["kept"] == "Fast"
    assert [row["name"] for row in metrics["candidates"]] == ["Fast"]
    assert metrics["too_few_to_train"]


class Enough(Exception):
    """What is to be trained is known."""


def test_network_starts_from_a_head_on_its_features_as_they_are(
    make_request: MakeRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """*Fast* reads roots of them, and a network that is trained through roots ends worse."""
    fitted: list[Selection] = []
    fit_head = finetune.fit_head

    def fit(*arguments: Any) -> Selection:
        fitted.append(fit_head(*arguments))
        return fitted[-1]

    def learn(_: object, material: Material, __: object) -> None:
        raise Enough(material)

    monkeypatch.setattr(finetune, "fit_head", fit)
    monkeypatch.setattr(finetune, "train_network", learn)
    request = make_request("imageclassification", few_digits(tmp_path / "few.zip"), strategy="finetune")
    with pytest.raises(Enough) as caught:
        train(request, lambda _: None, should_stop=lambda: False)
    [material] = caught.value.args
    assert fitted[0].head.reads_roots
    rows = np.array(material.split.train, np.int64)
    value, mask = material.source.batch(rows, torch.device("cpu"), None)
    truth = torch.from_numpy(material.examples.labels[rows])
    classifier = Classifier(material.network, material.head, start=material.start, cut=material.cut)
    with torch.inference_mode():
        assert cross_entropy(classifier.eval()(value, mask), truth) < 0.5
    rooted = torch.from_numpy(fitted[0].head.weight.T)
    assert torch.nn.functional.cosine_similarity(material.head.weight, rooted).max() < 0.95


@pytest.mark.parametrize("view", [NETWORK, NETWORK_AND_NGRAMS])
def test_model_whose_words_alone_were_learnt_from_all_examples_says_so(
    make_request: MakeRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, view: str
) -> None:
    monkeypatch.setattr(network_training, "REFIT_UP_TO", 0)
    monkeypatch.setattr(ngrams, "choose_view", lambda views, **_: {one.name: one for one in views}[view])
    request = make_request(
        "textclassification",
        few_sentences(tmp_path / "sentences.csv", each=10, classes=2),
        architecture="minilm",
        strategy="finetune",
        hyperparameters=Hyperparameters(epochs=1),
    )
    metrics = train(request, lambda _: None, should_stop=lambda: False).metrics
    assert metrics["refit_on_all"] is (view == NETWORK_AND_NGRAMS)
