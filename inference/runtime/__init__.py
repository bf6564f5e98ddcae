"""Serving models from memory; knows neither Django nor torch."""

from .cache import PredictorCache

__all__ = ["PredictorCache"]
