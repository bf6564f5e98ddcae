import dataclasses
import sys
import types

import pytest

from models_registry.artifacts.metadata import TASK_TYPES
from training.engine.specs.hyperparameters import LAYERS, OPTIONS
from training.engine.specs.options import check_options
from training.engine.specs.phases import ALL_PHASES, COMMON
from training.engine.specs.strategies import (
    DEFAULT_STRATEGY,
    FINETUNE,
    STRATEGIES,
    StrategySpec,
    find_strategy,
    strategy_choices,
    strategy_of,
)
from training.engine.strategies.factory import get_strategy
from training.jobs.estimates import Estimates
from training.jobs.phases import steps_of
from training.jobs.progress import JobProgress
from training.worker.resources import needs_of


@pytest.mark.parametrize("find", [find_strategy, get_strategy])
def test_unknown_strategy_is_refused_with_the_known_ones(find: object) -> None:
    with pytest.raises(ValueError, match=r"no strategy 'magic'. Known: frozen, finetune, best, scratch"):
        find("magic")  # type: ignore[operator]


def test_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no preset 'worst'. Known: fast, accurate, best, scratch"):
        strategy_of("worst")


@pytest.mark.parametrize("spec", STRATEGIES.values(), ids=STRATEGIES)
def test_strategy_says_all_that_others_derive_from_it(spec: StrategySpec) -> None:
    assert set(spec.cost) == set(TASK_TYPES)
    assert not set(spec.phases) & set(COMMON)
    assert [phase.name for phase in spec.all_phases] == [
        phase.name for phase in ALL_PHASES if phase.name in (*COMMON, *spec.phases)
    ]
    assert strategy_of(spec.preset) == spec.name
    assert callable(get_strategy(spec.name))


def test_default_strategy_comes_first() -> None:
    assert next(iter(STRATEGIES)) == DEFAULT_STRATEGY


def test_new_strategy_needs_its_entry_and_its_module(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("training.engine.strategies.probe")
    module.train = lambda assignment: assignment  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    like = STRATEGIES[FINETUNE]
    probe = dataclasses.replace(like, name="probe", title="Probe", preset="p", phases=("train",), memory=7)
    monkeypatch.setitem(STRATEGIES, "probe", probe)
    assert get_strategy("probe") is module.train
    assert ("probe", "Probe") in strategy_choices()
    assert [step.name for step in steps_of("running", JobProgress(), "probe")][3] == "train"
    assert Estimates().seconds(TASK_TYPES[0], "probe", 10) == like.cost[TASK_TYPES[0]].seconds(10)
    needs = needs_of(strategy="probe", is_image=False, dataset_bytes=0, examples=1, batch_size=0)
    assert needs.memory == 7


@pytest.mark.parametrize("spec", STRATEGIES.values(), ids=STRATEGIES)
def test_defaults_can_be_used(spec: StrategySpec) -> None:
    for configs in spec.configs.values():
        for layers, config in configs.items():
            assert LAYERS.check(layers) == layers
            given = {name: getattr(config, name) for name in OPTIONS if hasattr(config, name)}
            chosen = {name: value for name, value in given.items() if value}
            assert check_options(chosen, OPTIONS) == chosen


@pytest.mark.parametrize(
    ("strategy", "kind", "chosen", "rate", "epochs"),
    [
        ("frozen", "image", {}, 0.001, 10),
        ("frozen", "image", {"optimizer": "sgd"}, 0.001, 10),
        ("finetune", "image", {}, 0.001, 3),
        ("finetune", "image", {"layers": "all"}, 0.0005, 10),
        ("finetune", "recurrent", {"layers": "head"}, 0.002, 6),
        ("scratch", "encoder", {"optimizer": "sgd"}, 0.005, 20),
    ],
)
def test_defaults_depend_on_what_is_trained(
    strategy: str, kind: str, chosen: dict[str, str], rate: float, epochs: int
) -> None:
    found = find_strategy(strategy).config(kind, **chosen)
    assert (found.learning_rate, found.epochs) == (rate, epochs)


def test_kind_of_network_that_a_strategy_does_not_train_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Fast trains no 'recurrent'. Known: image, encoder"):
        find_strategy("frozen").config("recurrent")
