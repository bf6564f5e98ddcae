"""The download of examples as a response, the same for the page and over REST."""

from django.http import StreamingHttpResponse
from django.utils.text import slugify

from core.exceptions import InvalidRequest
from models_registry.models import Project, TaskType

from .downloads import photos_of, table_of
from .selectors import Wanted


def download_response(project: Project, wanted: Wanted, *, as_zip: bool) -> StreamingHttpResponse:
    """Answer with the wanted examples as an attachment. Raises `InvalidRequest` for a zip of texts."""
    if as_zip and project.task_type != TaskType.IMAGE:
        raise InvalidRequest("Texts come as a table: ask for format=csv.")
    content, kind, ending = (
        (photos_of(project, wanted), "application/zip", "zip")
        if as_zip
        else (table_of(project, wanted), "text/csv; charset=utf-8", "csv")
    )
    response = StreamingHttpResponse(content, content_type=kind)
    name = f"{slugify(project.name) or 'project'}-examples.{ending}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Content-Type-Options"] = "nosniff"
    return response
