"""The sample data sets that come with the platform."""

from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from models_registry.models import TaskType


@dataclass(frozen=True)
class Sample:
    """A data set in the folder samples/; `icon` names a drawing of the pages."""

    key: str
    label: str
    file: str
    task_type: TaskType
    icon: str

    @property
    def path(self) -> Path:
        """Return where the file lies."""
        return Path(settings.ROOT, "samples", self.file)


SAMPLES = (
    Sample("digits", "Handwritten digits", "digits.zip", TaskType.IMAGE, "icons/image.svg"),
    Sample("banking", "Questions to a bank", "banking.csv", TaskType.TEXT, "icons/text.svg"),
)


def samples_here() -> list[Sample]:
    """Return the samples whose files are there."""
    return [sample for sample in SAMPLES if sample.path.is_file()]
