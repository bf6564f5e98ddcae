"""The strategies by name: each is the function `train` of the module that is called as it is."""

from importlib import import_module

from ..specs.strategies import find_strategy
from .base import Strategy


def get_strategy(name: str) -> Strategy:
    """Return a strategy. Raises ValueError that lists the known ones."""
    module = import_module(f".{find_strategy(name).name}", __package__)
    strategy: Strategy = module.train
    return strategy
