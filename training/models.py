"""The models of this app, where Django looks for them; each is written in its own room."""

from .datasets.models import Dataset, DatasetValidation
from .examples.models import Addition, Edit, Example, FeatureFile, Findings, Revision
from .jobs.models import TrainingJob, WorkerHeartbeat
from .networks.models import HubNetwork, NetworkFetch

__all__ = [
    "Addition",
    "Dataset",
    "DatasetValidation",
    "Edit",
    "Example",
    "FeatureFile",
    "Findings",
    "HubNetwork",
    "NetworkFetch",
    "Revision",
    "TrainingJob",
    "WorkerHeartbeat",
]
