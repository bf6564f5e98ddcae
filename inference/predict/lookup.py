"""The single query of a prediction: which live model has the token, which file is it, and is the platform in operation?

A token is a model's own, or a project's, which its production version answers. Images are answered by the model's file
of eight bits, if it has one, where this machine is faster with that.

It is asked every time, so that a model that was deleted, or a platform that was halted, is so from
the next request on. It is one statement, compiled once: putting an SQL text together costs twenty
times what the database takes to answer.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Exists, OuterRef, Q, Subquery

from control.models import PlatformStatus
from control.selectors import require_operation
from core.exceptions import BucketError, InvalidRequest, MaintenanceMode, NotFound
from models_registry.artifacts.eight_bits import eight_bits_pay
from models_registry.models import Artifact, RegisteredModel, TaskType

TOKEN = "<token>"  # noqa: S105 - where the parameters of the compiled statement hold the token
LOADED = {
    *("id", "token", "name", "version", "task_type", "origin", "state", "unusable_because"),
    "has_outside_files",
}
MODEL_FIELDS = tuple(
    field.attname for field in RegisteredModel._meta.concrete_fields if field.attname in LOADED
)


class UnknownModel(NotFound):
    """No live model has this token; expired, retired and never known look the same."""

    def __init__(self) -> None:
        super().__init__("There is no live model with this token. It may have expired or been deleted.")


@dataclass(frozen=True)
class ServedModel:
    """A live model with little of its row loaded (the rest comes when asked for), and its file."""

    model: RegisteredModel
    key: str
    sha256: str


def find_served_model(token: str) -> ServedModel:
    """Return a live model that can predict.

    Raises `MaintenanceMode` while the platform is halted, `UnknownModel`, `InvalidRequest` for a model
    that is known to be unusable, `BucketError` for one without a file.
    """
    row = _ask(token)
    if row is None:
        require_operation()
        raise UnknownModel
    *values, key, sha256, halted = row
    if halted:
        raise MaintenanceMode
    model = RegisteredModel.from_db(connection.alias, MODEL_FIELDS, values)
    if model.unusable_because:
        raise InvalidRequest(f"{model.name} cannot be used: {model.unusable_because}")
    if key is None:
        raise BucketError(f"{model.name} has no ONNX file; train it again.")
    return ServedModel(model.under(token), key, sha256)


def _ask(token: str) -> tuple[Any, ...] | None:
    """Return the row of `MODEL_FIELDS`, key, SHA-256 and whether the platform is halted; None for no row."""
    sql, parameters = _statement(connection.vendor, answers_in_eight_bits())
    with connection.cursor() as cursor:
        cursor.execute(sql, [token if value == TOKEN else value for value in parameters])
        return cursor.fetchone()


def answers_in_eight_bits() -> bool:
    """Return whether this machine answers images by files of eight bits: it is faster so, and may."""
    return settings.TRAINYARD["PREDICT_IN_EIGHT_BITS"] and eight_bits_pay(settings.HOME / "backbones")


@lru_cache(maxsize=4)
def _statement(vendor: str, eight_bits: bool) -> tuple[str, tuple[Any, ...]]:
    """Return the SQL of the query in the database's dialect, and its parameters, of which some are `TOKEN`."""
    kinds = Q(kind=Artifact.Kind.ONNX)
    if eight_bits:
        kinds |= Q(kind=Artifact.Kind.ONNX_INT8, model__task_type=TaskType.IMAGE)
    file = Artifact.objects.filter(kinds, model=OuterRef("pk")).order_by("-kind")  # that of eight bits first
    question = RegisteredModel.objects.answering_to(TOKEN).order_by()
    return (
        question.annotate(
            file_key=Subquery(file.values("key")[:1]),
            file_sha256=Subquery(file.values("sha256")[:1]),
            halted=Exists(PlatformStatus.objects.filter(dev_mode=True)),
        )
        .values_list(*MODEL_FIELDS, "file_key", "file_sha256", "halted")
        .query.sql_with_params()
    )
