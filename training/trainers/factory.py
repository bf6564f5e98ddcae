"""The strategies by name."""

from typing import Protocol

from .backbones import PreparedBackbone
from .events import Progress
from .examples import Examples
from .frozen import TrainedHead, train_frozen
from .request import TrainingRequest


class Strategy(Protocol):
    """A way to train."""

    def __call__(
        self,
        request: TrainingRequest,
        backbone: PreparedBackbone,
        examples: Examples,
        *,
        threads: int,
        progress: Progress,
    ) -> TrainedHead:
        """Train, telling the phases after `prepare`."""


STRATEGIES: dict[str, Strategy] = {"frozen": train_frozen}


def get_strategy(name: str) -> Strategy:
    """Return a strategy. Raises ValueError that lists the known ones."""
    try:
        return STRATEGIES[name]
    except KeyError:
        raise ValueError(f"There is no strategy {name!r}. Known: {', '.join(STRATEGIES)}.") from None
