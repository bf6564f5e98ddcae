"""Images in eight bits beside float32: the accuracy of *Fast*'s files on flowers12's test, and requests a second.

Servers take turns. What a machine does by itself is `chosen`; both ways are measured whatever it chooses. A processor
without VNNI loses digits, so that the file of eight bits may not be published there: the figures then say so and why.
"""

import contextlib
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.ingest import group_of
from benchmarks.labelled_data import CACHE, DATA, Labelled, read_zip, write_zip
from benchmarks.serving import A_PROCESS_A_CORE, UNLIMITED, Load, Server, photo_of, put_under_load, train
from devtools.platform_process import PlatformProcess
from models_registry.artifacts import Predictor
from models_registry.artifacts.eight_bits import eight_bits_pay, speedup
from training.engine import training
from training.engine.request import TrainingRequest

ROUNDS, SECONDS, PHOTO_BYTES = 3, 5.0, 70_000
FULL, EIGHT = "float32", "int8"
KINDS = {FULL: "onnx", EIGHT: "onnx-int8"}


def int8() -> dict[str, Any]:
    """Return accuracies in percent, requests a second, and how both ways compare."""
    CACHE.mkdir(parents=True, exist_ok=True)
    figures = {"block_speedup": round(speedup(), 2), "chosen": EIGHT if eight_bits_pay(CACHE) else FULL}
    figures |= _accuracies()
    return figures | _serving() if figures["published"] else figures


def _accuracies() -> dict[str, Any]:
    """Return how many of flowers12's test photos each file of one model knows, and how the two compare."""
    train_part, test_part = (read_zip(DATA / f"flowers12_{part}.zip") for part in ("train", "test"))
    with tempfile.TemporaryDirectory(prefix="trainyard-bench-") as folder:
        path = Path(folder, "train.zip")
        path.write_bytes(write_zip(train_part))
        request = TrainingRequest(
            public_id="benchmark",
            name="Benchmark",
            task_type="imageclassification",
            architecture="efficientnet lite0",
            strategy="frozen",
            dataset_path=str(path),
            dataset_sha256="",
            columns={},
            output_dir=folder,
            cache_dir=str(CACHE),
        )
        result = training.train(request, lambda _: None, should_stop=lambda: False)
        files = {
            way: Path(folder, result.artifacts[kind])
            for way, kind in KINDS.items()
            if kind in result.artifacts
        }
        found = {f"{way}_accuracy": _accuracy(file, test_part) for way, file in files.items()}
        sizes = {f"{way}_bytes": file.stat().st_size for way, file in files.items()}
    if EIGHT in files:
        found["accuracy_lost"] = round(found[f"{FULL}_accuracy"] - found[f"{EIGHT}_accuracy"], 2)
    return {**found, **sizes, **result.metrics["int8"]}


def _accuracy(onnx: Path, test: Labelled) -> float:
    found = Predictor.from_bytes(onnx.read_bytes()).predict([given for given, _ in test])
    right = sum(one.label == label for one, (_, label) in zip(found, test, strict=True))
    return round(100 * right / len(test), 2)


def _serving() -> dict[str, Any]:
    """Return what one platform answers with each file of the same model, one server after the other."""
    loads: dict[str, list[Load]] = {FULL: [], EIGHT: []}
    with tempfile.TemporaryDirectory(prefix="trainyard-bench-") as folder:
        home, env = Path(folder) / "home", UNLIMITED | A_PROCESS_A_CORE
        with PlatformProcess(home, env=env, backbones=CACHE) as platform:
            token, photo = train(platform, DATA / "flowers12_train.zip"), photo_of(PHOTO_BYTES)
            if not [*platform.home.glob("bucket/**/*.int8.onnx")]:
                raise RuntimeError("The platform has published no file of eight bits, so there is nothing to compare.")
            platform.stop_worker()
            platform.stop_web()
            for _ in range(ROUNDS):
                for way in (FULL, EIGHT):
                    with _answering(platform, way) as pids:
                        server = Server(platform.port, f"/api/v1/models/{token}/predict/", pids)
                        loads[way].append(put_under_load(server, photo, seconds=SECONDS))
    pairs = zip(loads[EIGHT], loads[FULL], strict=True)
    return {
        **{
            f"{way}_requests_per_second": round(statistics.median(one.per_second for one in found), 1)
            for way, found in loads.items()
        },
        "requests_ratio": round(statistics.median(a.per_second / b.per_second for a, b in pairs), 3),
    }


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
