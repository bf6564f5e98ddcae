"""REST views of models and predictions: parse, authorise, call one service."""

from collections.abc import Sequence

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, viewsets
from rest_framework.parsers import FormParser, JSONParser, MultiPartParser
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.exceptions import InvalidRequest
from inference.services import UnknownModel, predict
from models_registry.models import RegisteredModel

from .serializers import AnswerSerializer, PredictRequestSerializer, RegisteredModelSerializer, answer_json


class RegisteredModelViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """The caller's models."""

    serializer_class = RegisteredModelSerializer
    queryset = RegisteredModel.objects.none()
    lookup_field = "token"
    filterset_fields = ("state", "task_type")

    def get_queryset(self) -> QuerySet[RegisteredModel]:
        return RegisteredModel.objects.owned_by(self.request.user).prefetch_related("artifacts")


class PredictView(APIView):
    """Predict by token: the token is the right to do so, no account is needed."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    parser_classes = (MultiPartParser, FormParser, JSONParser)

    @extend_schema(request=PredictRequestSerializer, responses=AnswerSerializer)
    def post(self, request: Request, token: str) -> Response:
        """Classify image files (multipart `file`) or texts (JSON `{"texts": […]}`)."""
        try:
            answer = predict(token=token, inputs=_inputs(request))
        except UnknownModel as error:
            raise Http404 from error
        return Response(answer_json(answer))


def _inputs(request: Request) -> Sequence[bytes | str]:
    files: list[UploadedFile] = request.FILES.getlist("file") if hasattr(request.FILES, "getlist") else []
    if files:
        limit = settings.TRAINYARD["MAX_PREDICT_BYTES"]
        if sum(file.size or 0 for file in files) > limit:
            raise InvalidRequest(f"The files of one call may have {limit // 2**20} MB together.")
        return [file.read() for file in files]
    if not isinstance(request.data, dict):
        raise InvalidRequest('Send JSON like {"texts": ["…"]}, or image files as multipart `file`.')
    texts = request.data.getlist("texts") if hasattr(request.data, "getlist") else request.data.get("texts")
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise InvalidRequest(
            'Send {"texts": ["…", …]}, a list of strings, or image files as multipart `file`.'
        )
    return texts
