"""Every task, model, strategy, optimizer and schedule at least once with each of the others' kinds."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer

from models_registry.artifacts import Predictor
from models_registry.artifacts.metadata import NGRAM_IDS, NGRAM_WEIGHTS, NGRAMS_KEY
from models_registry.artifacts.ngrams import NgramVocabulary, pad_ngrams
from models_registry.artifacts.views import NETWORK
from training.engine.catalogue import ARCHITECTURES
from training.engine.examples import open_examples
from training.engine.loop.optimization import OPTIMIZERS
from training.engine.request import TrainingRequest, TrainingResult
from training.engine.specs.hyperparameters import Hyperparameters
from training.engine.specs.strategies import STRATEGIES
from training.engine.training import train

from .conftest import MakeRequest
from .small_data import few_digits, few_sentences

IMAGE, TEXT = "imageclassification", "textclassification"
STEP = {"step_lr": {"step_size": 3, "gamma": 0.5}}
PLATEAU = {"reduce_lr_on_plateau": {"factor": 0.5, "patience": 2, "min_lr": 1e-5}}
SMALL = {"batch_size": 4, "epochs": 6}

# Model, strategy, and settings; None of a setting is the strategy's own choice.
MATRIX: list[tuple[str, str, dict[str, Any]]] = [
    ("efficientnet lite0", "frozen", {}),
    ("efficientnet lite0", "finetune", {"batch_size": 8, "epochs": 4}),
    ("efficientnet lite0", "finetune", {**SMALL, "optimizer": "sgd", **STEP, "trainable": "head"}),
    (
        "efficientnet lite0",
        "finetune",
        {**SMALL, "epochs": 3, "optimizer": "adam", **PLATEAU, "trainable": "all"},
    ),
    ("efficientnet lite0", "finetune", {"epochs": 2, "augmentation": "strong", "class_weights": True}),
    ("efficientnet lite0", "scratch", {**SMALL, "optimizer": "adam", "augmentation": "none"}),
    ("mobilenet v2", "scratch", {**SMALL, "optimizer": "sgd", **STEP}),
    ("resnet18", "scratch", {**SMALL, "optimizer": "adamw", "early_stopping": 4, **STEP}),
    ("resnet34", "scratch", {**SMALL, "optimizer": "sgd", "epochs": 5, "augmentation": "none", **PLATEAU}),
    ("minilm", "frozen", {}),
    ("minilm", "finetune", {"epochs": 2, "optimizer": "adam", **STEP}),
    ("minilm", "finetune", {"epochs": 2, "optimizer": "sgd", "trainable": "all", "gradient_clipping": 1.0}),
    ("minilm", "finetune", {"epochs": 4, "trainable": "head", **PLATEAU}),
    ("efficientnet lite0", "best", {"epochs": 1, "budget_minutes": 2}),
    ("minilm", "best", {"epochs": 2, "budget_minutes": 2}),
    ("minilm", "scratch", {"batch_size": 16, "epochs": 6, "optimizer": "adamw"}),
    ("lstm", "finetune", {"batch_size": 16, "epochs": 8, "optimizer": "adam", **STEP}),
    ("lstm", "scratch", {"batch_size": 16, "epochs": 8, "optimizer": "adamw", **PLATEAU}),
    ("gru", "finetune", {"batch_size": 16, "epochs": 8, "optimizer": "sgd", "label_smoothing": 0.0}),
    ("gru", "scratch", {"batch_size": 16, "epochs": 8, "class_weights": True, "early_stopping": 5}),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("data")
    return {
        IMAGE: few_digits(folder / "digits.zip", each=12, classes=2),
        "scratch": few_digits(folder / "more.zip", each=40, classes=2),
        TEXT: few_sentences(folder / "sentences.csv", each=30),
    }


def with_numpy_alone(onnx: bytes, raw: list[bytes | str]) -> tuple[np.ndarray, list[dict[str, np.ndarray]]]:
    """What somebody gets who has the file, numpy, Pillow or tokenizers, and this page of code."""
    session = onnxruntime.InferenceSession(onnx)
    properties = session.get_modelmeta().custom_metadata_map
    settings = json.loads(properties["trainyard"])["preprocessing"]
    feeds = []
    for given in raw:
        if isinstance(given, str):
            tokenizer = Tokenizer.from_str(properties["tokenizer.json"])
            tokenizer.no_padding()
            tokenizer.enable_truncation(settings["max_length"])
            ids = np.array([tokenizer.encode(given).ids], np.int64)
            feeds.append({"input_ids": ids, "attention_mask": np.ones_like(ids)})
            if NGRAMS_KEY in properties:
                vocabulary = NgramVocabulary.from_json(properties[NGRAMS_KEY])
                names = NGRAM_IDS, NGRAM_WEIGHTS
                feeds[-1] |= zip(names, pad_ngrams(vocabulary.encode([given])), strict=True)
        else:
            image = Image.open(io.BytesIO(given)).convert("RGB")
            side = min(image.size) * settings["crop"] / settings["resize"]
            left, top = (image.width - side) / 2, (image.height - side) / 2
            size = (settings["crop"], settings["crop"])
            image = image.resize(size, Image.Resampling.BICUBIC, (left, top, left + side, top + side))
            pixels = (np.asarray(image, np.float32) / 255 - settings["mean"]) / settings["std"]
            feeds.append({"image": pixels.transpose(2, 0, 1)[None].astype(np.float32)})
    return np.concatenate([session.run(["probabilities"], feed)[0] for feed in feeds]), feeds


def some_inputs(request: TrainingRequest) -> list[bytes | str]:
    with open_examples(request) as examples:
        return [examples.raw(index) for index in range(0, len(examples), 6)]


def _rows() -> list[Any]:
    """The matrix; the rows that are not one of a kind are for `make soak`."""
    sampled = {("efficientnet lite0", "frozen"), ("minilm", "frozen"), ("lstm", "finetune")}
    sampled |= {("efficientnet lite0", "finetune"), ("minilm", "finetune")}
    rows = []
    for row in MATRIX:
        marks = () if row[:2] in sampled else pytest.mark.long
        sampled.discard(row[:2])
        rows.append(pytest.param(*row, marks=marks))
    return rows


@pytest.mark.parametrize(("architecture", "strategy", "settings"), _rows())
def test_model_learns_and_its_files_agree(
    make_request: MakeRequest,
    data: dict[str, Path],
    architecture: str,
    strategy: str,
    settings: dict[str, Any],
) -> None:
    task_type = ARCHITECTURES[architecture].task_type
    request = make_request(
        task_type,
        data["scratch" if strategy == "scratch" and task_type == IMAGE else task_type],
        architecture=architecture,
        strategy=strategy,
        hyperparameters=Hyperparameters(**settings),
    )
    result = train(request, lambda _: None, should_stop=lambda: False)
    _check_figures(result, strategy)
    onnx = Path(request.output_dir, result.artifacts["onnx"]).read_bytes()
    raw = some_inputs(request)
    served = Predictor.from_bytes(onnx).probabilities(raw)
    alone, feeds = with_numpy_alone(onnx, raw)
    np.testing.assert_allclose(alone, served, atol=1e-3)
    network = torch.jit.load(Path(request.output_dir, result.artifacts["torchscript"]))
    with torch.inference_mode():
        rows = [network(*(torch.from_numpy(value) for value in feed.values())).softmax(1) for feed in feeds]
    np.testing.assert_allclose(torch.cat(rows).numpy(), alone, atol=1e-3)


def _check_figures(result: TrainingResult, strategy: str) -> None:
    metrics = result.metrics
    assert metrics["accuracy"] > metrics["majority_baseline"]
    assert result.parity["max_abs_difference"] < 1e-3
    assert result.parity["changed_labels"] == 0
    assert json.loads(json.dumps(result.to_json())) == result.to_json()
    if "candidates" in metrics:
        losses = [row["loss"] for row in metrics["candidates"]]
        assert losses == sorted(losses) or strategy != "best"
        assert metrics["kept"] in [row["name"] for row in metrics["candidates"]]
    if "best_epoch" in metrics and strategy != "best":
        best = metrics["curve"][metrics["best_epoch"] - 1]
        measured = next(
            (view["accuracy"] for view in metrics.get("views", ()) if view["name"] == NETWORK),
            metrics["accuracy"],
        )
        assert best["validation_accuracy"] == pytest.approx(measured, abs=1e-4)
        assert best["validation_loss"] == min(epoch["validation_loss"] for epoch in metrics["curve"])


def test_matrix_covers_all_there_is() -> None:
    tried = {(architecture, strategy) for architecture, strategy, _ in MATRIX}
    for architecture in ARCHITECTURES.values():
        for strategy in architecture.available_strategies:
            if architecture.name not in ("efficientnet lite1", "efficientnet lite2"):  # lite0, larger
                assert (architecture.name, strategy) in tried
    assert {strategy for _, strategy in tried} == set(STRATEGIES)
    used = [settings for _, _, settings in MATRIX]
    assert {settings.get("optimizer") for settings in used} == {*OPTIMIZERS, None}
    schedules = {"step_lr", "reduce_lr_on_plateau"}
    combined = {
        (settings["optimizer"], name)
        for settings in used
        for name in schedules & settings.keys() or {"one_cycle"}
        if "optimizer" in settings
    }
    assert combined == {(optimizer, name) for optimizer in OPTIMIZERS for name in (*schedules, "one_cycle")}
