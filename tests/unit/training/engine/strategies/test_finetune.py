from pathlib import Path

import pytest

from training.engine.strategies import best, finetune
from training.engine.training import train

from ..conftest import MakeRequest
from ..small_data import few_sentences


@pytest.mark.parametrize("strategy", ["finetune", "best"])
def test_two_examples_of_a_class_are_too_few_to_go_on_training_with(
    make_request: MakeRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    for module in (finetune, best):
        monkeypatch.setattr(module, "is_better", lambda *_: True)  # whatever so few examples say
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
