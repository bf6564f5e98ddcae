"""Which networks can be trained how, and which one suits those who do not choose."""

from ..engine.catalogue import Architecture, available, get_architecture
from ..engine.specs.strategies import find_strategy


def suitable_network(task_type: str, strategy: str) -> Architecture:
    """Return the network for those who do not choose one. Raises ValueError for an unknown task or strategy."""
    better = find_strategy(strategy).suits.get(task_type)
    if better is not None and not get_architecture(better).unavailable_because(strategy):
        return get_architecture(better)
    found = available(task_type)
    if not found:
        raise ValueError(f"There is no task {task_type!r}.")
    usable = (network for network in found if not network.unavailable_because(strategy))
    return next(usable, found[0])


def why_not_at_all(task_type: str, strategy: str, allowed: list[str]) -> str:
    """Return why no network of a task can be trained by a strategy here; empty when one can."""
    reasons = [network.unavailable_because(strategy) for network in available(task_type, allowed)]
    return reasons[0] if reasons and all(reasons) else ""
