"""Predict and download as Flash's clients do: by token, in Flash's envelope."""

import base64
import binascii
import re
from typing import Any

from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response

from core.exceptions import InvalidRequest
from core.flash import NO_SUCH_TOKEN, FlashView, read_object, read_token, success
from core.throttles import PerAddressPredict, require_rate
from inference.downloads import DOWNLOADS
from inference.services import UnknownModel, get_live_model, predict
from models_registry.models import RegisteredModel, TaskType

NOT_DOWNLOADABLE = "This model cannot be downloaded."
NO_SUCH_FORMAT = "Invalid model format given."
DATA_ADDRESS = re.compile(r"data:[\w/+.-]*;base64,")  # what a browser's FileReader puts before the image


class InferenceView(FlashView):
    """`POST /flash/inference`."""

    throttle_classes = (PerAddressPredict,)

    def post(self, request: Request) -> Response:
        """Classify an image (base64) or a sentence."""
        body = read_object(request._request)
        model = _model(body)
        require_rate("predict-token", model.token)
        given = body.get("input")
        if not isinstance(given, str):
            raise InvalidRequest("input: send an image in base64, or a sentence.")
        wanted = _image(given) if model.task_type == TaskType.IMAGE else given
        try:
            answer = predict(token=model.token, inputs=[wanted])
        except UnknownModel as error:
            raise InvalidRequest(NO_SUCH_TOKEN) from error
        return success(prediction=answer.predictions[0].label)


class DownloadView(FlashView):
    """`POST /flash/download`."""

    def post(self, request: Request) -> Response:
        """Tell from where a model's file can be fetched."""
        body = read_object(request._request)
        model = _model(body)
        if not model.downloadable:
            raise InvalidRequest(NOT_DOWNLOADABLE)
        wanted = str(body.get("format", "")).lower()
        kind = DOWNLOADS.get(wanted)
        if kind is None:
            raise InvalidRequest(NO_SUCH_FORMAT)
        if not any(artifact.kind == kind for artifact in model.artifacts.all()):
            raise InvalidRequest(f"This model has no file for {wanted}.")
        address = reverse("api-model-download", args=[model.token])
        return success(url=request.build_absolute_uri(f"{address}?format={wanted}"))


def _model(body: dict[str, Any]) -> RegisteredModel:
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
