"""The strategies by name."""

from .base import Strategy
from .finetune import train_finetune
from .frozen import train_frozen
from .scratch import train_scratch

STRATEGIES: dict[str, Strategy] = {
    "frozen": train_frozen,
    "finetune": train_finetune,
    "scratch": train_scratch,
}


def get_strategy(name: str) -> Strategy:
    """Return a strategy. Raises ValueError that lists the known ones."""
    try:
        return STRATEGIES[name]
    except KeyError:
        raise ValueError(f"There is no strategy {name!r}. Known: {', '.join(STRATEGIES)}.") from None
