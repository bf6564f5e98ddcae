"""REST views of batches: a file of inputs in, a CSV out."""

from django.http.response import HttpResponseBase
from django.urls import path, reverse
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers, status
from rest_framework.parsers import MultiPartParser
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.quota import require_room
from accounts.requests import account_of
from core.http.admission import claimed_by_file
from core.http.calls import RequestSerializer, described
from core.http.parsers import FirstRenderer
from core.http.throttles import PerAddressPredict, PerModelToken

from ..batches.downloads import send_result
from ..batches.models import Batch
from ..batches.selectors import find_batch, why_waiting
from ..batches.services import cancel_batch, create_batch
from ..predict.admission import require_model


class BatchRequestSerializer(RequestSerializer):
    """A zip of images, or a table of texts (CSV, TSV, JSON Lines, Parquet)."""

    file = serializers.FileField()
    column = serializers.CharField(
        required=False,
        max_length=200,
        default="",
        help_text="The table's column of texts; recognised by its name where left out.",
    )


class BatchSerializer(serializers.ModelSerializer):
    """A batch with its progress and, once it has succeeded, the address of its result."""

    id = serializers.CharField(source="identifier")
    model = serializers.CharField(source="model.shown_token")
    file = serializers.CharField(source="source_name")
    url = serializers.SerializerMethodField()
    message = serializers.SerializerMethodField(help_text="Why it waits or has failed, in a sentence.")
    result = serializers.SerializerMethodField(
        help_text="Address of the CSV; null until the batch has succeeded."
    )

    class Meta:
        model = Batch
        fields = (
            "id",
            "model",
            "url",
            "file",
            "state",
            "total",
            "done",
            "unreadable",
            "message",
            "result",
            "created_at",
            "finished_at",
            "expires_at",
        )
        read_only_fields = fields

    def get_url(self, batch: Batch) -> str:
        """The address of the batch itself."""
        return self._address("api-batch", batch)

    def get_message(self, batch: Batch) -> str:
        """Why the batch waits, or has failed; "" otherwise."""
        return why_waiting(batch) or batch.message

    def get_result(self, batch: Batch) -> str | None:
        """The address of the CSV; null until the batch has succeeded."""
        return self._address("api-batch-result", batch) if batch.state == Batch.State.SUCCEEDED else None

    def _address(self, name: str, batch: Batch) -> str:
        address = reverse(name, args=[batch.model.shown_token, batch.identifier])
        request = self.context.get("request")
        return str(request.build_absolute_uri(address)) if request else address


class BatchListView(APIView):
    """Batches of a model; its token is the permission."""

    permission_classes = (AllowAny,)
    parser_classes = (MultiPartParser,)
    throttle_classes = (PerModelToken, PerAddressPredict)

    def admit(self, request: Request, token: str) -> None:
        """Refuse uploads for unknown tokens, and those that exceed the quota, from the request's head."""
        require_model(token)
        require_room(account_of(request.user), claimed_by_file(request._request))

    @described(
        operation_id="models_batches_create",
        request={"multipart/form-data": BatchRequestSerializer},
        responses={202: BatchSerializer},
    )
    def post(self, request: Request, token: str) -> Response:
        """Queue the classification of a file of inputs by a worker.

        Returns the batch; `Location` is its address, to be polled for its progress. 400: the file cannot be read,
        has too many inputs, or too many batches wait; 404: no live model has this token; 413: the quota is used up.
        """
        wish = BatchRequestSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        owner = account_of(request.user)
        batch = create_batch(token=token, owner=owner, **wish.validated_data)
        answer = BatchSerializer(batch, context={"request": request}).data
        return Response(answer, status=status.HTTP_202_ACCEPTED, headers={"Location": answer["url"]})


class BatchView(APIView):
    """One batch; its identifier and its model's token are the permission."""

    permission_classes = (AllowAny,)

    @described(operation_id="models_batches_retrieve", responses=BatchSerializer)
    def get(self, request: Request, token: str, identifier: str) -> Response:
        """Return a batch with its state, its progress and, once it has succeeded, the address of its result.

        404: the identifier or the model's token is wrong, or the batch has expired.
        """
        return Response(BatchSerializer(find_batch(token, identifier), context={"request": request}).data)


class BatchCancelView(APIView):
    """The cancellation of a batch."""

    permission_classes = (AllowAny,)

    @described(operation_id="models_batches_cancel", request=None, responses={202: BatchSerializer})
    def post(self, request: Request, token: str, identifier: str) -> Response:
        """Cancel a batch: a queued one ends at once, a running one within seconds.

        Returns the batch. 400: it has ended already.
        """
        batch = find_batch(token, identifier)
        cancel_batch(batch=batch)
        answer = BatchSerializer(batch, context={"request": request}).data
        return Response(answer, status=status.HTTP_202_ACCEPTED)


class BatchResultView(APIView):
    """The result of a batch."""

    permission_classes = (AllowAny,)
    content_negotiation_class = FirstRenderer

    @described(operation_id="models_batches_result", responses={(200, "text/csv"): OpenApiTypes.STR})
    def get(self, request: Request, token: str, identifier: str) -> HttpResponseBase:
        """Download the result, a CSV with a line for each input.

        404: the batch has not succeeded, has expired or is unknown.
        """
        return send_result(find_batch(token, identifier))


urlpatterns = [
    path("models/<str:token>/batches/", BatchListView.as_view(), name="api-batch-list"),
    path("models/<str:token>/batches/<str:identifier>/", BatchView.as_view(), name="api-batch"),
    path(
        "models/<str:token>/batches/<str:identifier>/cancel/",
        BatchCancelView.as_view(),
        name="api-batch-cancel",
    ),
    path(
        "models/<str:token>/batches/<str:identifier>/result/",
        BatchResultView.as_view(),
        name="api-batch-result",
    ),
]
