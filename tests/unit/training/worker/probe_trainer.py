"""A trainer that only counts epochs: it stops, dies, takes up again and tells as real ones do.

It runs in a real child process. What it is to do it reads from its request; imports nothing heavy.
"""

import json
import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from training.engine import child
from training.engine.events import Event, Progress, ResultEvent, RunningMetrics
from training.engine.request import TrainingResult

EPOCHS = 8
SECONDS = 0.15  # of an epoch


def run_job(job: child.Job, events: Connection, commands: Connection) -> None:
    """Stand in for `child.run_job`, with a training that counts."""
    child._work = count
    child.run_job(job, events, commands)


def count(job: child.Job, report: Callable[[Event], None], should_stop: Callable[[], bool]) -> None:
    """Count epochs; die where the seed says so, in the first attempt only."""
    assert job.request is not None
    request = job.request
    progress = Progress(report, should_stop)
    saved = Path(request.checkpoint_dir, "checkpoint.json")
    first = json.loads(saved.read_text())["epoch"] + 1 if saved.exists() else 1
    progress.enter("train", "Counting", EPOCHS)
    for epoch in range(first, EPOCHS + 1):
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            progress.check()
            time.sleep(0.01)
        draft = saved.with_suffix(".draft")
        draft.write_text(json.dumps({"epoch": epoch, "first": first}))
        draft.replace(saved)
        progress.checkpoint((saved.name,), epoch)
        progress.tell(epoch, EPOCHS, "Counting", RunningMetrics(epoch=epoch, epochs=EPOCHS))
        if request.seed == epoch and first == 1:
            os._exit(9)
    progress.leave()
    names = {"onnx": f"{request.public_id}.onnx", "torchscript": f"{request.public_id}.pt"}
    for name in names.values():
        Path(request.output_dir, name).write_bytes(b"a model")
    result = TrainingResult(
        accuracy=90.0,
        classes=["daisy", "iris"],
        metrics={"first_epoch": first},
        artifacts=names,
        accuracy_plot="iVBORw0KGgo=",
        parity={},
        phase_seconds={},
    )
    report(ResultEvent(result))
