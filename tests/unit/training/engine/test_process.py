import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from models_registry.artifacts import Predictor
from training.engine import process
from training.engine.events import (
    Event,
    FailureEvent,
    FindingsEvent,
    ProgressEvent,
    ResultEvent,
    TrainingError,
)
from training.engine.networks.backbones import prepare_all
from training.engine.process import TrainerProcess, warm_up
from training.engine.request import TrainingRequest

from . import probes
from .conftest import FROZEN_PHASES, MakeRequest

IMAGE = "imageclassification"
ROOT = Path(__file__).resolve().parents[4]
PATIENCE = 180  # seconds


@pytest.fixture(scope="module", autouse=True)
def warm(cache_dir: Path) -> None:
    prepare_all(cache_dir)
    warm_up(str(cache_dir))


@pytest.fixture
def trainer() -> Iterator[TrainerProcess]:
    made = TrainerProcess()
    yield made
    made.stop(0.0)


def events_of(trainer: TrainerProcess) -> list[Event]:
    """Everything that the child tells until its end."""
    events: list[Event] = []
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        event = trainer.next_event(1.0)
        if event is not None:
            events.append(event)
        elif not trainer.is_alive():
            return events
    raise AssertionError(f"the trainer did not end; its last events: {events[-3:]}")


def wait_for_phase(trainer: TrainerProcess, phase: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        event = trainer.next_event(1.0)
        assert event is None or isinstance(event, ProgressEvent), event
        if event is not None and event.phase == phase:
            return
    raise AssertionError(f"phase {phase} never came")


def is_gone(pid: int) -> bool:
    """Whether no process has this id, or only one that nobody has waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def test_training_in_a_child_gives_a_working_model(
    trainer: TrainerProcess, make_request: MakeRequest
) -> None:
    request = make_request(IMAGE)
    trainer.start(request)
    events = events_of(trainer)
    progress = [event for event in events[:-2] if isinstance(event, ProgressEvent)]
    assert len(progress) == len(events) - 2
    assert list(dict.fromkeys(event.phase for event in progress)) == list(FROZEN_PHASES)
    assert isinstance(events[-1], FindingsEvent), events[-1]
    assert isinstance(events[-2], ResultEvent), events[-2]
    result = events[-2].result
    assert result is not None
    Predictor.from_bytes(Path(request.output_dir, result.artifacts["onnx"]).read_bytes())
    assert trainer.exitcode == 0


def test_events_wait_for_a_slow_reader(trainer: TrainerProcess, make_request: MakeRequest) -> None:
    """The child ends before anybody reads; nothing that it told is lost."""
    trainer.start(make_request(IMAGE))
    assert trainer._process is not None
    trainer._process.join(PATIENCE)
    assert not trainer.is_alive()
    assert isinstance(events_of(trainer)[-1], FindingsEvent)


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"data_split": "all"}, "data", "70 : 30"),
        ({"architecture": "resnet"}, "training", "Known:"),
        ({"dataset_path": "/nowhere.zip"}, "internal", "FileNotFoundError"),
    ],
)
def test_errors_say_whose_they_are(
    trainer: TrainerProcess, make_request: MakeRequest, changes: dict[str, str], kind: str, words: str
) -> None:
    trainer.start(make_request(IMAGE, **changes))
    error = events_of(trainer)[-1]
    assert isinstance(error, FailureEvent)
    assert error.kind == kind
    assert words in error.message
    assert trainer.exitcode == 1


def test_log_has_the_traceback_of_an_internal_error(
    trainer: TrainerProcess, make_request: MakeRequest
) -> None:
    trainer.start(make_request(IMAGE, dataset_path="/nowhere.zip"))
    events_of(trainer)
    assert "Traceback" in trainer.log_tail(4000)
    assert len(trainer.log_tail(10)) == 10


@pytest.mark.parametrize("phase", FROZEN_PHASES)
def test_stop_ends_every_phase_within_three_seconds(
    trainer: TrainerProcess, make_request: MakeRequest, phase: str
) -> None:
    trainer.start(make_request(IMAGE))
    wait_for_phase(trainer, phase)
    began = time.monotonic()
    trainer.stop(2.0)
    assert time.monotonic() - began < 3
    assert not trainer.is_alive()
    rest = events_of(trainer)
    assert not rest or isinstance(rest[-1], FailureEvent | FindingsEvent | ProgressEvent | ResultEvent)
    trainer.stop(2.0)  # once more does nothing


def test_stopped_child_says_so(trainer: TrainerProcess, make_request: MakeRequest) -> None:
    trainer.start(make_request(IMAGE))
    wait_for_phase(trainer, "features")
    trainer.stop(30.0)
    last = events_of(trainer)[-1]
    assert isinstance(last, FailureEvent)
    assert last.kind == "stopped"


def test_child_that_does_not_listen_is_killed(trainer: TrainerProcess, make_request: MakeRequest) -> None:
    trainer.start(make_request(IMAGE))
    wait_for_phase(trainer, "features")
    assert trainer.pid is not None
    os.kill(trainer.pid, signal.SIGSTOP)
    trainer.stop(0.1)
    assert trainer.exitcode in (-signal.SIGTERM, -signal.SIGKILL)


def test_killed_child_is_seen(trainer: TrainerProcess, make_request: MakeRequest) -> None:
    trainer.start(make_request(IMAGE))
    wait_for_phase(trainer, "features")
    assert trainer.pid is not None
    os.kill(trainer.pid, signal.SIGKILL)
    assert all(isinstance(event, ProgressEvent) for event in events_of(trainer))
    assert trainer.exitcode == -signal.SIGKILL


def test_child_dies_with_its_parent(make_request: MakeRequest) -> None:
    request = make_request(IMAGE)
    parent = subprocess.Popen(
        [sys.executable, "-m", "tests.unit.training.engine.probes", json.dumps(request.to_json())],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        os.kill(child, signal.SIGSTOP)  # so that it does not end by itself first
        parent.kill()
        parent.wait()
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGCONT)
        deadline = time.monotonic() + 10
        while not is_gone(child) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert is_gone(child)
        assert not list(Path(request.output_dir).glob("*.pt"))
    finally:
        parent.kill()
        parent.wait()


@pytest.mark.long
def test_two_trainings_run_beside_each_other(make_request: MakeRequest) -> None:
    trainers = [TrainerProcess(), TrainerProcess()]
    for trainer in trainers:
        trainer.start(make_request(IMAGE, threads=1))
    try:
        assert all(isinstance(events_of(trainer)[-1], FindingsEvent) for trainer in trainers)
    finally:
        for trainer in trainers:
            trainer.stop(0.0)


def test_trainer_is_for_one_training(trainer: TrainerProcess, make_request: MakeRequest) -> None:
    request: TrainingRequest = make_request(IMAGE)
    trainer.start(request)
    with pytest.raises(RuntimeError, match="new TrainerProcess"):
        trainer.start(request)


def test_trainer_before_its_start_is_not_alive() -> None:
    trainer = TrainerProcess()
    assert (trainer.is_alive(), trainer.pid, trainer.exitcode) == (False, None, None)
    assert trainer.next_event(0.0) is None
    trainer.stop(0.0)


def test_children_have_torch_at_once_and_never_django() -> None:
    ours, theirs = process._context.Pipe(duplex=False)
    child = process._context.Process(target=probes.tell_modules, args=(theirs,))
    child.start()
    theirs.close()
    assert ours.poll(PATIENCE)
    assert json.loads(ours.recv_bytes()) == ["torch", "torch._dynamo", "onnxruntime", "matplotlib"]
    child.join()


def test_warm_up_says_why_it_failed(tmp_path: Path) -> None:
    (tmp_path / "efficientnet-lite0.lock").mkdir()
    with pytest.raises(TrainingError, match="cannot be prepared"):
        warm_up(str(tmp_path))
