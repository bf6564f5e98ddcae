"""Downloads of a model's files: by a signed address of S3, or as a stream that serves ranges.

A file is never shown, always saved: it comes as an attachment of no type that a browser opens.
"""

import re
from pathlib import PurePosixPath

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.signing import BadSignature, SignatureExpired, TimestampSigner
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header, quote_etag
from django.utils.text import slugify

from accounts.models import User
from bucket.base import Missing, Reader
from bucket.factory import get_bucket
from core.exceptions import BucketError, TrainyardError
from core.http.problems import Problem, problem_response
from models_registry.models import Artifact, RegisteredModel
from models_registry.selectors import stored_size

from .access import may_have, may_manage, visible_model

DOWNLOADS = {
    "onnx": Artifact.Kind.ONNX,
    "pytorch": Artifact.Kind.TORCHSCRIPT,
    "metadata": Artifact.Kind.METADATA,
    "onnx-int8": Artifact.Kind.ONNX_INT8,
    "evaluation": Artifact.Kind.EVALUATION,
}
ENDINGS: dict[str, str] = {
    Artifact.Kind.ONNX: ".onnx",
    Artifact.Kind.TORCHSCRIPT: ".pt",
    Artifact.Kind.ONNX_INT8: ".int8.onnx",
    Artifact.Kind.EVALUATION: "_evaluation.json",
}
SAVED_AS = "application/octet-stream"
SALT = "trainyard.downloads"
SHOWN_OF_ID = 8  # digits of the public identifier that tell files of one name apart
RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)


class AddressExpired(TrainyardError):
    """A signed address has expired."""

    def __init__(self) -> None:
        super().__init__("This address was good for a short while only. Ask for a new one.")


def find_download(user: User | AnonymousUser, token: str, kind: str) -> Artifact:
    """Return a model's file of a kind. Raises `Http404`.

    Whoever has the token of a live model may have the files of a downloadable one; its owner and operators
    always may, also while it is over and waits for its deletion.
    """
    model = visible_model(user, token)
    if not may_have(kind, model, manages=may_manage(user, model)):
        raise Http404
    artifact = model.artifacts.filter(kind=kind).first()
    if artifact is None:
        raise Http404
    return artifact


def download_name(model: RegisteredModel, artifact: Artifact) -> str:
    """Return a file name without secrets: the model's name and its public identifier.

    The token is no part of it, nor is a name that was read from a token as a whole, as those of models
    from outside can be.
    """
    name = slugify(model.name)
    stem = name if name and slugify(model.token) not in name else "model"
    ending = ENDINGS.get(artifact.kind) or f"_metadata{PurePosixPath(artifact.key).suffix}"
    return f"{stem}-{model.public_id.hex[:SHOWN_OF_ID]}{ending}"


def send_file(request: HttpRequest, artifact: Artifact) -> HttpResponseBase:
    """Return a file as a stream, or a redirect to a signed address. Raises `Http404`, `BucketError`.

    Keys in the bucket hold the model's own token, which who has the project's is not to see.
    """
    if artifact.model.shown_token != artifact.model.token:
        return stream_file(request, artifact)
    address = get_bucket().signed_address(
        artifact.key,
        disposition=_disposition(artifact),
        content_type=SAVED_AS,
        lasts=settings.DOWNLOAD_ADDRESS_LASTS,
    )
    return HttpResponseRedirect(address) if address is not None else stream_file(request, artifact)


def _disposition(artifact: Artifact) -> str:
    """Return the header that lets a browser save the file under its public name."""
    name = download_name(artifact.model, artifact)
    return content_disposition_header(as_attachment=True, filename=name) or ""


def sign_download(model: RegisteredModel, artifact: Artifact) -> str:
    """Return a signature that gives access to one file for a short time; it does not hold the model's token."""
    return TimestampSigner(salt=SALT).sign_object([model.pk, artifact.kind])


def find_signed_download(signed: str, name: str) -> Artifact:
    """Return the file that a signature is for and that has this name.

    Raises `Http404`, also when the model is not to be downloaded any more, and `AddressExpired`.
    """
    try:
        pk, kind = TimestampSigner(salt=SALT).unsign_object(signed, max_age=settings.DOWNLOAD_ADDRESS_LASTS)
    except SignatureExpired as error:
        raise AddressExpired from error
    except (BadSignature, ValueError) as error:
        raise Http404 from error
    artifact = Artifact.objects.select_related("model").filter(model=pk, kind=kind).first()
    if artifact is None or not may_have(kind, artifact.model, manages=False):
        raise Http404
    if name != download_name(artifact.model, artifact):
        raise Http404
    return artifact


def stream_file(request: HttpRequest, artifact: Artifact) -> HttpResponseBase:
    """Answer with a file, or the part that is asked for, in memory of one piece of it.

    Raises `Http404`, `BucketError`.
    """
    _require_published(artifact)
    etag, size = quote_etag(artifact.sha256) if artifact.sha256 else "", artifact.size
    span = _wanted_range(request, size, etag)
    response: HttpResponseBase
    if etag and request.headers.get("If-None-Match") == etag:
        response = HttpResponse(status=304)
    elif span is not None and span.start >= size:
        response = problem_response(Problem(416, f"The file has {size:,} bytes."))
        response["Content-Range"] = f"bytes */{size}"
        return response
    else:
        response = _part_response(artifact, span)
    response["Accept-Ranges"] = "bytes"
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, no-cache"
    if etag:
        response["ETag"] = etag
    return response


def _require_published(artifact: Artifact) -> None:
    """Raise `Http404` for a file that is gone, `BucketError` for one that is another or cannot be asked about."""
    size = stored_size(artifact)
    if size is None:
        raise Http404
    if size != artifact.size:
        raise BucketError("The model's file in the bucket is not the one that was published.")


def _part_response(artifact: Artifact, span: range | None) -> StreamingHttpResponse:
    response = StreamingHttpResponse(_open(artifact, span), content_type=SAVED_AS)
    response["Content-Disposition"] = _disposition(artifact)
    response["Content-Length"] = str(artifact.size if span is None else len(span))
    if span is not None:
        response.status_code = 206
        response["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{artifact.size}"
    return response


def _open(artifact: Artifact, span: range | None) -> Reader:
    """Open a file; Django closes it with its answer.

    Raises `Http404` for a file that was replaced or deleted a moment ago, `BucketError`.
    """
    try:
        file = get_bucket().open(artifact.key, span)
    except Missing as error:
        raise Http404 from error
    except BucketError as error:  # its words name the key
        raise BucketError("The model's file cannot be fetched from the bucket now. Try again.") from error
    if file.size != artifact.size:
        file.close()
        raise BucketError("The model's file in the bucket is not the one that was published.")
    return file


def _wanted_range(request: HttpRequest, size: int, etag: str) -> range | None:
    """Return the bytes that are asked for; None for all of them.

    As RFC 9110 (14.2) allows, what is malformed or asks for several ranges is not looked at, nor is a
    range of a file that has changed since (`If-Range`).
    """
    match = RANGE.fullmatch(request.headers.get("Range", "").replace(" ", ""))
    if match is None or request.headers.get("If-Range", etag) != etag or request.method != "GET":
        return None
    first, last = (_position(digits, size) for digits in match.groups())
    if first is not None:
        stop = size if last is None else min(last + 1, size)
        return range(first, stop) if first < stop or first >= size else None
    if last is None:
        return None
    return range(size - last, size) if last else range(size, size)


def _position(digits: str, size: int) -> int | None:
    """Return a number of a range, the file's size for anything larger: clients may send thousands of digits."""
    digits = digits.lstrip("0") or digits[:1]
    if not digits:
        return None
    return size if len(digits) > len(str(size)) else min(int(digits), size)
