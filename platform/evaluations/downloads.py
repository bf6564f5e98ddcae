"""An evaluation's answers as a download."""

from django.http import FileResponse, Http404

from bucket.base import Missing
from bucket.factory import get_bucket
from core.exceptions import BucketError

from .models import Evaluation


def send_answers(evaluation: Evaluation) -> FileResponse:
    """Answer with the table of answers. Raises `Http404` when there is none (any more), `BucketError`."""
    if evaluation.state != Evaluation.State.SUCCEEDED:
        raise Http404
    try:
        file = get_bucket().open(evaluation.result_key)
    except Missing as error:
        raise Http404 from error
    except BucketError as error:
        raise BucketError("The answers cannot be fetched from the bucket now. Try again.") from error
    name = f"version-{evaluation.model.version}-{evaluation.basis}.parquet"
    response = FileResponse(
        file, as_attachment=True, filename=name, content_type="application/vnd.apache.parquet"
    )
    response["Content-Length"] = str(evaluation.result_size)
    response["X-Content-Type-Options"] = "nosniff"
    return response
