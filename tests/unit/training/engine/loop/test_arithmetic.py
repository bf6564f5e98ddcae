from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from models_registry.artifacts.machine import Measured
from training.engine.loop import arithmetic
from training.engine.loop.arithmetic import FLOAT32, KINDS, WORTH, Arithmetic, choose, fastest, measure

BATCH = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)), None, torch.arange(4) % 2
HALF = Arithmetic(half=True)


class Net(nn.Module):
    """A convolution, a normalisation that remembers what it has seen, and something that draws."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
        self.head = nn.Linear(4, 2)

    def forward(self, value: Tensor, mask: Tensor | None) -> Tensor:
        found: Tensor = self.head(self.layers(value).mean((2, 3)))
        return found


@pytest.fixture
def measured(tmp_path: Path) -> Measured:
    return Measured(tmp_path / "arithmetic.json")


def test_measuring_leaves_the_training_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic, "HOPELESS", float("inf"))  # steps as short as these are slow by chance
    network = Net()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    drawn = torch.random.get_rng_state()
    seconds = measure(network, *BATCH)
    assert set(seconds) == set(KINDS)
    assert all(took > 0 for took in seconds.values())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), drawn)


def test_hopeless_arithmetic_takes_no_step_of_a_whole_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[tuple[Arithmetic, int]] = []

    def step(kind: Arithmetic, _: nn.Module, batch: tuple[Tensor, Tensor | None, Tensor]) -> float:
        steps.append((kind, len(batch[0])))
        return 12.0 if kind.half else 1.0

    monkeypatch.setattr(arithmetic, "_step", step)
    seconds = measure(Net(), *BATCH)
    assert seconds == {FLOAT32: 1.0, Arithmetic(channels_last=True): 1.0}
    assert not [kind for kind, count in steps if kind.half and count > arithmetic.TRIAL]
    assert {count for kind, count in steps if not kind.half} == {arithmetic.TRIAL, len(BATCH[0])}


def test_float32_is_measured_even_when_its_first_steps_were_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic, "_step", lambda kind, *_: 1.0 if kind.half else 12.0)
    assert measure(Net(), *BATCH)[FLOAT32] == 12.0


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ({"float32": 1.0, "bfloat16": 0.5}, HALF),
        ({"float32": 1.0, "bfloat16": 0.97}, FLOAT32),
        ({"float32": 1.0, "bfloat16": 2.0, "float32, channels last": 0.8}, Arithmetic(channels_last=True)),
        ({"bfloat16": 0.5, "int4": 0.1}, FLOAT32),
        ({}, FLOAT32),
    ],
)
def test_fastest_is_float32_unless_another_is_clearly_faster(
    seconds: dict[str, float], expected: Arithmetic
) -> None:
    assert fastest(seconds) == expected


def test_finding_is_kept_for_the_machine_and_the_network(
    measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arithmetic, "measure", lambda *_: {FLOAT32: 1.0, HALF: 0.5})
    assert choose(measured, "small", Net(), BATCH, examples=WORTH) == HALF
    monkeypatch.setattr(arithmetic, "measure", lambda *_: {FLOAT32: 1.0, HALF: 2.0})
    assert choose(measured, "small", Net(), BATCH, examples=0) == HALF
    assert choose(measured, "other", Net(), BATCH, examples=WORTH) == FLOAT32
    monkeypatch.setattr(arithmetic, "processor", lambda: "another")
    assert choose(measured, "small", Net(), BATCH, examples=WORTH) == FLOAT32


def test_short_training_does_not_measure(measured: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic, "measure", lambda *_: pytest.fail("It would not be won back."))
    assert choose(measured, "small", Net(), BATCH, examples=WORTH - 1) == FLOAT32


def test_weights_lie_as_the_arithmetic_says() -> None:
    network = Net()
    Arithmetic(channels_last=True).lay_out(network)
    weight = network.layers[0].weight
    assert isinstance(weight, Tensor)
    assert weight.is_contiguous(memory_format=torch.channels_last)
