"""Why a model says what it says: places of an image, or words of a text."""

from .base import ActivationMap, Explainer, Explanation, NoExplanation, Word, WordImportance
from .images import MapExplainer, NoExplainer
from .texts import WordExplainer

__all__ = [
    "ActivationMap",
    "Explainer",
    "Explanation",
    "MapExplainer",
    "NoExplainer",
    "NoExplanation",
    "Word",
    "WordExplainer",
    "WordImportance",
]
