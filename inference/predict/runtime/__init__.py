"""Serving models from memory; knows neither Django nor torch."""

from .cache import PredictorCache, Stream
from .semaphore import TooManyWaiting, Turns

__all__ = ["PredictorCache", "Stream", "TooManyWaiting", "Turns"]
