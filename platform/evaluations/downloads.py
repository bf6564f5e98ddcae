"""What is sent of an evaluation: its answers as a download, photos of the file that was brought."""

from django.http import FileResponse, Http404

from bucket.base import Missing
from bucket.factory import get_bucket
from bucket.files import WrongFile
from core.exceptions import BucketError
from models_registry.artifacts import InvalidInput
from models_registry.inputs import DataError
from training.examples.photos import PhotoPlace, small_photo

from .comparison import answers_of
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


def small_photo_of(evaluation: Evaluation, sha256: str, side: int) -> bytes:
    """Return a photo of the file that was measured on, as a small JPEG. Raises `Http404`."""
    file = evaluation.file
    if file is None or evaluation.state != Evaluation.State.SUCCEEDED:
        raise Http404
    try:
        for one in answers_of(evaluation, of=sha256):
            place = PhotoPlace(file.key, file.size, one.offset, one.packed, one.method)
            return small_photo(place, side)
    except (BucketError, DataError, InvalidInput, WrongFile) as error:
        raise Http404 from error
    raise Http404
