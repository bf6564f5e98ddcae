"""The data report: what a person sees before anything is queued."""

from .build import build_report
from .document import DataReport

__all__ = ["DataReport", "build_report"]
