"""One training from request to result: prepare, features, fit, export, verify."""

import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from models_registry.artifacts import ModelMetadata
from training.catalogue import Architecture, get_architecture
from training.export.files import write_atomically
from training.export.onnx_graph import graft_head
from training.export.parity import SAMPLES, Parity, measure_parity
from training.export.torchscript import attach_head

from .backbones import PreparedBackbone, get_backbone
from .events import Event, Progress, TrainingError
from .examples import open_examples
from .factory import get_strategy
from .frozen import TrainedHead
from .request import TrainingRequest, TrainingResult

LIBRARIES = ("torch", "onnx", "onnxruntime", "tokenizers", "numpy", "pillow")
SAFE_TOKEN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")  # it becomes a file's name


def train(
    request: TrainingRequest, report: Callable[[Event], None], *, should_stop: Callable[[], bool]
) -> TrainingResult:
    """Train and write the artifacts into the request's output folder.

    Raises `DataError` for the data, `TrainingError` for the settings or a model that fails the
    parity gate, `TrainingStopped` soon after `should_stop` says so.
    """
    progress = Progress(report, should_stop)
    progress.enter("prepare", "Reading the data set")
    architecture = _check(request)
    threads = request.threads or len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    backbone = get_backbone(architecture, Path(request.cache_dir))
    with open_examples(request) as examples:
        trained = get_strategy(request.strategy)(
            request, backbone, examples, threads=threads, progress=progress
        )
        progress.enter("export", "Writing the model's files")
        metadata = _describe(request, architecture, trained.classes)
        artifacts, onnx = _export(request, backbone, trained, metadata, progress)
        progress.enter("verify", "Comparing the files on validation examples")
        parity = _verify(request, artifacts, onnx, trained, threads, progress)
    progress.leave()
    return TrainingResult(
        accuracy=round(100 * trained.metrics["accuracy"], 2),
        classes=list(trained.classes),
        metrics=trained.metrics,
        artifacts=artifacts,
        accuracy_plot=trained.accuracy_plot,
        parity=parity.to_json(),
        phase_seconds=progress.phase_seconds,
    )


def _check(request: TrainingRequest) -> Architecture:
    try:
        architecture = get_architecture(request.architecture)
        get_strategy(request.strategy)
    except ValueError as error:
        raise TrainingError(str(error)) from error
    if architecture.task_type != request.task_type:
        raise TrainingError(f"{architecture.name} is for {architecture.task_type}, not {request.task_type}.")
    if request.strategy not in architecture.strategies:
        known = ", ".join(architecture.strategies)
        raise TrainingError(
            f"{architecture.name} cannot be trained by {request.strategy}. Choose one of {known}."
        )
    if not SAFE_TOKEN.fullmatch(request.token):
        raise TrainingError(
            "The token may have letters, digits, '_', '-' and '.' only: files are named by it."
        )
    return architecture


def _describe(
    request: TrainingRequest, architecture: Architecture, classes: tuple[str, ...]
) -> ModelMetadata:
    return ModelMetadata(
        token=request.token,
        name=request.name,
        task_type=request.task_type,
        architecture=architecture.name,
        strategy=request.strategy,
        classes=classes,
        preprocessing=architecture.preprocessing.to_json(),
        data_sha256=request.dataset_sha256,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions={name: version(name) for name in LIBRARIES},
    )


def _export(
    request: TrainingRequest,
    backbone: PreparedBackbone,
    trained: TrainedHead,
    metadata: ModelMetadata,
    progress: Progress,
) -> tuple[dict[str, str], bytes]:
    """Write the files; returns their names by kind, and the .onnx."""
    output, head, tokenizer = Path(request.output_dir), trained.head, backbone.tokenizer()
    artifacts = {"onnx": f"{request.token}.onnx", "torchscript": f"{request.token}.pt"}
    onnx = graft_head(backbone.onnx.read_bytes(), head.weight, head.bias, metadata, tokenizer)
    progress.check()
    write_atomically(output / artifacts["onnx"], onnx)
    torchscript = attach_head(backbone.torchscript, head.weight, head.bias, metadata, tokenizer)
    progress.check()
    write_atomically(output / artifacts["torchscript"], torchscript)
    if tokenizer is not None:
        artifacts["metadata"] = f"{request.token}_metadata.json"
        described = {**json.loads(metadata.to_json()), "tokenizer": json.loads(tokenizer)}
        write_atomically(output / artifacts["metadata"], json.dumps(described, ensure_ascii=False).encode())
    return artifacts, onnx


def _verify(
    request: TrainingRequest,
    artifacts: dict[str, str],
    onnx: bytes,
    trained: TrainedHead,
    threads: int,
    progress: Progress,
) -> Parity:
    generator = np.random.default_rng(request.seed)
    count = min(SAMPLES, len(trained.validation))
    chosen = generator.choice(trained.validation, count, replace=False)
    parity = measure_parity(
        onnx,
        Path(request.output_dir, artifacts["torchscript"]),
        [trained.examples.raw(int(index)) for index in chosen],
        threads=threads,
        check=progress.check,
    )
    if not parity.holds:
        raise TrainingError(
            f"The .onnx and the .pt disagree: probabilities by up to {parity.max_abs_difference:.1e}, "
            f"{parity.changed_labels} of {parity.samples} labels. The model is not published; report this."
        )
    return parity
