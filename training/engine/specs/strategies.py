"""The strategies: how each is called, what it goes through, what it costs and where it is worth running."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from models_registry.artifacts.metadata import IMAGE_CLASSIFICATION, TEXT_CLASSIFICATION

from .hyperparameters import TrainConfig
from .phases import ALL_PHASES, COMMON, Phase

MIB = 2**20
SGD_FACTOR = 10.0  # plain gradients need about so much higher a rate than Adam's, which are scaled to 1


@dataclass(frozen=True)
class Cost:
    """What a training takes on two cores: seconds in any case, and for each example."""

    base: float
    example: float

    @property
    def is_budget(self) -> bool:
        """Whether it takes the time that it is given, on any machine."""
        return not self.example

    def seconds(self, examples: int) -> float:
        """Return the seconds for so many examples."""
        return self.base + self.example * examples


@dataclass(frozen=True)
class StrategySpec:
    """A way to train.

    `title` is for lists of jobs. `preset`, `label` and `promise` are for those who choose; `icon` is a
    template. `phases` are those beside the ones that every job has. `cost` is by task; it was measured with
    720 photos of flowers and 10,003 sentences of Banking77, defaults everywhere. `memory` is what a
    training takes without its examples, in bytes. `trains_network` is whether more than a last layer
    learns, which is when a GPU pays; `keeps_network` whether that network is published whatever else would be
    better; `shares` whether several devices may train together; `pretrained` whether it starts from pretrained
    weights. `suits` names, by task, a network that suits it better than the first one of the catalogue. `configs`
    has its default settings by kind of network and by the layers that are trained, the usual ones first; a kind
    that is not in it cannot be trained.
    """

    name: str
    title: str
    preset: str
    label: str
    promise: str
    icon: str
    phases: tuple[str, ...]
    configs: Mapping[str, Mapping[str, TrainConfig]]
    cost: Mapping[str, Cost]
    memory: int
    trains_network: bool = True
    keeps_network: bool = True
    shares: bool = True
    pretrained: bool = True
    suits: Mapping[str, str] = field(default_factory=dict)

    @property
    def all_phases(self) -> tuple[Phase, ...]:
        """Return what a job goes through, in order."""
        return tuple(phase for phase in ALL_PHASES if phase.name in (*COMMON, *self.phases))

    def config(self, kind: str, *, layers: str | None = None, optimizer: str | None = None) -> TrainConfig:
        """Return the settings for a kind of network when nothing else was chosen. Raises ValueError.

        `layers` and `optimizer` are what was chosen of them, if anything: others want other learning rates.
        Which layers are best is chosen by the size of the data and the device; the usual ones are for a CPU.
        """
        configs = self.configs.get(kind)
        if configs is None:
            raise ValueError(f"{self.label} trains no {kind!r}. Known: {', '.join(self.configs)}.")
        found = configs.get(layers or "", next(iter(configs.values())))
        if self.trains_network and optimizer == "sgd":
            return replace(found, learning_rate=found.learning_rate * SGD_FACTOR)
        return found


def _network(learning_rate: float, batch_size: int, epochs: int, **more: Any) -> TrainConfig:
    """Return what training a network by gradients usually needs."""
    usual = TrainConfig(
        optimizer="adamw",
        learning_rate=learning_rate,
        batch_size=batch_size,
        epochs=epochs,
        one_cycle=True,
        label_smoothing=0.1,
        mixed_precision=True,
    )
    return replace(usual, **more)


# The last layer is computed directly: these are what training.json shows of it.
DIRECT = {"head": TrainConfig(optimizer="adam", learning_rate=1e-3, batch_size=32, epochs=10)}

FROZEN, FINETUNE, BEST, SCRATCH = "frozen", "finetune", "best", "scratch"
USUAL_BUDGET = 5  # minutes

FINE_TUNED_IMAGES = {
    "last": _network(1e-3, 32, 3),
    "head": _network(1e-3, 32, 8),
    "all": _network(5e-4, 32, 10, augmentation="light"),
}
FINE_TUNED_ENCODERS = {
    "last": _network(1e-3, 32, 3, gradient_clipping=1.0),
    "head": _network(1e-3, 32, 4),
    "all": _network(2e-4, 32, 4, gradient_clipping=1.0),
}


# In the order in which they are offered.
STRATEGIES = {
    spec.name: spec
    for spec in (
        StrategySpec(
            name=FROZEN,
            title="Fast (frozen network)",
            preset="fast",
            label="Fast",
            promise="Keeps a pretrained network as it is and fits a new last layer to your classes. "
            "Done in seconds, and good with few examples.",
            icon="icons/bolt.svg",
            phases=("features", "fit"),
            configs={"image": DIRECT, "encoder": DIRECT},
            cost={IMAGE_CLASSIFICATION: Cost(3, 0.008), TEXT_CLASSIFICATION: Cost(4, 0.0018)},
            memory=350 * MIB,
            trains_network=False,
            keeps_network=False,
        ),
        StrategySpec(
            name=FINETUNE,
            title="Accurate (fine-tuned)",
            preset="accurate",
            label="Accurate",
            promise="Starts like Fast, then trains the network's last stages on your examples. "
            "Takes longer, and makes fewer mistakes.",
            icon="icons/target.svg",
            phases=("features", "train"),
            configs={
                "image": FINE_TUNED_IMAGES,
                "encoder": FINE_TUNED_ENCODERS,
                "recurrent": {"all": _network(2e-3, 32, 6, optimizer="adam", gradient_clipping=1.0)},
            },
            cost={IMAGE_CLASSIFICATION: Cost(4, 0.035), TEXT_CLASSIFICATION: Cost(5, 0.012)},
            memory=700 * MIB,
        ),
        StrategySpec(
            name=BEST,
            title="Best (as good as it gets in a given time)",
            preset="best",
            label="Best",
            promise="Tries out many ways to train within the minutes that you give it, and goes on with those that "
            "validate best.",
            icon="icons/trophy.svg",
            phases=("features", "train"),
            configs={"image": FINE_TUNED_IMAGES, "encoder": FINE_TUNED_ENCODERS},
            cost={
                IMAGE_CLASSIFICATION: Cost(60 * USUAL_BUDGET, 0),
                TEXT_CLASSIFICATION: Cost(60 * USUAL_BUDGET, 0),
            },
            memory=700 * MIB,
            keeps_network=False,
            shares=False,
        ),
        StrategySpec(
            name=SCRATCH,
            title="From scratch",
            preset="scratch",
            label="From scratch",
            promise="Knows nothing but your examples. Needs many of them and much time; "
            "for data unlike anything on the web.",
            icon="icons/seed.svg",
            phases=("train",),
            configs={
                "image": {"all": _network(2e-3, 32, 30, augmentation="light")},
                "encoder": {"all": _network(5e-4, 32, 20, gradient_clipping=1.0)},
                "recurrent": {"all": _network(3e-3, 64, 15, gradient_clipping=1.0)},
            },
            cost={IMAGE_CLASSIFICATION: Cost(10, 0.6), TEXT_CLASSIFICATION: Cost(6, 0.016)},
            memory=700 * MIB,
            pretrained=False,
            suits={TEXT_CLASSIFICATION: "lstm"},  # a small network learns more from little
        ),
    )
}
DEFAULT_STRATEGY = FROZEN


def find_strategy(name: str) -> StrategySpec:
    """Return a strategy. Raises ValueError that lists the known ones."""
    try:
        return STRATEGIES[name]
    except KeyError:
        raise ValueError(f"There is no strategy {name!r}. Known: {', '.join(STRATEGIES)}.") from None


def strategy_of(preset: str) -> str:
    """Return the strategy behind a preset. Raises ValueError that lists the presets."""
    presets = {spec.preset: spec.name for spec in STRATEGIES.values()}
    try:
        return presets[preset]
    except KeyError:
        raise ValueError(f"There is no preset {preset!r}. Known: {', '.join(presets)}.") from None


def strategy_choices() -> list[tuple[str, str]]:
    """Return the strategies as a field's choices; as a function, so that a new one needs no migration."""
    return [(spec.name, spec.title) for spec in STRATEGIES.values()]
