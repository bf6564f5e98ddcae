"""Serving models from memory; knows neither Django nor torch."""

from .cache import PredictorCache, Stream
from .turns import TooManyWaiting, Turns

__all__ = ["PredictorCache", "Stream", "TooManyWaiting", "Turns"]
