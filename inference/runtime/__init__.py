"""Serving models from memory; knows neither Django nor torch."""

from .cache import PredictorCache
from .turns import Turns

__all__ = ["PredictorCache", "Turns"]
