"""Predict and download as Flash's clients do: by token, in Flash's envelope.

Flash's page fetches the address of a file with JavaScript and saves it under the last part of its path. So the
file has to come from an address that its site may call, and the token must not be the file's name.
"""

import base64
import binascii
import re
from http import HTTPStatus

from django.http.response import HttpResponseBase
from django.urls import reverse
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.exceptions import InvalidRequest
from core.http.flash import NO_SUCH_TOKEN, FlashView, read_object, read_token, success
from core.http.parsers import FirstRenderer
from core.http.problems import problem
from core.http.throttles import PerAddressPredict, require_rate
from inference.downloads import (
    AddressExpired,
    download_name,
    find_signed_download,
    sign_download,
    stream_file,
)
from models_registry.models import Artifact, RegisteredModel, TaskType

from ..predict.services import UnknownModel, get_live_model, predict

NOT_DOWNLOADABLE = "This model cannot be downloaded."
NO_SUCH_FORMAT = "Invalid model format given."
OFFERED = {"pytorch": Artifact.Kind.TORCHSCRIPT, "onnx": Artifact.Kind.ONNX}  # Flash's words
DATA_ADDRESS = re.compile(r"data:[\w/+.-]*;base64,")  # what a browser's FileReader puts before the image


class InferenceView(FlashView):
    """`POST /flash/inference`."""

    throttle_classes = (PerAddressPredict,)

    def post(self, request: Request) -> Response:
        """Classify an image (base64) or a sentence."""
        body = read_object(request._request)
        model = _model(body)
        require_rate("predict-token", model.shown_token)
        given = body.get("input")
        if not isinstance(given, str):
            raise InvalidRequest("input: send an image in base64, or a sentence.")
        wanted = _image(given) if model.task_type == TaskType.IMAGE else given
        try:
            answer = predict(token=model.shown_token, inputs=[wanted])
        except UnknownModel as error:
            raise InvalidRequest(NO_SUCH_TOKEN) from error
        return success(prediction=answer.predictions[0].label)


class DownloadView(FlashView):
    """`POST /flash/download`."""

    def post(self, request: Request) -> Response:
        """Return the address of a model's file."""
        body = read_object(request._request)
        model = _model(body)
        if not model.downloadable:
            raise InvalidRequest(NOT_DOWNLOADABLE)
        wanted = str(body.get("format", "")).lower()
        kind = OFFERED.get(wanted)
        if kind is None:
            raise InvalidRequest(NO_SUCH_FORMAT)
        artifact = next((artifact for artifact in model.artifacts.all() if artifact.kind == kind), None)
        if artifact is None:
            raise InvalidRequest(f"This model has no file for {wanted}.")
        parts = sign_download(model, artifact), download_name(model, artifact)
        return success(url=request.build_absolute_uri(reverse("flash:file", args=parts)))


class FileView(APIView):
    """`GET /flash/files/…`: a file, from the address that `DownloadView` gave.

    It is no call of Flash's: what fetches a file goes by the status, so errors are problem documents.
    """

    authentication_classes = ()
    permission_classes = (AllowAny,)
    content_negotiation_class = FirstRenderer
    schema = None

    def get(self, request: Request, signed: str, name: str) -> HttpResponseBase:
        """Stream the file, wherever the bucket is."""
        try:
            artifact = find_signed_download(signed, name)
        except AddressExpired as error:
            return problem(HTTPStatus.GONE, str(error))
        return stream_file(request._request, artifact)


def _model(body: dict[str, object]) -> RegisteredModel:
    try:
        return get_live_model(read_token(body))
    except UnknownModel as error:
        raise InvalidRequest(NO_SUCH_TOKEN) from error


def _image(text: str) -> bytes:
    match = DATA_ADDRESS.match(text)
    try:
        return base64.b64decode("".join(text[match.end() if match else 0 :].split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest("input: this is no base64. Send an image file in base64.") from error
