"""From a training.json that another program put into the bucket to a queued job of ours.

Whatever runs twice must not make two jobs: the data set lies under a key made from the document's
ETag. A document whose data set has a job was imported before; one whose data set has none is where an
earlier try stopped, and goes on from there.
"""

import errno
import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeVar

import structlog
from django.conf import settings
from django.core.files import File
from django.db import InterfaceError, OperationalError, transaction
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bucket.base import Reader
from bucket.files import WrongFile, download
from core.exceptions import BucketError, InvalidRequest, MaintenanceMode, PlatformBusy
from core.periodic import describe
from documents import keys, schemas
from documents.projections import Postponed, Unusable
from models_registry.inputs import Corrections
from models_registry.models import TaskType
from models_registry.tokens import readable_name

from ..datasets.files import dataset_key
from ..datasets.models import Dataset
from ..datasets.services import SUFFIXES, create_dataset, discard_dataset
from ..engine.catalogue import Architecture
from ..engine.data import LARGEST_INTEGER, DataError, ExternalDocument, Limits, parse_data_split, take_apart
from ..engine.specs.strategies import FINETUNE, SCRATCH
from ..jobs.models import TrainingJob
from ..jobs.services import JobSettings, make_room, submit_job
from ..jobs.tokens import require_free_token
from ..networks.selectors import find_network

logger = structlog.get_logger(__name__)

AnyModel = TypeVar("AnyModel", bound=BaseModel)

IMAGENET = "imagenet"
FROM_SCRATCH = (SCRATCH, False, "", None, "false", "none", "null")  # in lower case
SHOWN = 50  # characters of a value in a message
REFERENCES = "training/"  # where a data set may lie that a document only names
LONGEST_NAME = 255  # bytes of a part of a key, which may be a file of a folder
FOR_NOW = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO)


Whole = Annotated[int, Field(ge=-LARGEST_INTEGER, le=LARGEST_INTEGER)]


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _absent(value: object) -> object:
    """Read the ways in which writers say that a scheduler is off."""
    return None if value in (None, False, "", "false", "False") else value


class Plateau(BaseModel):
    """`reduce_lr_on_plateau`; its ranges are the job's own."""

    factor: float
    patience: Whole
    min_lr: float


class Step(BaseModel):
    """`step_lr`."""

    step_size: Whole
    gamma: float


class WantedTraining(BaseModel):
    """How another program wants a model trained, numbers perhaps as texts; everything is in the seed's format."""

    model_config = ConfigDict(allow_inf_nan=False, str_strip_whitespace=True)

    task_type: Annotated[schemas.TaskType, BeforeValidator(_lower)]
    optimizer: Annotated[str, BeforeValidator(_lower)]
    learning_rate: float
    batch_size: Whole
    epochs: Whole
    data_split: str
    model: str = Field(max_length=100)
    pretrain_dataset: Annotated[str | bool | None, BeforeValidator(_lower)] = None
    reduce_lr_on_plateau: Annotated[Plateau | None, BeforeValidator(_absent)] = None
    step_lr: Annotated[Step | None, BeforeValidator(_absent)] = None


class ExternalSettings(WantedTraining):
    """The document's values."""

    token: str = Field(min_length=1, max_length=160)
    num_classes: Whole


class Reference(BaseModel):
    """A data set that lies in the bucket, beside the document."""

    key: str = Field(alias="$ref", max_length=400)
    sha256: Annotated[str, BeforeValidator(_lower), Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: int = Field(ge=0, le=LARGEST_INTEGER)
    columns: dict[str, str] = {}
    corrections: dict[str, object] = {}


def import_document(source: Reader, *, etag: str) -> None:
    """Make a queued job, nobody's, of the document with this ETag; none if it has one already.

    Raises `Unusable` that says what is wrong with the document and where; `Postponed` or `BucketError`
    when it should be tried again later.
    """
    identifier = hashlib.sha256(etag.encode()).hexdigest()[:32]
    if _has_job(identifier):
        logger.info("document.imported_before", document=keys.TRAINING)
        return
    try:
        with transaction.atomic():  # before the work, and again when the job is accepted
            make_room(None)
        with tempfile.TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR) as folder:
            job = _make_job(source, Path(folder), identifier)
    except (MaintenanceMode, PlatformBusy) as error:
        raise Postponed(f"{keys.TRAINING} waits: {error}") from error
    except (DataError, InvalidRequest, WrongFile) as error:
        if _has_job(identifier):  # another process has imported it meanwhile
            return
        raise Unusable(f"{keys.TRAINING} cannot become a job: {error}") from error
    except (BucketError, OperationalError, InterfaceError, KeyboardInterrupt, SystemExit):
        raise
    except OSError as error:
        if error.errno in FOR_NOW:
            raise BucketError(f"{keys.TRAINING} cannot be copied now: {describe(error)}") from error
        raise _crashed(error) from error
    except BaseException as error:  # whatever a library makes of a document that was made to break it
        raise _crashed(error) from error
    logger.info("document.imported", document=keys.TRAINING, job=job.pk)


def _crashed(error: BaseException) -> Unusable:
    """Return what a document is called that nobody has thought of."""
    logger.error("document.crashed", document=keys.TRAINING, error=describe(error), exc_info=error)
    return Unusable(f"{keys.TRAINING} cannot become a job: it cannot be read ({describe(error)}).")


def _has_job(identifier: str) -> bool:
    return TrainingJob.objects.filter(dataset__key__startswith=dataset_key(identifier, "")).exists()


def _make_job(source: Reader, folder: Path, identifier: str) -> TrainingJob:
    limits = Limits(max_bytes=settings.TRAINYARD["MAX_DATASET_BYTES"])
    document = take_apart(source, folder, keys=ExternalSettings.model_fields, limits=limits)
    wanted = read_as(ExternalSettings, document.settings)
    require_free_token(wanted.token)  # before its data set is stored
    name, choice = readable_name(wanted.token), choice_of(wanted)
    path, columns, corrections = _data(document, folder, wanted.task_type, limits)
    dataset = Dataset.objects.filter(key=dataset_key(identifier, path.suffix)).first()
    if dataset is None:
        dataset = _make_dataset(
            path, columns, corrections, name=name, task=wanted.task_type, identifier=identifier
        )
    try:
        if len(dataset.classes) != wanted.num_classes:
            raise InvalidRequest(
                f"num_classes is {wanted.num_classes}, but the data set has {len(dataset.classes)} classes."
            )
        return submit_job(
            owner=None,
            dataset=dataset,
            name=name,
            choice=choice,
            token=wanted.token,
            origin=TrainingJob.Origin.DOCUMENT,
        )
    except BaseException:
        discard_dataset(dataset)
        raise


def _make_dataset(
    path: Path, columns: dict[str, str], corrections: Corrections, *, name: str, task: str, identifier: str
) -> Dataset:
    with path.open("rb") as file:
        return create_dataset(
            owner=None,
            name=name,
            task_type=task,
            file=File(file, name=path.name),
            columns=columns,
            corrections=corrections,
            identifier=identifier,
        )


def read_as(model: type[AnyModel], values: Mapping[str, object], *, place: str = "") -> AnyModel:
    """Return the values as a model. `InvalidRequest` names the fields, but not what they hold."""
    try:
        return model.model_validate(values)
    except (ArithmeticError, RecursionError) as error:
        raise InvalidRequest(f"{place or 'It'} holds a value that cannot be read.") from error
    except ValidationError as error:
        told = (f"{place}{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise InvalidRequest("; ".join(told) + ".") from error


def choice_of(wanted: WantedTraining) -> JobSettings:
    """Return the wishes as settings of a job. Raises `InvalidRequest`."""
    try:
        architecture = find_network(wanted.model)
        percent = parse_data_split(wanted.data_split)
    except ValueError as error:
        raise InvalidRequest(str(error)) from error
    if architecture.task_type != wanted.task_type:
        raise InvalidRequest(f"model: {architecture.name} is no model for {wanted.task_type}.")
    return JobSettings(
        architecture=architecture.name,
        strategy=choose_strategy(architecture, wanted.pretrain_dataset),
        data_split=f"{percent} : {100 - percent}",
        more={
            **wanted.model_dump(include={"optimizer", "learning_rate", "batch_size", "epochs"}),
            "reduce_lr_on_plateau": wanted.reduce_lr_on_plateau and wanted.reduce_lr_on_plateau.model_dump(),
            "step_lr": wanted.step_lr and wanted.step_lr.model_dump(),
        },
    )


def choose_strategy(architecture: Architecture, pretrain_dataset: str | bool | None) -> str:
    """Return how a document wants its model trained: from scratch, or a pretrained network trained further.

    Raises `InvalidRequest` with the reason when that cannot be done here: a model that is trained in another
    way than its owner asked for looks like theirs and is not.
    """
    if pretrain_dataset in FROM_SCRATCH:
        strategy, wish = SCRATCH, f'"{SCRATCH}"'
    else:
        strategy, wish = FINETUNE, json.dumps(pretrain_dataset)
        _check_pretrained_on(architecture, pretrain_dataset)
    reason = architecture.unavailable_because(strategy)
    if reason:
        otherwise = "" if strategy == SCRATCH else f' Or send "{SCRATCH}" to train without them.'
        raise InvalidRequest(
            f"pretrain_dataset: {wish} cannot be had for {architecture.label}: {reason}.{otherwise}"
        )
    return strategy


def _check_pretrained_on(architecture: Architecture, wanted: str | bool | None) -> None:
    """Raise `InvalidRequest` for images that the weights at hand were not trained on."""
    if architecture.kind == "image" and isinstance(wanted, str) and not wanted.startswith(IMAGENET):
        raise InvalidRequest(
            f"pretrain_dataset: the weights of {architecture.label} were trained on {IMAGENET}, "
            f'not on {json.dumps(wanted[:SHOWN])}. Send "{IMAGENET}" or "{SCRATCH}".'
        )


def _data(
    document: ExternalDocument, folder: Path, task_type: str, limits: Limits
) -> tuple[Path, dict[str, str], Corrections]:
    """Return the data set's file, a table's columns (none named: the usual ones), and what was said of it."""
    corrections = Corrections()
    if document.path is not None:
        columns: dict[str, str] = {}
        path = document.path
    else:
        reference = read_as(Reference, document.reference or {}, place="dataset.")
        path, columns = _fetch(reference, folder, limits, task_type), reference.columns
        try:
            corrections = Corrections.from_json(reference.corrections)
        except DataError as error:
            raise InvalidRequest(f"dataset.corrections: {error}") from error
    require_suffix(path, task_type)
    return path, columns, corrections


def require_suffix(path: Path, task_type: str) -> None:
    """Raise `InvalidRequest` for images where texts are meant, and the other way round.

    In a document a zip is always one of images, though tables may be uploaded in zips as well.
    """
    is_zip_of_texts = path.suffix == ".zip" and task_type == TaskType.TEXT
    if is_zip_of_texts or path.suffix not in SUFFIXES[TaskType(task_type)]:
        raise InvalidRequest(f"dataset: it is a {path.suffix} file's, which is no data set for {task_type}.")


def _fetch(reference: Reference, folder: Path, limits: Limits, task_type: str) -> Path:
    key = reference.key
    parts = key.split("/")
    if not key.startswith(REFERENCES) or key == keys.TRAINING or {"", ".", ".."} & set(parts):
        raise InvalidRequest(f"dataset.$ref: {key!r} is no key below {REFERENCES}.")
    if not key.isprintable() or any(len(part.encode()) > LONGEST_NAME for part in parts):
        raise InvalidRequest(
            f"dataset.$ref: a name in it is longer than {LONGEST_NAME} bytes, or holds what cannot be seen."
        )
    require_suffix(Path(key.lower()), task_type)
    path = folder / f"dataset{Path(key).suffix.lower()}"
    download(key, path, sha256=reference.sha256, limit=min(reference.bytes, limits.max_bytes))
    return path
