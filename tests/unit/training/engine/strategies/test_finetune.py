from pathlib import Path

import pytest

from training.engine.strategies import finetune
from training.engine.training import train

from ..conftest import MakeRequest
from ..small_data import few_sentences


def test_two_examples_of_a_class_are_too_few_to_fine_tune_on(
    make_request: MakeRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finetune, "is_better", lambda *_: True)  # whatever so few examples say
    request = make_request(
        "textclassification",
        few_sentences(tmp_path / "sentences.csv", each=2, classes=3),
        architecture="minilm",
        strategy="finetune",
    )
    metrics = train(request, lambda _: None, should_stop=lambda: False).metrics
    assert metrics["kept"] == "Fast"
    assert [row["name"] for row in metrics["candidates"]] == ["Fast"]
