"""The documents' formats. Keys that are not named here belong to others and are kept."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, RootModel, Tag

TaskType = Literal["imageclassification", "textclassification"]
DATE_PATTERN = r"^\d{2}-\d{2}-\d{2}(\d{2})? \d{2}:\d{2}$"


class Document(BaseModel):
    """A JSON object that may carry more than we know."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False, protected_namespaces=())


class StatusDocument(Document):
    """status.json."""

    status: Literal["active", "sleeping"]
    token: str
    task_type: TaskType | Literal[""]
    dev_mode: bool = Field(strict=True)


class CleanupDocument(Document):
    """cleanup.json."""

    status: Literal["active", "sleeping"]


class ModelEntry(Document):
    """What both kinds of models have in inference.json."""

    task_type: TaskType
    model_filename: str
    downloadable: bool
    accuracy: float = Field(ge=0, le=100)
    accuracy_plot: str
    created: str = Field(pattern=DATE_PATTERN)


class ImageModelEntry(ModelEntry):
    """An image classifier."""

    task_type: Literal["imageclassification"]
    model_filename_onnx: str
    classes: list[str] = Field(min_length=1)


class TextModelEntry(ModelEntry):
    """A text classifier; its classes are in the metadata file."""

    task_type: Literal["textclassification"]
    model_filename_onnx: str | None = None
    metadata_filename: str


def _kind(entry: Any) -> str:
    return str(entry.get("task_type") if isinstance(entry, dict) else getattr(entry, "task_type", ""))


class InferenceDocument(
    RootModel[
        dict[
            str,
            Annotated[
                Annotated[ImageModelEntry, Tag("imageclassification")]
                | Annotated[TextModelEntry, Tag("textclassification")],
                Discriminator(_kind),
            ],
        ]
    ]
):
    """inference.json: the live models by token."""


class ReduceLrOnPlateau(Document):
    """When validation stops getting better, lower the learning rate."""

    factor: float
    patience: int
    min_lr: float


class StepLr(Document):
    """Every `step_size` epochs, multiply the learning rate by `gamma`."""

    step_size: int
    gamma: float


class DatasetReference(Document):
    """Stands for a data set that is too large to be written into the document."""

    ref: str = Field(alias="$ref")
    sha256: str
    bytes: int


class TrainingDocument(Document):
    """training/training.json: the job that status.json names."""

    token: str
    task_type: TaskType
    num_classes: int
    optimizer: str
    learning_rate: float
    batch_size: int
    epochs: int
    data_split: str
    dataset: DatasetReference | dict[str, list[str]] | str
    model: str
    pretrain_dataset: str | Literal[False] = False
    reduce_lr_on_plateau: ReduceLrOnPlateau | Literal[False] = False
    step_lr: StepLr | Literal[False] = False
