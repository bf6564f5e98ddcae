"""A batch's result as a download."""

from pathlib import PurePath

from django.http import FileResponse, Http404

from bucket.base import Missing
from bucket.factory import get_bucket
from core.exceptions import BucketError

from .models import Batch


def send_result(batch: Batch) -> FileResponse:
    """Answer with a batch's result as a stream. Raises `Http404` when there is none (any more), `BucketError`."""
    if batch.state != Batch.State.SUCCEEDED:
        raise Http404
    try:
        file = get_bucket().open(batch.result_key)
    except Missing as error:
        raise Http404 from error
    except BucketError as error:
        raise BucketError("The result cannot be fetched from the bucket now. Try again.") from error
    name = f"{PurePath(batch.source_name).stem}-predictions.csv"
    response = FileResponse(file, as_attachment=True, filename=name, content_type="text/csv; charset=utf-8")
    response["Content-Length"] = str(batch.result_size)
    response["X-Content-Type-Options"] = "nosniff"
    return response
