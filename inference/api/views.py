"""REST views of models: parse, authorise, call one service."""

from datetime import timedelta

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import mixins, status, viewsets
from rest_framework.decorators import action
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.http.calls import described, described_reads
from core.http.parsers import FirstRenderer
from core.http.schema import problems
from inference.downloads import DOWNLOADS, find_download, send_file
from models_registry.models import RegisteredModel
from models_registry.services import change_model, keep_model, restore_model, retire_model

from .filters import ModelFilter
from .serializers import (
    DownloadSerializer,
    KeepSerializer,
    ModelChangesSerializer,
    RegisteredModelSerializer,
)


@described_reads(
    many="List the caller's live and past models, newest first; for operators those of all users.",
    one="Return one of the caller's models with its classes, metrics and files.",
)
class RegisteredModelViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """The caller's models; for operators those of all users."""

    serializer_class = RegisteredModelSerializer
    queryset = RegisteredModel.objects.none()
    lookup_field = "token"
    lookup_value_regex = "[^/]+"  # programs beside us name their models as they like
    filterset_class = ModelFilter

    def get_queryset(self) -> QuerySet[RegisteredModel]:
        return (
            RegisteredModel.objects.owned_by(self.request.user)
            .select_related("project")
            .prefetch_related("artifacts")
        )

    @described(request=ModelChangesSerializer, responses=RegisteredModelSerializer)
    def partial_update(self, request: Request, token: str) -> Response:
        """Change the name, description, expiry or downloads of a live model; what is not sent stays as it is.

        Returns the model as it is now. 400: a value is not allowed, or the model is not live.
        """
        model: RegisteredModel = self.get_object()
        changes = ModelChangesSerializer(data=request.data, context=self.get_serializer_context())
        changes.is_valid(raise_exception=True)
        change_model(model=model, changes=changes.validated_data)
        return Response(self.get_serializer(model).data)

    @described(responses={204: None})
    def destroy(self, request: Request, token: str) -> Response:
        """Retire a live model: it stops predicting at once. Until the next clean-up it can be restored.

        400: the model is not live.
        """
        retire_model(model=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @described(request=KeepSerializer, responses=RegisteredModelSerializer)
    @action(detail=True, methods=["post"])
    def keep(self, request: Request, token: str) -> Response:
        """Extend a live model's life by some hours, counted from now or from its expiry, whichever is later.

        Returns the model with its new expiry. 400: it is not live, or would live longer than a model may.
        """
        model: RegisteredModel = self.get_object()
        wish = KeepSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        extra = timedelta(hours=wish.validated_data["hours"])
        keep_model(model=model, extra=extra)
        return Response(self.get_serializer(model).data)

    @described(request=None, responses=RegisteredModelSerializer)
    @action(detail=True, methods=["post"])
    def restore(self, request: Request, token: str) -> Response:
        """Restore a retired model whose files have not been deleted yet: it predicts again.

        Returns the model. 400: it is not retired, or files of it are gone.
        """
        model: RegisteredModel = self.get_object()
        restore_model(model=model)
        return Response(self.get_serializer(model).data)


class DownloadView(APIView):
    """A model's files. The token of a downloadable model is the permission; its owner and operators always may."""

    permission_classes = (AllowAny,)
    content_negotiation_class = FirstRenderer

    @described(
        parameters=[
            DownloadSerializer,
            OpenApiParameter("Range", str, OpenApiParameter.HEADER, description="As in `bytes=0-99`."),
        ],
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            (206, "application/octet-stream"): OpenApiTypes.BINARY,
            302: OpenApiResponse(description="The file is at `Location`, for some minutes."),
            304: OpenApiResponse(description="The file is the one that `If-None-Match` names."),
            **problems(416),
        },
    )
    def get(self, request: Request, token: str) -> HttpResponseBase:
        """Download one of a model's files as an attachment; ranges and `If-None-Match` are supported.

        404: the token is unknown, the model has no such file, or its owner has forbidden downloads.
        """
        wish = DownloadSerializer(data=request.query_params)
        wish.is_valid(raise_exception=True)
        artifact = find_download(request.user, token, DOWNLOADS[wish.validated_data["format"]])
        return send_file(request._request, artifact)
