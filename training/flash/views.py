"""Flash's calls that are about trainings: is the platform busy, train this, what became of it.

The wishes come as training.json would have them, in other words and flat, so they are read as such.
"""

import csv
import tempfile
from pathlib import Path
from typing import Annotated

from django.conf import settings
from django.core.files import File
from django.http import HttpRequest
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.quota import require_room
from control.activity import current_activity
from control.selectors import is_halted, require_operation
from core.exceptions import InvalidRequest
from core.http.admission import claimed_by_file
from core.http.flash import NO_SUCH_TOKEN, FlashView, first_part, read_object, read_token, success
from core.http.throttles import client_of, count_if_accepted, peek
from models_registry.inputs.tables.columns import resolve_columns
from models_registry.models import TaskType
from models_registry.selectors import live_model

from ..datasets.services import accept_dataset
from ..documents.external_jobs import WantedTraining, choice_of, read_as, require_suffix
from ..engine.data import DataError, Limits, take_apart
from ..engine.specs.hyperparameters import PLATEAU, STEP
from ..jobs.models import TrainingJob
from ..jobs.submissions import Submission, submit_upload

HEADING_CHARS = 100_000
NOT_ALLOWED = (
    "Training without an account is switched off on this platform. Sign in to train, or ask the "
    "administrator to allow it (FLASH_ALLOW_TRAINING)."
)
STILL_TRAINING = "The model is currently training. Please try again after a few minutes."


def _none_for_empty(value: object) -> object:
    """Read a field that a person left empty as one that is not there."""
    return None if isinstance(value, str) and not value.strip() else value


Switch = Annotated[bool | None, BeforeValidator(_none_for_empty)]
Number = Annotated[float | None, BeforeValidator(_none_for_empty)]


class TrainRequest(BaseModel):
    """What Flash's form sends beside the data set; numbers may be texts."""

    model_config = ConfigDict(allow_inf_nan=False, str_strip_whitespace=True)

    taskName: str = Field(min_length=1, max_length=100)  # noqa: N815 - Flash's words
    taskType: str  # noqa: N815
    modelType: str  # noqa: N815
    dataSplit: str  # noqa: N815
    optimizer: str
    learningRate: float  # noqa: N815
    batchSize: int  # noqa: N815
    epochs: int
    pretrainDataset: str | bool | None = None  # noqa: N815
    reduceLrOnPlateau: Switch = None  # noqa: N815
    reduceLrOnPlateauFactor: Number = None  # noqa: N815
    reduceLrOnPlateauPatience: Number = None  # noqa: N815
    reduceLrOnPlateauMinLr: Number = None  # noqa: N815
    stepLr: Switch = None  # noqa: N815
    stepLrStepSize: Number = None  # noqa: N815
    stepLrGamma: Number = None  # noqa: N815

    def wanted(self) -> WantedTraining:
        """Return the wishes in the words of training.json. Raises `InvalidRequest`."""
        plateau = {
            "factor": self.reduceLrOnPlateauFactor,
            "patience": self.reduceLrOnPlateauPatience,
            "min_lr": self.reduceLrOnPlateauMinLr,
        }
        step = {"step_size": self.stepLrStepSize, "gamma": self.stepLrGamma}
        return read_as(
            WantedTraining,
            {
                "task_type": self.taskType,
                "model": self.modelType,
                "data_split": self.dataSplit,
                "optimizer": self.optimizer,
                "learning_rate": self.learningRate,
                "batch_size": self.batchSize,
                "epochs": self.epochs,
                "pretrain_dataset": self.pretrainDataset,
                "reduce_lr_on_plateau": self.reduceLrOnPlateau and PLATEAU.completed(plateau),
                "step_lr": self.stepLr and STEP.completed(step),
            },
        )


class StatusView(FlashView):
    """`GET /flash/status`."""

    def get(self, request: Request) -> Response:
        """Tell whether the platform trains or is halted (`active`), or waits for work (`sleeping`)."""
        busy = is_halted() or current_activity() is not None
        return success(status="active" if busy else "sleeping")


class TrainView(FlashView):
    """`POST /flash/train`."""

    def admit(self, request: Request) -> None:
        """Refuse strangers where they may not train or have trained enough, and all while the platform is halted."""
        if not settings.FLASH_ALLOW_TRAINING:
            raise InvalidRequest(NOT_ALLOWED)
        require_operation()
        peek("flash-train", client_of(request))
        require_room(None, claimed_by_file(request._request) * 3 // 4)  # base64

    def post(self, request: Request) -> Response:
        """Accept a job, nobody's; the token is all that its sender needs.

        Only accepted jobs count towards the limit of trainings from an address; all requests count
        towards that of requests.
        """
        self.admit(request)
        with (
            count_if_accepted("flash-train", client_of(request)),
            tempfile.TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR) as folder,
        ):
            return success(token=_submit(request._request, Path(folder)).token)


def _submit(request: HttpRequest, folder: Path) -> TrainingJob:
    """Turn the form into a job. Raises `InvalidRequest`, `MaintenanceMode` or `PlatformBusy`."""
    limits = Limits(max_bytes=settings.TRAINYARD["MAX_DATASET_BYTES"])
    try:
        with first_part(request) as source:
            parts = take_apart(source, folder, keys=TrainRequest.model_fields, limits=limits)
    except DataError as error:
        raise InvalidRequest(str(error)) from error
    if parts.path is None:
        raise InvalidRequest("dataset: send the data itself, images or a table in base64.")
    asked = read_as(TrainRequest, parts.settings)
    wanted = asked.wanted()
    require_suffix(parts.path, wanted.task_type)
    if wanted.task_type == TaskType.TEXT:
        _require_named_columns(parts.path)
    with parts.path.open("rb") as file:
        return submit_upload(
            owner=None,
            submission=Submission(
                name=asked.taskName,
                task_type=wanted.task_type,
                file=File(file, name=parts.path.name),
                columns=None,
                choice=choice_of(wanted),
                origin=TrainingJob.Origin.REST,
            ),
            keep=accept_dataset,
        )


def _require_named_columns(path: Path) -> None:
    """Raise `InvalidRequest` for a table whose heading does not name its columns.

    A person is shown which columns were guessed; a program is not, so nothing is guessed for it.
    """
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        heading = file.readline(HEADING_CHARS).rstrip("\r\n")
    if not heading:
        return  # whoever reads the table says what is wrong
    names = next(csv.reader([heading], delimiter=max(",;\t", key=heading.count)))
    if len(set(names)) < len(names):
        raise InvalidRequest("Two columns have the same name. Give each column its own.")
    try:
        resolve_columns(names, {})
    except DataError as error:
        raise InvalidRequest(str(error)) from error


class CheckView(FlashView):
    """`POST /flash/check`."""

    def post(self, request: Request) -> Response:
        """Tell how good a model has become, or why there is none."""
        token = read_token(read_object(request._request))
        if TrainingJob.objects.unfinished().filter(token=token).exists():
            raise InvalidRequest(STILL_TRAINING)
        model = live_model(token)
        if model is None:
            raise InvalidRequest(_why_no_model(token))
        return success(
            downloadable=model.downloadable,
            taskType=model.task_type,
            accuracy=round(model.accuracy, 2),
            accuracyPlot=model.accuracy_plot,
        )


def _why_no_model(token: str) -> str:
    job = TrainingJob.objects.filter(token=token).only("state", "message").first()
    if job is not None and job.state == TrainingJob.State.FAILED:
        return f"The training of this model has failed. {job.error}".strip()
    if job is not None and job.state == TrainingJob.State.CANCELLED:
        return "The training of this model was cancelled."
    return NO_SUCH_TOKEN  # also of a model that is over, as for every call
