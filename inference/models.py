"""The models of this app, where Django looks for them; each is written in its own room."""

from .batches.models import Batch
from .usage.models import ModelUsage

__all__ = ["Batch", "ModelUsage"]
