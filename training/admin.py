"""The admin pages of this app, where Django looks for them; each is written in its own room."""

from .datasets.admin import DatasetAdmin
from .examples.admin import EditAdmin, ExampleAdmin, RevisionAdmin
from .jobs.admin import TrainedModelAdmin, TrainingJobAdmin
from .networks.admin import HubNetworkAdmin
from .worker.admin import WorkerHeartbeatAdmin

__all__ = [
    "DatasetAdmin",
    "EditAdmin",
    "ExampleAdmin",
    "HubNetworkAdmin",
    "RevisionAdmin",
    "TrainedModelAdmin",
    "TrainingJobAdmin",
    "WorkerHeartbeatAdmin",
]
