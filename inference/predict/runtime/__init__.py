"""Serving models from memory; knows neither Django nor torch."""

from .cache import PredictorCache, Stream
from .semaphore import FifoSemaphore, TooManyWaiting

__all__ = ["FifoSemaphore", "PredictorCache", "Stream", "TooManyWaiting"]
