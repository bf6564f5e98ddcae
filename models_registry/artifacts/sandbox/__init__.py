"""Run models that others made where they can harm nobody: each in a child process of its own.

The child holds nothing that is secret: no environment, an empty working directory, no network where the
system allows to go without, and, from before it sees the model until it ends, not one file that it may
open. Its memory is bounded; what takes too long ends it. The parent speaks with it in length-prefixed JSON
and believes nothing that it answers. Knows neither Django nor settings.
"""

from ..predictor import Predictor
from .predictor import SandboxedPredictor, SandboxError, SandboxLimits

AnyPredictor = Predictor | SandboxedPredictor

__all__ = ["AnyPredictor", "SandboxError", "SandboxLimits", "SandboxedPredictor"]
