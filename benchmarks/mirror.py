"""What keeping inference.json in step costs, with a registry of the size that hurts.

10,000 models, each with a plot of the size that training draws, make a document of some 140 MB. Four
processes save 1,000 times in bursts on PostgreSQL and a local S3 server; afterwards every save must be in
the document, and the bucket must have seen far fewer writes than the database. Then one process
publishes single changes and, in turn, PUTs the same bytes with plain boto3: the bound that nobody who
writes the document can be faster than.
"""

import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from devtools import servers
from devtools.platform_process import ROOT, PlatformProcess

MODELS = int(os.environ.get("TRAINYARD_BENCH_MODELS", "10000"))
SAVES = int(os.environ.get("TRAINYARD_BENCH_SAVES", "1000"))
PROCESSES = 4
BURST = 25  # saves that a process makes in a row; then it waits for the others
RUNS = 9
PLOTS = 20  # different pictures, handed round
CLASSES = [f"class {number}" for number in range(12)]
DOCUMENT = "inference.json"
PATIENCE = 600.0  # seconds until everything that was saved has to be in the bucket


def mirror() -> dict[str, Any]:
    """1,000 saves from 4 processes into a document of 10,000 models; then publish against bare PUT."""
    with _platform() as env:
        seeded = _Child("seed", env=env).result()
        with contextlib.ExitStack() as stack:
            children = [
                stack.enter_context(_Child("save", str(number), env=env)) for number in range(PROCESSES)
            ]
            for child in children:
                child.hear()
            began = time.perf_counter()
            _let_burst(children)
            committed = time.perf_counter() - began
            reports = [child.result() for child in children]
            in_step = time.perf_counter() - began
        measured = _Child("measure", env=env).result()
        publish, bare_put = (statistics.median(measured[name]) for name in ("publish", "bare_put"))
        puts = sum(report["puts"] for report in reports)
        flags = {token: flag for report in reports for token, flag in report["flags"].items()}
        return {
            "saves_per_second": round(SAVES / in_step, 1),
            "commits_per_second": round(SAVES / committed, 1),
            "puts": puts,
            "lost": _lost(env, {**flags, **measured["flags"]}, seeded["models"]),
            "publish_ms": round(1000 * publish, 1),
            "bare_put_ms": round(1000 * bare_put, 1),
            "publish_ratio": round(publish / bare_put, 2),
            "saves_per_put": round(SAVES / puts, 1),
            "document_mb": round(measured["bytes"] / 1e6, 1),
            "models": MODELS,
            "saves": SAVES,
        }


@contextlib.contextmanager
def _platform() -> Iterator[dict[str, str]]:
    """Yield the environment of a platform on PostgreSQL and a local S3 server."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(servers.s3_server())
        env = {"DATABASE_URL": stack.enter_context(servers.postgres_database()), **server.env}
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trainyard-bench-"))) / "home"
        platform = stack.enter_context(PlatformProcess(home, env=env, web=False, worker=False))
        yield {**platform.django_env, "LOG_LEVEL": "ERROR"}


class _Child:
    """This module as a program in a process of its own: it says lines, and ends with one of JSON."""

    def __init__(self, *arguments: str, env: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.mirror", *arguments],
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "_Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def hear(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"A process of the benchmark ended with {self.process.wait()}.")
        return line

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        print(line, file=self.process.stdin, flush=True)

    def result(self) -> Any:
        return json.loads(self.hear())


def _let_burst(children: list[_Child]) -> None:
    """Start all processes at once for each burst, so that they meet."""
    for _ in range(SAVES // PROCESSES // BURST):
        for child in children:
            child.say("burst")
        for child in children:
            child.hear()
    for child in children:
        child.say("")


def _lost(env: Mapping[str, str], flags: Mapping[str, bool], models: int) -> int:
    """Count the saves that are not in the document, and the models that are missing or too many."""
    client = servers.S3Server(env["S3_ENDPOINT_URL"], env["S3_BUCKET"]).client()
    document = json.loads(client.get_object(Bucket=env["S3_BUCKET"], Key=DOCUMENT)["Body"].read())
    wrong = sum(document.get(token, {}).get("downloadable") is not flag for token, flag in flags.items())
    return wrong + abs(len(document) - models)


# The rest runs in the children -------------------------------------------------------------------


def _seed() -> dict[str, Any]:
    """Fill the registry, as if it had grown for years, and publish it once."""
    from documents.publish import Outcome, publish
    from models_registry.models import Artifact, Project, RegisteredModel

    plots = _plots()
    projects = Project.objects.bulk_create(
        [
            Project(token=f"project-{number}", name=f"Model {number}", task_type="imageclassification")
            for number in range(MODELS)
        ],
        batch_size=500,
    )
    models = RegisteredModel.objects.bulk_create(
        [
            RegisteredModel(
                project=projects[number],
                version=1,
                token=_token(number),
                name=f"Model {number}",
                task_type="imageclassification",
                architecture="efficientnet lite0",
                strategy="frozen",
                classes=CLASSES,
                accuracy=50 + number % 50,
                accuracy_plot=plots[number % PLOTS],
            )
            for number in range(MODELS)
        ],
        batch_size=500,
    )
    Artifact.objects.bulk_create(
        [
            Artifact(
                model=model,
                kind=kind,
                key=f"imageclassification/{model.token}/1/model.{ending}",
                size=1,
                sha256="0" * 64,
            )
            for model in models
            for kind, ending in ((Artifact.Kind.ONNX, "onnx"), (Artifact.Kind.TORCHSCRIPT, "pt"))
        ],
        batch_size=2000,
    )
    outcome = publish(DOCUMENT, repair=True)
    if outcome is Outcome.FAILED:
        raise RuntimeError(f"The registry could not be published: {outcome}")
    return {"models": len(models)}


def _plots() -> list[str]:
    """Draw what training draws."""
    from training.engine.strategies.linear_head import PathPoint
    from training.engine.strategies.plot import draw_path

    drawn = []
    for number in range(PLOTS):
        dice, points = random.Random(number), []  # noqa: S311 - pictures
        for step in range(18):
            train = min(1.0, 0.4 + 0.04 * step + dice.uniform(0, 0.05))
            validation = min(0.98, 0.38 + 0.035 * step + dice.uniform(0, 0.05))
            points.append(
                PathPoint(
                    strength=10 ** (2 - 0.3 * step),
                    train_accuracy=train,
                    validation_accuracy=validation,
                    train_loss=1 - train,
                    validation_loss=1 - validation,
                )
            )
        drawn.append(draw_path(points, 14, 1 / 12, points[14].validation_accuracy))
    return drawn


def _token(number: int) -> str:
    return f"imageClassification-model_{number}-{number:032x}"


def _save(process: int) -> dict[str, Any]:
    """Save in bursts, each save a transaction, as requests do; models of other processes are left alone.

    Returns when all of it is in the bucket.
    """
    from documents.publish import publish_or_raise
    from models_registry.models import RegisteredModel

    puts, flags = _count_puts(), {}
    dice = random.Random(process)  # noqa: S311 - an order of saves
    mine = [number for number in range(MODELS) if number % PROCESSES == process]
    print("ready", flush=True)
    while sys.stdin.readline().strip():
        for _ in range(BURST):
            model = RegisteredModel.objects.get(token=_token(dice.choice(mine)))
            model.downloadable = not model.downloadable
            model.save()
            flags[model.token] = model.downloadable
        print("done", flush=True)
    publish_or_raise(DOCUMENT, timeout_seconds=PATIENCE)
    return {"flags": flags, "puts": len(puts)}


def _count_puts() -> list[str]:
    """Return a list that grows with every write of the document that the bucket has taken."""
    from bucket.factory import get_bucket
    from bucket.s3 import S3Bucket

    store, puts = get_bucket(), []
    assert isinstance(store, S3Bucket)

    def count(http_response: Any, **_: Any) -> None:
        if http_response.status_code == 200 and http_response.url.endswith(f"/{DOCUMENT}"):
            puts.append(http_response.url)

    for operation in ("PutObject", "CompleteMultipartUpload"):
        store.client.meta.events.register(f"after-call.s3.{operation}", count)
    return puts


def _measure() -> dict[str, Any]:
    """Publish one change and PUT the same bytes, in turn; the first of each warms up."""
    from django.conf import settings

    from bucket.factory import get_bucket
    from bucket.s3 import S3Bucket

    store = get_bucket()
    assert isinstance(store, S3Bucket)
    publish, bare_put, flags, size = [], [], {}, 0
    for number in range(RUNS + 1):
        seconds, token, flag = _publish_one(number)
        publish.append(seconds)
        flags[token] = flag
        stored = store.get(DOCUMENT)
        assert stored is not None
        size = len(stored.body)
        began = time.perf_counter()
        store.client.put_object(
            Bucket=settings.S3_BUCKET, Key="bare.json", Body=stored.body, ContentType="application/json"
        )
        bare_put.append(time.perf_counter() - began)
    return {"publish": publish[1:], "bare_put": bare_put[1:], "bytes": size, "flags": flags}


def _publish_one(number: int) -> tuple[float, str, bool]:
    """Save one model; return the seconds from its commit until it is in the document."""
    from django.db import transaction

    from documents.publish import publish_or_raise
    from models_registry.models import RegisteredModel

    began: list[float] = []
    with transaction.atomic():
        transaction.on_commit(lambda: began.append(time.perf_counter()))
        model = RegisteredModel.objects.get(token=_token(number * 7))
        model.downloadable = not model.downloadable
        model.save()
    publish_or_raise(DOCUMENT, timeout_seconds=PATIENCE)
    return time.perf_counter() - began[0], model.token, model.downloadable


def _main() -> None:
    """Run one part in a process of its own."""
    sys.path.insert(0, str(ROOT / "platform"))
    import django

    django.setup()
    part, *arguments = sys.argv[1:]
    result = {"seed": _seed, "measure": _measure}[part]() if part != "save" else _save(int(arguments[0]))
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    _main()
