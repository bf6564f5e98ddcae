"""The documents' formats, and how older spellings of them are read.

Keys that are not named here belong to others and are kept.
"""

from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, RootModel, Tag, TypeAdapter, ValidationError

from .merge import Json

TaskType = Literal["imageclassification", "textclassification"]
DATE_PATTERN = r"^\d{2}-\d{2}-\d{2}(\d{2})? \d{2}:\d{2}$"
DATE_FORMAT = "%d-%m-%y %H:%M"  # UTC


class Document(BaseModel):
    """A JSON object that may carry more than we know."""

    model_config = ConfigDict(
        extra="allow", allow_inf_nan=False, protected_namespaces=(), use_attribute_docstrings=True
    )


class StatusDocument(Document):
    """status.json."""

    status: Literal["active", "sleeping"]
    """`active` while a model is being trained."""
    token: str
    """Of the model that is being trained; without a meaning while the platform sleeps."""
    task_type: TaskType | Literal[""]
    """Of the model that is being trained; without a meaning while the platform sleeps."""
    dev_mode: bool = Field(strict=True)
    """True halts every operation, for maintenance. Operators may set it here."""


class CleanupDocument(Document):
    """cleanup.json."""

    status: Literal["active", "sleeping"]
    """`sleeping` keeps the clean-up from deleting models. Operators may set it here."""


class ModelEntry(Document):
    """What both kinds of models have in inference.json."""

    task_type: TaskType
    model_filename: str
    """Key of the .pt file in the bucket."""
    downloadable: bool
    """Whether the files may be downloaded by whoever has the token."""
    accuracy: float = Field(ge=0, le=100)
    """Percent of the validation part; older entries of text models give a fraction, 0 to 1."""
    accuracy_plot: str
    """A small PNG or JPEG in base64."""
    created: str = Field(pattern=DATE_PATTERN)
    """Day-month-year and time, UTC; the year in two digits, in older entries also four."""


class ImageModelEntry(ModelEntry):
    """An image classifier."""

    task_type: Literal["imageclassification"]
    model_filename_onnx: str
    """Key of the .onnx file in the bucket."""
    classes: list[str] = Field(min_length=1)
    """In the order of the network's outputs."""


class TextModelEntry(ModelEntry):
    """A text classifier; its classes are in the metadata file."""

    task_type: Literal["textclassification"]
    model_filename_onnx: str | None = None
    """Key of the .onnx file in the bucket; older entries have none."""
    metadata_filename: str
    """Key of the file with classes and tokenizer: JSON; in older entries a pickle, which is never opened."""


def _kind(entry: object) -> str:
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
    """Under which the model will be live."""
    task_type: TaskType
    num_classes: int
    optimizer: str
    learning_rate: float
    batch_size: int
    epochs: int
    data_split: str
    """Training part and validation part in percent, as "70 : 30"."""
    dataset: DatasetReference | dict[str, list[str]] | str
    """Images: base64 files by class. Texts: one base64 CSV with the columns input and label."""
    model: str
    pretrain_dataset: str | Literal[False] | None = "scratch"
    """What the network was trained on before; "scratch" for nothing (null, `false`, "" and absence mean the same)."""
    reduce_lr_on_plateau: ReduceLrOnPlateau | Literal[False] = False
    step_lr: StepLr | Literal[False] = False


def read_fields(schema: type[Document], document: Json) -> Json:
    """Return the fields that a document has and the schema accepts, as the schema's types."""
    found = {}
    for name, adapter in _adapters(schema).items():
        if name in document:
            try:
                found[name] = adapter.validate_python(document[name])
            except ValidationError:
                continue
    return found


@cache
def _adapters(schema: type[Document]) -> dict[str, TypeAdapter[Any]]:
    return {
        name: TypeAdapter(
            Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation  # type: ignore[arg-type]
        )
        for name, field in schema.model_fields.items()
    }


def read_status(document: Json) -> Json:
    """Return what a status.json says: while the platform sleeps, its token and task have no meaning."""
    found = read_fields(StatusDocument, document)
    if found.get("status") == "sleeping":
        found |= {"token": "", "task_type": ""}
    return found


ENTRY_KINDS: dict[Any, type[ModelEntry]] = {
    "imageclassification": ImageModelEntry,
    "textclassification": TextModelEntry,
}


def read_entry(entry: Json) -> Json:
    """Return what an entry of inference.json says, in today's spelling.

    Older ones give the accuracy of text models as a fraction, write years with four digits, and leave
    the .onnx of a text model out.
    """
    task = entry.get("task_type")
    kind = ENTRY_KINDS.get(task) if isinstance(task, str) else None
    if kind is None:
        return {}
    found = read_fields(kind, entry)
    if kind is TextModelEntry:
        found["model_filename_onnx"] = found.get("model_filename_onnx") or ""
        if found.get("accuracy", 100) <= 1:
            found["accuracy"] *= 100
    if "accuracy" in found:
        found["accuracy"] = round(found["accuracy"], 2)
    if "created" in found:
        created = parse_date(found.pop("created"))
        if created is not None:
            found["created"] = created.strftime(DATE_FORMAT)
    return found


def parse_date(text: str) -> datetime | None:
    """Read a date as the documents write it, with a year of two or of four digits; None for no date."""
    for pattern in (DATE_FORMAT, DATE_FORMAT.replace("%y", "%Y")):
        try:
            return datetime.strptime(text, pattern).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None
