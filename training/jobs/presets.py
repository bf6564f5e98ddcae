"""Ways to train under names that say what they are good for, and the network that suits each."""

from dataclasses import dataclass

from ..engine.catalogue import Architecture, available, get_architecture


@dataclass(frozen=True)
class Preset:
    """A strategy as people choose it; `icon` names a drawing of the pages."""

    name: str
    strategy: str
    label: str
    promise: str
    icon: str


PRESETS = (
    Preset(
        name="fast",
        strategy="frozen",
        label="Fast",
        promise="Keeps a pretrained network as it is and fits a new last layer to your classes. "
        "Done in seconds, and good with few examples.",
        icon="icons/bolt.svg",
    ),
    Preset(
        name="accurate",
        strategy="finetune",
        label="Accurate",
        promise="Starts like Fast, then trains the network's last stages on your examples. "
        "Takes longer, and makes fewer mistakes.",
        icon="icons/target.svg",
    ),
    Preset(
        name="scratch",
        strategy="scratch",
        label="From scratch",
        promise="Knows nothing but your examples. Needs many of them and much time; "
        "for data unlike anything on the web.",
        icon="icons/seed.svg",
    ),
)
# The first network of a task suits its strategies, but for this: a small one learns more from little.
SUITS_BETTER = {("textclassification", "scratch"): "lstm"}


def strategy_of(preset: str) -> str:
    """Return a preset's strategy. Raises ValueError that lists the presets."""
    for known in PRESETS:
        if known.name == preset:
            return known.strategy
    raise ValueError(f"There is no preset {preset!r}. Known: {', '.join(known.name for known in PRESETS)}.")


def networks(task_type: str, allowed: list[str]) -> list[Architecture]:
    """Return the networks on offer for a task, the usual one first, also those that cannot be used here."""
    return available(task_type, allowed)


def suitable_network(task_type: str, strategy: str) -> Architecture:
    """Return the network for those who do not choose one. Raises ValueError for an unknown task."""
    better = SUITS_BETTER.get((task_type, strategy))
    if better is not None and not get_architecture(better).unavailable_because(strategy):
        return get_architecture(better)
    found = available(task_type)
    if not found:
        raise ValueError(f"There is no task {task_type!r}.")
    usable = (network for network in found if not network.unavailable_because(strategy))
    return next(usable, found[0])


def why_not_at_all(task_type: str, strategy: str, allowed: list[str]) -> str:
    """Return why no network of a task can be trained by a strategy here; empty when one can."""
    reasons = [network.unavailable_because(strategy) for network in networks(task_type, allowed)]
    return reasons[0] if reasons and all(reasons) else ""
