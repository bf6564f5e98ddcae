"""Which networks can be trained how, and which one suits those who do not choose."""

from collections.abc import Sequence

from ..engine.catalogue import Architecture, get_architecture
from ..engine.curated import CURATED
from ..engine.specs.strategies import StrategySpec, find_strategy
from ..networks.selectors import usable_networks

PACKAGED_KNOWS = (
    "",
    "en",
)  # languages of texts for which the packaged encoder is taken; "" where nobody can tell


def suitable_network(task_type: str, strategy: str, language: str = "") -> Architecture:
    """Return the network for those who do not choose one: of texts, one that knows their language where it is at hand.

    `language` is a code as "ru", or "" where it is not known. Raises ValueError for an unknown task or strategy.
    """
    found = usable_networks(task_type)
    if not found:
        raise ValueError(f"There is no task {task_type!r}.")
    return suitable_among(found, strategy, language)


def suitable_among(found: Sequence[Architecture], strategy: str, language: str = "") -> Architecture:
    """Return what `suitable_network` does, of a task's networks. Raises ValueError for an unknown strategy."""
    spec = find_strategy(strategy)
    better = spec.suits.get(found[0].task_type)
    if better is not None and not get_architecture(better).unavailable_because(strategy):
        return get_architecture(better)
    usable = [network for network in found if not network.unavailable_because(strategy)]
    if spec.pretrained and language not in PACKAGED_KNOWS:
        usable = [*_multilingual(usable), *usable]
    return next(iter(usable), found[0])


def _multilingual(usable: Sequence[Architecture]) -> list[Architecture]:
    """Return those networks that know many languages, the best one first."""
    by_name = {network.name: network for network in usable}
    return [by_name[one.name] for one in CURATED if one.is_multilingual and one.name in by_name]


def why_this_network(network: Architecture, spec: StrategySpec, language: str) -> str:
    """Say which network a preset takes for texts in a language other than English, and why; else nothing."""
    if not spec.pretrained or language in PACKAGED_KNOWS:
        return ""
    if any(one.is_multilingual and one.name == network.name for one in CURATED):
        return f"Takes {network.label}, which knows many languages."
    return (
        f"Takes {network.label}, which knows English only. An administrator can fetch a network that knows "
        "the language of these texts."
    )


def why_not_at_all(networks: Sequence[Architecture], strategy: str) -> str:
    """Return why none of these networks can be trained by a strategy here; empty when one can."""
    reasons = [network.unavailable_because(strategy) for network in networks]
    return reasons[0] if reasons and all(reasons) else ""
