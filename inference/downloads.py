"""A model's files for whoever may have them: from S3 by a signed address, from a folder as a stream.

A file is never shown, always saved: it comes as an attachment of no type that a browser opens.
"""

import io
import os
import re
from pathlib import PurePosixPath
from typing import Any, BinaryIO, cast

from django.conf import settings
from django.core.files.storage import storages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header, quote_etag

from core.exceptions import BucketError
from core.problems import problem_response
from models_registry.models import Artifact, RegisteredModel

DOWNLOADS = {
    "onnx": Artifact.Kind.ONNX,
    "pytorch": Artifact.Kind.TORCHSCRIPT,
    "metadata": Artifact.Kind.METADATA,
    "onnx-int8": Artifact.Kind.ONNX_INT8,
    "evaluation": Artifact.Kind.EVALUATION,
}
FOR_OWNERS = {Artifact.Kind.EVALUATION}  # it shows examples of the data
SAVED_AS = "application/octet-stream"
RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)


def may_manage(user: Any, model: RegisteredModel) -> bool:
    """Tell whether this person owns the model or runs the platform."""
    return user.is_authenticated and (user.is_operator or model.owner_id == user.pk)


def may_have(kind: str, model: RegisteredModel, *, manages: bool) -> bool:
    """Tell whether those who have the token, or manage the model, may have a file of this kind."""
    return manages or (model.is_serving and model.downloadable and kind not in FOR_OWNERS)


def find_download(user: Any, token: str, kind: str) -> Artifact:
    """Return a model's file of a kind. Raises `Http404`.

    Whoever has the token of a live model may have the files of a downloadable one; its owner and operators
    always may, also while it is over and waits for its deletion.
    """
    shown = (RegisteredModel.State.LIVE, RegisteredModel.State.RETIRED)
    model = RegisteredModel.objects.filter(state__in=shown, token=token).first()
    if model is None or not may_have(kind, model, manages=may_manage(user, model)):
        raise Http404
    artifact = model.artifacts.filter(kind=kind).first()
    if artifact is None:
        raise Http404
    return artifact


def send_file(request: HttpRequest, artifact: Artifact) -> HttpResponseBase:
    """Answer with a file, or with where to get it for the next minutes. Raises `Http404`, `BucketError`."""
    name = PurePosixPath(artifact.key).name
    if settings.S3_BUCKET:
        return HttpResponseRedirect(signed_address(artifact, name))
    try:
        file = cast("BinaryIO", storages["default"].open(artifact.key))
    except FileNotFoundError as error:
        raise Http404 from error
    except OSError as error:
        raise BucketError("The model's file cannot be fetched from the bucket now. Try again.") from error
    if os.fstat(file.fileno()).st_size != artifact.size:
        file.close()
        raise BucketError("The model's file in the bucket is not the one that was published.")
    return _stream(request, file, artifact, name)


def signed_address(artifact: Artifact, name: str) -> str:
    """Return an address of the S3 server that needs no credentials and is good for a short while."""
    headers = {
        "ResponseContentDisposition": content_disposition_header(as_attachment=True, filename=name),
        "ResponseContentType": SAVED_AS,
    }
    lasts = int(settings.DOWNLOAD_ADDRESS_LASTS.total_seconds())
    storage: Any = storages["default"]
    return str(storage.url(artifact.key, parameters=headers, expire=lasts))


def _stream(request: HttpRequest, file: BinaryIO, artifact: Artifact, name: str) -> HttpResponseBase:
    etag = quote_etag(artifact.sha256) if artifact.sha256 else ""
    response: HttpResponseBase
    if etag and request.headers.get("If-None-Match") == etag:
        file.close()
        response = HttpResponse(status=304)
    else:
        span = _wanted_range(request, artifact.size, etag)
        if span is not None and span.start >= artifact.size:
            file.close()
            response = problem_response(416, f"The file has {artifact.size:,} bytes.")
            response["Content-Range"] = f"bytes */{artifact.size}"
            return response
        response = _file_response(file, span, artifact.size, name)
    response["Accept-Ranges"] = "bytes"
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, no-cache"
    if etag:
        response["ETag"] = etag
    return response


def _file_response(file: BinaryIO, span: range | None, size: int, name: str) -> FileResponse:
    part = span if span is not None else range(size)
    file.seek(part.start)
    content = io.BufferedReader(_Slice(file, len(part)))
    response = FileResponse(content, as_attachment=True, filename=name, content_type=SAVED_AS)
    response["Content-Length"] = str(len(part))
    if span is not None:
        response.status_code = 206
        response["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
    return response


def _wanted_range(request: HttpRequest, size: int, etag: str) -> range | None:
    """Return the bytes that are asked for; None for all of them.

    As RFC 9110 (14.2) allows, what is malformed or asks for several ranges is not looked at, nor is a
    range of a file that has changed since (`If-Range`).
    """
    match = RANGE.fullmatch(request.headers.get("Range", "").replace(" ", ""))
    if match is None or request.headers.get("If-Range", etag) != etag or request.method != "GET":
        return None
    first, last = match.groups()
    if first:
        stop = min(int(last) + 1, size) if last else size
        return range(int(first), stop) if int(first) < stop or int(first) >= size else None
    if not last:
        return None
    return range(max(0, size - int(last)), size) if int(last) else range(size, size)


class _Slice(io.RawIOBase):
    """So many bytes of a file from where it stands; closes it at the end."""

    def __init__(self, file: BinaryIO, length: int) -> None:
        self._file, self._left = file, length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what is left of the slice."""
        piece = self._file.read(min(len(buffer), self._left))
        buffer[: len(piece)] = piece
        self._left -= len(piece)
        return len(piece)

    def close(self) -> None:
        """Close the file, too."""
        self._file.close()
        super().close()
