"""Two processes that train one network together, as two GPUs would; here on the CPU, through gloo."""

import dataclasses
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from models_registry.artifacts import Predictor
from training.engine.events import Event, FailureEvent, FindingsEvent, ProgressEvent, ResultEvent
from training.engine.process import TrainerProcess
from training.engine.request import TrainingRequest, TrainingResult
from training.engine.specs.hyperparameters import Hyperparameters

from ..conftest import DATA, MakeRequest
from ..small_data import few_digits, few_sentences

IMAGE, TEXT = "imageclassification", "textclassification"
PATIENCE = 240.0  # seconds, on a machine that others use as well


def run(request: TrainingRequest, until: Callable[[Event], bool] = lambda _: False) -> Any:
    """Train in a child process; returns the last event, or the process as soon as an event is waited for."""
    trainer, deadline = TrainerProcess(), time.monotonic() + PATIENCE
    trainer.start(request)
    last: Event | None = None
    while time.monotonic() < deadline:
        event = trainer.next_event(timeout=1.0)
        if event is not None:
            last = last if isinstance(event, FindingsEvent) else event
            if until(event):
                return trainer
        elif not trainer.is_alive():
            trainer.stop(0)
            return last
    trainer.stop(0)
    raise AssertionError(f"The training has not ended: {last} {trainer.log_tail(3000)}")


def trains(event: Event) -> bool:
    return isinstance(event, ProgressEvent) and event.phase == "train"


def result_of(request: TrainingRequest) -> TrainingResult:
    event = run(request)
    log = Path(request.output_dir, "trainer.log").read_text(errors="replace")[-3000:]
    assert isinstance(event, ResultEvent), f"{event} {log}"
    assert event.result is not None
    return event.result


def descendants(pid: int) -> Iterator[int]:
    for path in Path("/proc").glob(f"{pid}/task/*/children"):
        for child in map(int, path.read_text().split()):
            yield child
            yield from descendants(child)


def ranks_of(trainer: TrainerProcess) -> list[int]:
    assert trainer.pid is not None
    found = []
    for pid in descendants(trainer.pid):
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
        if "training.engine.run" in command and "torch.distributed.run" not in command:
            found.append(pid)
    return found


@pytest.mark.long
def test_two_ranks_find_what_one_finds(make_request: MakeRequest, tmp_path: Path) -> None:
    """Without chance (dropout) and what looks at a batch alone (normalisation), the networks are the same."""
    request = make_request(
        TEXT,
        few_sentences(tmp_path / "sentences.csv"),
        strategy="finetune",
        hyperparameters=Hyperparameters(trainable="head", epochs=6, batch_size=7, class_weights=True),
    )
    alone = result_of(request)
    together_request = dataclasses.replace(
        request,
        device="cpu,cpu",
        output_dir=str(tmp_path / "output"),
        checkpoint_dir=str(tmp_path / "checkpoint"),
    )
    Path(together_request.output_dir).mkdir()
    together = result_of(together_request)
    assert together.metrics["accuracy"] == pytest.approx(alone.metrics["accuracy"])
    for one, two in zip(alone.metrics["curve"], together.metrics["curve"], strict=True):
        assert two == pytest.approx(one, rel=1e-4, abs=1e-4)
    texts: list[bytes | str] = ["Where is my card?", "What is the exchange rate?"]
    served = [
        Predictor.from_bytes(Path(folder, result.artifacts["onnx"]).read_bytes()).probabilities(texts)
        for folder, result in (
            (request.output_dir, alone),
            (together_request.output_dir, together),
        )
    ]
    assert served[0] == pytest.approx(served[1], abs=1e-4)


@pytest.mark.long
@pytest.mark.parametrize(
    ("task_type", "settings"),
    [
        (IMAGE, {"strategy": "finetune", "hyperparameters": Hyperparameters(epochs=4, batch_size=8)}),
        (
            IMAGE,
            {
                "strategy": "finetune",
                "hyperparameters": Hyperparameters(trainable="all", epochs=3, augmentation="light"),
            },
        ),
        (TEXT, {"strategy": "frozen"}),
        (
            TEXT,
            {"strategy": "finetune", "architecture": "lstm", "hyperparameters": Hyperparameters(epochs=8)},
        ),
    ],
)
def test_two_ranks_learn_as_well_as_one(
    make_request: MakeRequest, tmp_path: Path, task_type: str, settings: dict[str, Any]
) -> None:
    data = (
        few_digits(tmp_path / "digits.zip", each=24)
        if task_type == IMAGE
        else few_sentences(tmp_path / "sentences.csv", each=30)
    )
    alone, together = (
        result_of(make_request(task_type, data, device=device, **settings)) for device in ("cpu", "cpu,cpu")
    )
    assert together.metrics["accuracy"] == pytest.approx(alone.metrics["accuracy"], abs=0.1)
    assert together.parity["changed_labels"] == 0


@pytest.mark.long
def test_ranks_end_when_they_are_asked_to_and_when_one_of_them_dies(
    make_request: MakeRequest, tmp_path: Path
) -> None:
    request = make_request(
        TEXT,
        DATA[TEXT],
        strategy="scratch",
        architecture="lstm",
        device="cpu,cpu",
        hyperparameters=Hyperparameters(epochs=500),
    )
    trainer = run(request, until=trains)
    ranks = ranks_of(trainer)
    assert len(ranks) == 2
    began = time.monotonic()
    trainer.stop(2.0)
    assert time.monotonic() - began < 3
    gone(ranks)

    again = dataclasses.replace(request, output_dir=make_request(TEXT).output_dir)
    trainer = run(again, until=trains)
    ranks = ranks_of(trainer)
    os.kill(ranks[1], signal.SIGKILL)
    while (event := trainer.next_event(timeout=PATIENCE)) is not None:
        assert not isinstance(event, ResultEvent)
        assert not isinstance(event, FailureEvent) or event.kind != "internal"  # another attempt may succeed
    assert not trainer.is_alive()
    gone(ranks)


def gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}/cmdline").exists() for pid in pids):
        assert time.monotonic() < deadline, "ranks outlive their trainer"
        time.sleep(0.05)


def test_what_is_wrong_with_the_data_is_said_once(make_request: MakeRequest, tmp_path: Path) -> None:
    table = tmp_path / "one.csv"
    table.write_text("input,label\na,x\nb,x\n")
    event = run(make_request(TEXT, table, device="cpu,cpu"))
    assert isinstance(event, FailureEvent)
    assert event.kind == "data"
    assert event.message.count("fewer than two classes") == 1
