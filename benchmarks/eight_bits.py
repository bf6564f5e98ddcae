"""Images in eight bits beside float32: accuracy on flowers12's test, the seconds of *Fast*, and requests a second.

Both ways take turns. Clients send one of flowers12's photos, whose file has the median size, and a larger one of
640 × 480 pixels, of which decoding and scaling alone take as long as the network of eight bits. What a machine does by
itself is `chosen`; both ways are measured whatever it chooses. A processor without VNNI loses digits, so that the file
of eight bits may not be published there: the figures then say so and why.
"""

import contextlib
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.ingest import group_of
from benchmarks.labelled_data import CACHE, DATA, Labelled, read_zip
from benchmarks.serving import A_PROCESS_A_CORE, UNLIMITED, Load, Server, photo_of, put_under_load, train
from devtools.platform_process import PlatformProcess
from models_registry.artifacts import Predictor
from models_registry.artifacts.eight_bits import eight_bits_pay, speedup
from training.engine import training
from training.engine.request import TrainingRequest, TrainingResult
from training.engine.strategies import features

ROUNDS, SECONDS, LARGER_BYTES = 5, 4.0, 70_000
FULL, EIGHT = "float32", "int8"
KINDS = {FULL: "onnx", EIGHT: "onnx-int8"}


def int8() -> dict[str, Any]:
    """Return accuracies in percent, requests a second, and how both ways compare."""
    CACHE.mkdir(parents=True, exist_ok=True)
    figures = {"block_speedup": round(speedup(), 2), "chosen": EIGHT if eight_bits_pay(CACHE) else FULL}
    figures |= _accuracies() | _learning()
    return figures | _serving() if figures["published"] else figures


def _accuracies() -> dict[str, Any]:
    """Return how many of flowers12's test photos each file of one model knows, and how the two compare."""
    test_part = read_zip(DATA / "flowers12_test.zip")
    with tempfile.TemporaryDirectory(prefix="trainyard-bench-") as folder:
        result = _train(Path(folder))
        files = {
            way: Path(folder, result.artifacts[kind])
            for way, kind in KINDS.items()
            if kind in result.artifacts
        }
        found = {f"{way}_accuracy": _accuracy(file, test_part) for way, file in files.items()}
        sizes = {f"{way}_bytes": file.stat().st_size for way, file in files.items()}
    if EIGHT in files:
        found["accuracy_lost"] = round(found[f"{FULL}_accuracy"] - found[f"{EIGHT}_accuracy"], 2)
    seen = result.metrics.get("features_in_eight_bits", False)
    return {**found, **sizes, **result.metrics["int8"], "features_in_eight_bits": seen}


def _train(folder: Path) -> TrainingResult:
    """Train *Fast* on flowers12 in this process."""
    request = TrainingRequest(
        public_id="benchmark",
        name="Benchmark",
        task_type="imageclassification",
        architecture="efficientnet lite0",
        strategy="frozen",
        dataset_path=str(DATA / "flowers12_train.zip"),
        dataset_sha256="",
        columns={},
        output_dir=str(folder),
        cache_dir=str(CACHE),
    )
    return training.train(request, lambda _: None, should_stop=lambda: False)


def _learning() -> dict[str, Any]:
    """Return the seconds of *Fast* until its model is live, and of its features, each way in turn."""
    seconds: dict[str, list[dict[str, float]]] = {FULL: [], EIGHT: []}
    for _ in range(ROUNDS):
        for way in (FULL, EIGHT):
            may = mock.patch.object(features, "eight_bits_pay", return_value=way == EIGHT)
            with tempfile.TemporaryDirectory(prefix="trainyard-bench-") as folder, may:
                seconds[way].append(_train(Path(folder)).phase_seconds)
    live = {way: [sum(phases.values()) for phases in runs] for way, runs in seconds.items()}
    looked = {way: [phases["features"] for phases in runs] for way, runs in seconds.items()}
    return {
        **{f"{way}_fast_seconds": round(statistics.median(live[way]), 2) for way in live},
        "fast_ratio": _ratio(live[EIGHT], live[FULL]),
        "features_ratio": _ratio(looked[EIGHT], looked[FULL]),
    }


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return round(statistics.median(a / b for a, b in zip(ours, theirs, strict=True)), 3)


def _accuracy(onnx: Path, test: Labelled) -> float:
    found = Predictor.from_bytes(onnx.read_bytes()).predict([given for given, _ in test])
    right = sum(one.label == label for one, (_, label) in zip(found, test, strict=True))
    return round(100 * right / len(test), 2)


def _serving() -> dict[str, Any]:
    """Return what one platform answers with each file of the same model, one server after the other."""
    photos = {"": _photo_of_median_size(), "_of_larger": photo_of(LARGER_BYTES)}
    loads: dict[str, list[Load]] = {way + photo: [] for way in KINDS for photo in photos}
    with tempfile.TemporaryDirectory(prefix="trainyard-bench-") as folder:
        home, env = Path(folder) / "home", UNLIMITED | A_PROCESS_A_CORE
        with PlatformProcess(home, env=env, backbones=CACHE) as platform:
            token = train(platform, DATA / "flowers12_train.zip")
            if not [*platform.home.glob("bucket/**/*.int8.onnx")]:
                raise RuntimeError(
                    "The platform has published no file of eight bits, so there is nothing to compare."
                )
            platform.stop_worker()
            platform.stop_web()
            for _ in range(ROUNDS):
                for way in KINDS:
                    with _answering(platform, way) as pids:
                        server = Server(platform.port, f"/api/v1/models/{token}/predict/", pids)
                        for name, photo in photos.items():
                            loads[way + name].append(put_under_load(server, photo, seconds=SECONDS))
    speeds = {name: [one.per_second for one in found] for name, found in loads.items()}
    return {
        **{
            f"{name}_requests_per_second": round(statistics.median(found), 1)
            for name, found in speeds.items()
        },
        **{f"requests_ratio{name}": _ratio(speeds[EIGHT + name], speeds[FULL + name]) for name in photos},
    }


def _photo_of_median_size() -> bytes:
    photos = sorted((content for content, _ in read_zip(DATA / "flowers12_test.zip")), key=len)
    found = photos[len(photos) // 2]
    assert isinstance(found, bytes)
    return found


@contextlib.contextmanager
def _answering(platform: PlatformProcess, way: str) -> Iterator[list[int]]:
    """Run the web processes with one way to answer; yields their ids."""
    platform.env["PREDICT_IN_EIGHT_BITS"] = str(way == EIGHT).lower()
    platform.start_web()
    assert platform.web is not None
    try:
        yield group_of(platform.web.pid)
    finally:
        platform.stop_web()
