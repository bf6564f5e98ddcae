"""The admin pages of this app, where Django looks for them; each is written in its own room."""

from .batches.admin import BatchAdmin
from .usage.admin import ModelUsageAdmin

__all__ = ["BatchAdmin", "ModelUsageAdmin"]
