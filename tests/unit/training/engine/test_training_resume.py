"""A training that dies anywhere goes on where it was, and ends as if nothing had happened."""

import dataclasses
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models_registry.artifacts import Predictor
from training.engine import fault_injection, process
from training.engine.fault_injection import CRASH_POINTS
from training.engine.loop.checkpoints import BEST, DESCRIPTION, TRAINING, fingerprint
from training.engine.request import TrainingRequest
from training.engine.specs.hyperparameters import Hyperparameters

from . import probes
from .conftest import MakeRequest
from .small_data import few_digits, few_sentences

IMAGE, TEXT = "imageclassification", "textclassification"
PATIENCE = 300.0  # seconds, on a machine that others use as well
EPOCHS = 3
ONLY_FROZEN = {"features.chunk"}  # what is kept only while features are all that is extracted
SAMPLED = ("epoch.middle", "export.onnx")  # the other points are for `make soak`
BEFORE_A_CHECKPOINT = {  # of two files; the best epoch's is written first
    "features.done",
    "fit.done",
    "train.begin",
    "epoch.begin",
    "epoch.middle",
    "checkpoint.write",
    "checkpoint.replace",
}
KINDS: dict[str, dict[str, Any]] = {
    "last stages": {"task_type": IMAGE, "strategy": "finetune"},
    "whole network": {
        "task_type": IMAGE,
        "strategy": "finetune",
        "hyperparameters": Hyperparameters(trainable="all", epochs=EPOCHS, augmentation="strong"),
    },
    "recurrent": {
        "task_type": TEXT,
        "architecture": "lstm",
        "strategy": "scratch",
        "hyperparameters": Hyperparameters(
            epochs=EPOCHS,
            optimizer="sgd",
            reduce_lr_on_plateau={"factor": 0.5, "patience": 1, "min_lr": 1e-5},
        ),
    },
}


class Attempt:
    """A training in a process of its own that may die on the way."""

    def __init__(self, request: TrainingRequest, fault: str = "") -> None:
        receiver, sender = process._context.Pipe(duplex=False)
        child = process._context.Process(
            target=probes.train_and_tell, args=(json.dumps(request.to_json()), fault, sender)
        )
        child.start()
        sender.close()
        try:
            told = json.loads(receiver.recv_bytes()) if receiver.poll(PATIENCE) else {}
        except EOFError:
            told = {}
        child.join(PATIENCE)
        self.exitcode = child.exitcode
        self.request = request
        self.result = told.get("result")
        self.checkpoints = told.get("checkpoints", [])

    @property
    def metrics(self) -> dict[str, Any]:
        """The figures, less the one that says how they came about."""
        return {name: value for name, value in self.result["metrics"].items() if name != "resumed_from_epoch"}

    def probabilities(self, inputs: list[bytes | str]) -> list[list[float]]:
        path = Path(self.request.output_dir, self.result["artifacts"]["onnx"])
        return Predictor.from_bytes(path.read_bytes(), threads=1).probabilities(inputs).tolist()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("data")
    return {IMAGE: few_digits(folder / "digits.zip"), TEXT: few_sentences(folder / "sentences.csv")}


def request_of(kind: str, make_request: MakeRequest, data: dict[str, Path], **more: Any) -> TrainingRequest:
    values = {
        "hyperparameters": Hyperparameters(epochs=EPOCHS),
        "seed": 3,
        "threads": 1,
        **KINDS[kind],
        **more,
    }
    task_type = values.pop("task_type")
    return make_request(task_type, data[task_type], **values)


@pytest.fixture(scope="module")
def uninterrupted(make_request: MakeRequest, data: dict[str, Path]) -> Callable[[str], Attempt]:
    """Return a kind of training without a checkpoint folder, as it ends when nothing happens; each is run once."""
    return functools.cache(lambda kind: Attempt(request_of(kind, make_request, data)))


def die_and_resume(request: TrainingRequest, fault: str, make_request: MakeRequest) -> Attempt:
    died = Attempt(request, fault)
    assert died.exitcode == fault_injection.EXIT_CODE
    output = make_request(request.task_type).output_dir
    return Attempt(dataclasses.replace(request, output_dir=output))


@pytest.mark.parametrize(
    "point",
    [
        pytest.param(name, marks=() if name in SAMPLED else pytest.mark.long)
        for name in CRASH_POINTS
        if name not in ONLY_FROZEN
    ],
)
def test_training_killed_at_any_point_ends_the_same(
    make_request: MakeRequest,
    data: dict[str, Path],
    uninterrupted: Callable[[str], Attempt],
    point: str,
    tmp_path: Path,
) -> None:
    request = request_of("last stages", make_request, data, checkpoint_dir=str(tmp_path))
    resumed = die_and_resume(request, point, make_request)
    expected = uninterrupted("last stages")
    assert resumed.metrics == expected.metrics
    assert resumed.probabilities([data[IMAGE].with_suffix(".png").read_bytes()]) == expected.probabilities(
        [data[IMAGE].with_suffix(".png").read_bytes()]
    )
    assert bool(resumed.result["metrics"].get("resumed_from_epoch")) == (point not in BEFORE_A_CHECKPOINT)


@pytest.mark.parametrize("kind", [pytest.param("whole network", marks=pytest.mark.long), "recurrent"])
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param("epoch.begin:2", marks=pytest.mark.long),
        pytest.param("epoch.begin:3", marks=pytest.mark.long),
        "epoch.middle:3",
        "checkpoint.replace:2",
    ],
)
def test_training_killed_in_a_later_epoch_ends_the_same(
    make_request: MakeRequest,
    data: dict[str, Path],
    uninterrupted: Callable[[str], Attempt],
    kind: str,
    fault: str,
    tmp_path: Path,
) -> None:
    request = request_of(kind, make_request, data, checkpoint_dir=str(tmp_path))
    resumed = die_and_resume(request, fault, make_request)
    assert resumed.metrics == uninterrupted(kind).metrics
    assert resumed.result["metrics"]["resumed_from_epoch"] >= 1


def test_features_are_not_extracted_twice(
    make_request: MakeRequest, data: dict[str, Path], tmp_path: Path
) -> None:
    expected = Attempt(make_request(IMAGE, data[IMAGE]))
    request = make_request(IMAGE, data[IMAGE], checkpoint_dir=str(tmp_path))
    resumed = die_and_resume(request, "features.chunk:2", make_request)
    assert resumed.metrics == expected.metrics
    pieces = sorted(tmp_path.glob("checkpoint-features-*.npz"))
    assert len(pieces) >= 2
    again = Attempt(dataclasses.replace(request, output_dir=make_request(IMAGE).output_dir))
    assert again.checkpoints == []  # nothing was left to look at
    assert again.metrics == expected.metrics


def test_checkpoint_of_another_request_is_deleted(
    make_request: MakeRequest, data: dict[str, Path], uninterrupted: Callable[[str], Attempt], tmp_path: Path
) -> None:
    other = request_of("last stages", make_request, data, checkpoint_dir=str(tmp_path), seed=4)
    assert Attempt(other, "epoch.begin:3").exitcode == fault_injection.EXIT_CODE
    assert (tmp_path / TRAINING).exists()
    ours = Attempt(request_of("last stages", make_request, data, checkpoint_dir=str(tmp_path)))
    assert "resumed_from_epoch" not in ours.result["metrics"]
    assert ours.metrics == uninterrupted("last stages").metrics


def test_every_epoch_tells_of_the_files_that_belong_together(
    make_request: MakeRequest, data: dict[str, Path], tmp_path: Path
) -> None:
    done = Attempt(request_of("last stages", make_request, data, checkpoint_dir=str(tmp_path)))
    assert [epoch for epoch, _ in done.checkpoints] == list(range(1, EPOCHS + 1))
    for _, files in done.checkpoints:
        assert files == sorted([BEST, TRAINING, DESCRIPTION])


def test_fingerprint_is_of_what_decides_the_outcome(make_request: MakeRequest) -> None:
    request = make_request(IMAGE)
    elsewhere = dataclasses.replace(
        request, output_dir="/elsewhere", threads=7, public_id="another", checkpoint_dir="/x"
    )
    assert fingerprint(elsewhere) == fingerprint(request)
    for change in ({"seed": 1}, {"data_split": "80 : 20"}, {"hyperparameters": Hyperparameters(epochs=2)}):
        assert fingerprint(dataclasses.replace(request, **change)) != fingerprint(request)


def test_unknown_crash_point_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULT", "somewhere")
    with pytest.raises(ValueError, match=r"Known: features\.chunk"):
        fault_injection.crash_point("epoch.begin")
