"""One training from request to result: prepare, what the strategy does, export, verify."""

import base64
import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from models_registry.artifacts import ImagePreprocessing, ModelMetadata, TextPreprocessing
from models_registry.artifacts.metadata import IMAGE_CLASSIFICATION, TEXT_CLASSIFICATION
from models_registry.artifacts.model_metrics import ModelMetrics, QuantizedMetrics

from .catalogue import Architecture, as_described, get_architecture
from .data.images import thumbnail
from .events import Event, FindingsEvent, Progress, ResultEvent, TrainingError
from .examples import open_examples
from .export.atomic_files import write_atomically
from .export.classifier import ExportedClassifier
from .export.onnx_graph import export_onnx
from .export.parity import SAMPLES, Answers, Parity, answers_of_files, compare
from .export.quantized import compare_quantized
from .export.torchscript import export_torchscript
from .fault_injection import crash_point
from .held_out import measure_test_part
from .loop.checkpoints import Checkpoints
from .loop.distributed import joined, own_rank
from .networks.backbones import exported_network, quantized_network
from .request import TrainingRequest, TrainingResult
from .seen_examples import NOT_JUDGED, write_seen_examples
from .specs.strategies import find_strategy
from .strategies.base import Assignment, TrainedModel
from .strategies.factory import get_strategy
from .strategies.feature_cache import FeatureCache
from .strategies.judge import judge
from .strategies.long_texts import measure_reading
from .strategies.naive_split import claimed
from .strategies.ngrams import join_ngrams

LIBRARIES = ("torch", "onnx", "onnxruntime", "tokenizers", "numpy", "pillow")
CALIBRATED_BY, AT_ONCE = 32, 4  # photos by which a trained network is brought to eight bits
THUMBNAIL = 96  # pixels, of the longer side
SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")  # it becomes a file's name


def train(
    request: TrainingRequest, report: Callable[[Event], None], *, should_stop: Callable[[], bool]
) -> TrainingResult:
    """Train and write the artifacts into the request's output folder.

    The result is reported as soon as the model can go live; then the data are looked at once more, and what is found
    is reported as well. Returns the result with what was found. Raises `DataError` for the data, `TrainingError` for
    the settings or a model that fails the parity gate, `TrainingStopped` soon after `should_stop` says so.
    """
    progress = Progress(report, should_stop)
    with _learn(request, progress) as (assignment, trained):
        result = _finish(request, assignment, trained, progress)
        report(ResultEvent(result))
        findings = _look_again(request, trained, progress)
        report(findings)
    metrics = result.metrics.copy()
    if findings.naive_accuracy is not None:
        metrics["naive_accuracy"] = findings.naive_accuracy
    return replace(result, metrics=metrics, examples=findings.examples)


def _finish(
    request: TrainingRequest, assignment: Assignment, trained: TrainedModel, progress: Progress
) -> TrainingResult:
    """Write the model's files and prove that they agree. Raises `TrainingError`, `TrainingStopped`."""
    architecture, threads = assignment.architecture, assignment.threads
    progress.enter("export", "Writing the model's files")
    preprocessing = architecture.preprocessing
    if isinstance(preprocessing, TextPreprocessing):
        preprocessing = replace(preprocessing, windows=trained.windows)
    metadata = _describe(request, architecture, trained.classes, preprocessing)
    artifacts, onnx = _export(request, architecture, trained, metadata, progress)
    crash_point("export.done")
    progress.enter("verify", "Verifying the files on validation examples")
    parity, quantized = _verify(request, artifacts, onnx, _samples(request, trained), threads, progress)
    metrics = trained.metrics.copy()
    if trained.tokenizer is not None and isinstance(preprocessing, TextPreprocessing):
        texts = trained.examples.names
        reading = measure_reading(trained.tokenizer, preprocessing, texts, progress)
        if reading is not None:
            metrics["reading"] = reading
    if quantized is not None:
        metrics["int8"] = quantized
    if (part := trained.examples.tests) is not None:
        tested = measure_test_part(part, onnx, trained.classes, threads=threads, progress=progress)
        if tested is not None:
            metrics["test"] = tested
    _picture_mistakes(request, metrics, trained)
    artifacts["evaluation"] = f"{request.public_id}_evaluation.json"
    evaluation = json.dumps({**json.loads(metadata.to_json()), "metrics": metrics}, ensure_ascii=False)
    write_atomically(Path(request.output_dir, artifacts["evaluation"]), evaluation.encode())
    listed = f"{request.public_id}_examples.parquet"
    write_seen_examples(Path(request.output_dir, listed), request, trained.examples, NOT_JUDGED)
    crash_point("verify.done")
    progress.leave()
    return TrainingResult(
        accuracy=round(100 * trained.metrics["accuracy"], 2),
        classes=list(trained.classes),
        metrics=metrics,
        artifacts=artifacts,
        accuracy_plot=trained.draw(trained.metrics["accuracy"]),
        parity=parity.to_json(),
        phase_seconds=progress.phase_seconds,
        examples=listed,
        features=assignment.features.written,
        fingerprint=assignment.features.fingerprint,
    )


def _look_again(request: TrainingRequest, trained: TrainedModel, progress: Progress) -> FindingsEvent:
    """Write what is to be said of each example. Raises `TrainingStopped`."""
    judged = judge(trained, request.seed, progress.check)
    found = f"{request.public_id}_findings.parquet"
    write_seen_examples(Path(request.output_dir, found), request, trained.examples, judged)
    return FindingsEvent(found, claimed(trained.metrics["accuracy"], trained.naive_gain()))


def assist(request: TrainingRequest) -> None:
    """Train as a rank that is not the first one: nothing is told, kept or written. Raises as `train` does."""
    with _learn(request, Progress(lambda _: None, lambda: False)):
        pass


@contextlib.contextmanager
def _learn(request: TrainingRequest, progress: Progress) -> Iterator[tuple[Assignment, TrainedModel]]:
    """Train; the examples stay open for those who want to see how well."""
    progress.enter("prepare", "Reading the data set")
    architecture = _check(request)
    device = choose_device(request.devices)
    with open_examples(request) as examples, joined(device) as ranks:
        threads = max(1, (request.threads or len(os.sched_getaffinity(0))) // ranks.world_size)
        torch.set_num_threads(threads)
        checkpoints = Checkpoints(request, progress, writes=ranks.is_first)
        ranks.wait()  # until the first has removed what is not this request's
        keeps_nothing = find_strategy(request.strategy).trains_network
        assignment = Assignment(
            request=request,
            architecture=architecture,
            examples=examples,
            threads=threads,
            device=device,
            progress=progress,
            checkpoints=checkpoints,
            features=FeatureCache(request, writes=ranks.is_first and not keeps_nothing),
            ranks=ranks,
        )
        trained = get_strategy(request.strategy)(assignment)
        if request.task_type == TEXT_CLASSIFICATION and ranks.is_first:
            trained = join_ngrams(assignment, trained)
        yield assignment, trained


def choose_device(wanted: Sequence[str]) -> torch.device:
    """Return the device asked for, this rank's of several, or the best there is. Raises `TrainingError`."""
    best = "cuda" if torch.cuda.is_available() else "cpu"
    name = wanted[own_rank() or 0] if wanted else best
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise TrainingError(f"There is no device {name!r}. Use cpu, cuda or cuda:1.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise TrainingError(
            f"The device {name} is asked for, but this machine has no GPU that torch can use."
        )
    if device.index is not None:
        torch.cuda.set_device(device)  # "cuda" means this one from now on
    return device


def _check(request: TrainingRequest) -> Architecture:
    try:
        architecture = get_architecture(request.architecture).pinned(request.digests)
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
    reason = architecture.unavailable_because(request.strategy)
    if reason:
        raise TrainingError(reason)
    if not SAFE_NAME.fullmatch(request.public_id):
        raise TrainingError(
            "The public identifier may have letters, digits, '_', '-' and '.' only: files are named by it."
        )
    return as_described(architecture, request.digests)


def _describe(
    request: TrainingRequest,
    architecture: Architecture,
    classes: tuple[str, ...],
    preprocessing: ImagePreprocessing | TextPreprocessing,
) -> ModelMetadata:
    return ModelMetadata(
        public_id=request.public_id,
        name=request.name,
        task_type=request.task_type,
        architecture=architecture.name,
        strategy=request.strategy,
        classes=classes,
        preprocessing=preprocessing.to_json(),
        data_sha256=request.dataset_sha256,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions={name: version(name) for name in LIBRARIES},
    )


def _export(
    request: TrainingRequest,
    architecture: Architecture,
    trained: TrainedModel,
    metadata: ModelMetadata,
    progress: Progress,
) -> tuple[dict[str, str], bytes]:
    """Write the files; returns their names by kind, and the .onnx."""
    output, cache = Path(request.output_dir), Path(request.cache_dir)
    artifacts = {"onnx": f"{request.public_id}.onnx", "torchscript": f"{request.public_id}.pt"}
    graph = script = None
    if trained.head is not None:
        exported = exported_network(architecture, trained.state, cache)
        graph, script = exported.onnx, exported.torchscript
    classifier = ExportedClassifier(trained.head, trained.ngrams, metadata, trained.tokenizer)
    onnx = export_onnx(graph, classifier)
    progress.check()
    write_atomically(output / artifacts["onnx"], onnx)
    crash_point("export.onnx")
    torchscript = export_torchscript(script, classifier)
    progress.check()
    write_atomically(output / artifacts["torchscript"], torchscript)
    if request.task_type == TEXT_CLASSIFICATION:
        artifacts["metadata"] = f"{request.public_id}_metadata.json"
        described = {**json.loads(metadata.to_json()), **classifier.described_inputs()}
        write_atomically(output / artifacts["metadata"], json.dumps(described, ensure_ascii=False).encode())
        progress.check()
    if graph is not None:
        photos = partial(_photos_to_calibrate_by, request, architecture, trained, progress)
        smaller = quantized_network(architecture, trained.state, graph, cache, photos)
        if smaller is not None:
            artifacts["onnx-int8"] = f"{request.public_id}.int8.onnx"
            write_atomically(output / artifacts["onnx-int8"], export_onnx(smaller, classifier))
    return artifacts, onnx


def _photos_to_calibrate_by(
    request: TrainingRequest, architecture: Architecture, trained: TrainedModel, progress: Progress
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield some photos, whatever part they are of: their classes do not matter."""
    preprocessing = architecture.image_preprocessing
    drawn = np.random.default_rng(request.seed).permutation(len(trained.examples))[:CALIBRATED_BY]
    for start in range(0, len(drawn), AT_ONCE):
        progress.check()
        contents = [trained.examples.raw(int(index)) for index in drawn[start : start + AT_ONCE]]
        yield preprocessing.normalise(
            [preprocessing.pixels(one) for one in contents if isinstance(one, bytes)]
        )


def _samples(request: TrainingRequest, trained: TrainedModel) -> list[bytes | str]:
    """Return some raw inputs of the validation part."""
    generator = np.random.default_rng(request.seed)
    count = min(SAMPLES, len(trained.validation))
    chosen = generator.choice(trained.validation, count, replace=False)
    return [trained.examples.raw(int(index)) for index in chosen]


def _verify(
    request: TrainingRequest,
    artifacts: dict[str, str],
    onnx: bytes,
    samples: Sequence[bytes | str],
    threads: int,
    progress: Progress,
) -> tuple[Parity, QuantizedMetrics | None]:
    """Return how the two full files compare, and the .onnx of eight bits with them. Raises `TrainingError`."""
    output = Path(request.output_dir)
    smaller = (output / artifacts["onnx-int8"]).read_bytes() if "onnx-int8" in artifacts else None
    answers = answers_of_files(
        onnx, output / artifacts["torchscript"], smaller, samples, threads=threads, check=progress.check
    )
    parity = compare(answers.served, answers.scripted)
    if not parity.holds:
        raise TrainingError(
            f"The .onnx and the .pt disagree: probabilities by up to {parity.max_abs_difference:.1e}, "
            f"{parity.changed_labels} of {parity.samples} labels. The model is not published; report this."
        )
    if answers.quantized is None:
        return parity, None
    return parity, _judge_quantized(output, artifacts, answers.served, answers.quantized)


def _judge_quantized(
    output: Path, artifacts: dict[str, str], served: Answers, quantized: Answers
) -> QuantizedMetrics:
    """Remove the .onnx of eight bits if it answers otherwise; returns how it compares."""
    parity = compare_quantized(served, quantized)
    if not parity.holds:
        (output / artifacts.pop("onnx-int8")).unlink()
    return {**parity.to_json(), "published": parity.holds}


def _picture_mistakes(request: TrainingRequest, metrics: ModelMetrics, trained: TrainedModel) -> None:
    """Add a small JPEG, as base64, to each of the worst mistakes of an image model."""
    if request.task_type != IMAGE_CLASSIFICATION:
        return
    places = {trained.examples.names[index]: index for index in trained.validation}
    for mistake in metrics["worst_mistakes"]:
        with contextlib.suppress(Exception):  # an image that is good, but not for show
            content = trained.examples.raw(places[mistake["input"]])
            assert isinstance(content, bytes)
            mistake["thumbnail"] = base64.b64encode(thumbnail(content, THUMBNAIL)).decode()
