"""How the switches appear in status.json and cleanup.json."""

from django.db import transaction

from documents import keys
from documents.merge import Json, Ownership
from documents.projections import FieldsProjection
from documents.schemas import CleanupDocument, StatusDocument, read_fields, read_status

from .activity import current_activity
from .models import CleanupPolicy, PlatformStatus


class StatusProjection(FieldsProjection):
    """`active` with the longest-running job, else `sleeping`; `dev_mode` belongs to the operator."""

    key = keys.STATUS
    schema = StatusDocument
    ownership = Ownership(operator=frozenset({"dev_mode"}))

    def render(self) -> Json:
        activity = current_activity()
        return {
            "status": "active" if activity else "sleeping",
            "token": activity.token if activity else "",
            "task_type": activity.task_type if activity else "",
            "dev_mode": PlatformStatus.load().dev_mode,
        }

    def canonical(self, document: Json) -> Json:
        return read_status(document)

    def follow(self, fields: Json) -> None:
        with transaction.atomic():
            status = PlatformStatus.load()
            status.dev_mode = bool(fields["dev_mode"])
            status.save()


class CleanupProjection(FieldsProjection):
    """The one flag, which belongs to the operator."""

    key = keys.CLEANUP
    schema = CleanupDocument
    ownership = Ownership(operator=frozenset({"status"}))

    def render(self) -> Json:
        return {"status": CleanupPolicy.load().status}

    def canonical(self, document: Json) -> Json:
        return read_fields(CleanupDocument, document)

    def follow(self, fields: Json) -> None:
        with transaction.atomic():
            policy = CleanupPolicy.load()
            policy.status = fields["status"]
            policy.save()
