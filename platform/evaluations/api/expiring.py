"""REST view of what will be deleted when."""

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from accounts.requests import account_of
from core.http.calls import described
from inference.batches.models import Batch

from ..expiring import ExpiringVersion, expiring_batches, expiring_versions


class ExpiringVersionSerializer(serializers.Serializer):
    """A version that will go; `at` is null for the next clean-up. `POST /models/TOKEN/keep/` lets it live longer."""

    project = serializers.UUIDField(source="model.project.public_id")
    version = serializers.IntegerField(source="model.version")
    token = serializers.CharField(source="model.token")
    at = serializers.DateTimeField(allow_null=True)
    evaluations = serializers.IntegerField(help_text="That go with it.")


class ExpiringBatchSerializer(serializers.ModelSerializer):
    """A batch whose result will go."""

    id = serializers.CharField(source="identifier")
    file = serializers.CharField(source="source_name")
    model = serializers.CharField(source="model.token")
    at = serializers.DateTimeField(source="expires_at")

    class Meta:
        model = Batch
        fields = ("id", "file", "model", "at")


class ExpiringSerializer(serializers.Serializer):
    """What of the caller's will be deleted, the first to go first, 200 of each kind at the most."""

    versions = ExpiringVersionSerializer(many=True)
    batches = ExpiringBatchSerializer(many=True)


class ExpiringView(APIView):
    """What will be deleted when."""

    @described(operation_id="expiring_retrieve", responses=ExpiringSerializer)
    def get(self, request: Request) -> Response:
        """List what of the caller's will be deleted when, if nothing happens. Data sets stay until they are deleted."""
        owner: User | None = account_of(request.user)
        versions: list[ExpiringVersion] = expiring_versions(owner) if owner else []
        batches: list[Batch] = expiring_batches(owner) if owner else []
        return Response(ExpiringSerializer({"versions": versions, "batches": batches}).data)
