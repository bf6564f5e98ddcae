"""REST views of projects: their versions, and which of them answers the project's token."""

from typing import ClassVar

from django.db.models import Prefetch, QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.requests import account_of
from core.http.calls import RequestSerializer, described, described_reads
from core.http.schema import problems
from models_registry.models import LONGEST_RETENTION, PRODUCTION, Alias, Project, RegisteredModel
from models_registry.projects.aliases import note_on_version, remove_alias, set_alias
from models_registry.projects.selectors import with_lineage
from models_registry.projects.services import change_project, delete_project, serve_again
from models_registry.projects.versions import promote_version, roll_back

MOST_VERSIONS = 200  # of an answer
MOST_NUMBER = 10**9  # of a version in an address


class VersionSerializer(serializers.ModelSerializer):
    """A version of a project: a model, which has a token of its own besides.

    `revision` is what it was trained on, `parent_revision` the one before that, `job` the training; null of what was
    not trained here.
    """

    aliases: serializers.SlugRelatedField = serializers.SlugRelatedField("name", many=True, read_only=True)
    revision = serializers.IntegerField(source="findings.revision.number", default=None, allow_null=True)
    parent_revision = serializers.IntegerField(
        source="findings.revision.parent.number", default=None, allow_null=True
    )
    job = serializers.IntegerField(source="training_job.pk", default=None, allow_null=True)
    policy = serializers.CharField(
        source="policy_decision.why",
        default=None,
        allow_null=True,
        help_text="What the project's policy made of it, and why.",
    )

    class Meta:
        model = RegisteredModel
        fields = (
            *("version", "aliases", "token", "state", "accuracy", "architecture", "strategy", "notes"),
            *("live_at", "last_used_at", "expires_at", "revision", "parent_revision", "job", "policy"),
        )
        read_only_fields = fields


class ProjectSerializer(RequestSerializer, serializers.ModelSerializer):
    """A project; `token` predicts with the production version."""

    id = serializers.UUIDField(source="public_id", read_only=True)
    retention_days = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=LONGEST_RETENTION,
        help_text="How long versions that are not in production are kept after their last use, never longer than the "
        "platform keeps them; null: as long.",
    )
    production = serializers.SerializerMethodField(
        help_text="The version that answers the token; null while none does."
    )

    class Meta:
        model = Project
        fields = (
            "id",
            "token",
            "name",
            "description",
            "task_type",
            "production",
            "policy",
            "retention_days",
            "created_at",
            "withdrawn_at",
        )
        read_only_fields = ("id", "token", "task_type", "created_at", "withdrawn_at")
        extra_kwargs: ClassVar[dict[str, dict[str, object]]] = {"name": {"required": False}}

    @extend_schema_field(serializers.IntegerField(allow_null=True))
    def get_production(self, project: Project) -> int | None:
        """Return the number of the version in production."""
        served = (alias for alias in project.aliases.all() if alias.name == PRODUCTION)
        return next((alias.model.version for alias in served), None)


class VersionsWishSerializer(RequestSerializer):
    """Which versions are to be listed."""

    below = serializers.IntegerField(
        required=False, min_value=1, max_value=MOST_NUMBER, help_text="Of versions with a smaller number."
    )


class NotesSerializer(RequestSerializer):
    """What is new in a version, for who works on the project."""

    notes = serializers.CharField(max_length=4000, allow_blank=True)


class AliasRequestSerializer(RequestSerializer):
    """Which version a name is to stand for, and which the caller believes it to stand for now."""

    version = serializers.IntegerField(min_value=1)
    expected = serializers.IntegerField(
        min_value=0, required=False, help_text="409 when it stands for another version by now; 0 for none."
    )
    why = serializers.CharField(max_length=500, required=False, default="", allow_blank=True)


class PromotionSerializer(RequestSerializer):
    """Which version is to answer, and which the caller believes to answer now."""

    version = serializers.IntegerField(min_value=1)
    expected = serializers.IntegerField(
        min_value=0, required=False, help_text="409 when another version is in production by now; 0 for none."
    )
    why = serializers.CharField(max_length=500, required=False, default="", allow_blank=True)


class RollBackSerializer(RequestSerializer):
    """Which version the caller believes to be in production."""

    expected = serializers.IntegerField(
        min_value=1, required=False, help_text="409 when another version is in production by now."
    )
    why = serializers.CharField(max_length=500, required=False, default="", allow_blank=True)


@described_reads(
    many="List the caller's projects, newest first; for operators those of all users.",
    one="Return one of the caller's projects.",
)
class ProjectViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """The caller's projects; for operators those of all users."""

    serializer_class = ProjectSerializer
    queryset = Project.objects.none()
    lookup_field = "public_id"
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[Project]:
        aliases = Alias.objects.select_related("model").only("name", "project", "model__version")
        projects = Project.objects.current().owned_by(self.request.user)
        return projects.prefetch_related(Prefetch("aliases", aliases))

    @described(request=ProjectSerializer, responses=ProjectSerializer)
    def partial_update(self, request: Request, public_id: str) -> Response:
        """Change the name, description, policy or retention of a project; what is not sent stays as it is."""
        project: Project = self.get_object()
        changes = ProjectSerializer(data=request.data, partial=True)
        changes.is_valid(raise_exception=True)
        change_project(project=project, changes=changes.validated_data)
        return self._answer(project)

    @described(responses={204: None})
    def destroy(self, request: Request, public_id: str) -> Response:
        """Delete a project: its versions stop predicting at once, and go with the next clean-up."""
        delete_project(project=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @described(
        responses=VersionSerializer(many=True),
        parameters=[VersionsWishSerializer],
    )
    @action(detail=True, pagination_class=None, filter_backends=[])
    def versions(self, request: Request, public_id: str) -> Response:
        """List the versions of a project, the latest first, 200 at the most; `below` asks for those before one."""
        project: Project = self.get_object()
        shown = project.versions.exclude(state=RegisteredModel.State.DELETED).defer(
            "metrics", "accuracy_plot"
        )
        wish = VersionsWishSerializer(data=request.query_params)
        wish.is_valid(raise_exception=True)
        if "below" in wish.validated_data:
            shown = shown.filter(version__lt=wish.validated_data["below"])
        rows = with_lineage(shown).prefetch_related("aliases").order_by("-version")[:MOST_VERSIONS]
        return Response(VersionSerializer(rows, many=True).data)

    @described(request=PromotionSerializer, responses={200: ProjectSerializer, **problems(409)})
    @action(detail=True, methods=["post"])
    def promote(self, request: Request, public_id: str) -> Response:
        """Put a version into production: it answers the project's token from now on, and no call fails meanwhile.

        400: there is no such version, or it does not predict.
        """
        project: Project = self.get_object()
        wish = PromotionSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        promote_version(project=project, by=account_of(request.user), **wish.validated_data)
        return self._answer(project)

    @described(request=RollBackSerializer, responses={200: ProjectSerializer, **problems(409)})
    @action(detail=True, methods=["post"])
    def rollback(self, request: Request, public_id: str) -> Response:
        """Put the version into production again that was there before the present one was promoted.

        400: there was none, or none of them predicts any more.
        """
        project: Project = self.get_object()
        wish = RollBackSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        roll_back(project=project, by=account_of(request.user), **wish.validated_data)
        return self._answer(project)

    @described(request=None, responses=ProjectSerializer)
    @action(detail=True, methods=["post"])
    def restore(self, request: Request, public_id: str) -> Response:
        """Let a project's token answer again after its entry was removed from inference.json."""
        project: Project = self.get_object()
        serve_again(project=project)
        return self._answer(project)

    @described(request=NotesSerializer, responses=VersionSerializer)
    @action(detail=True, methods=["patch"], url_path="versions/<int:version>", url_name="version")
    def version(self, request: Request, public_id: str, version: int) -> Response:
        """Change what is noted about a version. 400: there is no such version."""
        project: Project = self.get_object()
        wish = NotesSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        note_on_version(project=project, version=version, notes=wish.validated_data["notes"])
        return Response(VersionSerializer(project.versions.get(version=version)).data)

    @described(request=AliasRequestSerializer, responses={200: VersionSerializer, **problems(409)})
    @action(detail=True, methods=["put"], url_path="aliases/<str:name>", url_name="alias")
    def alias(self, request: Request, public_id: str, name: str) -> Response:
        """Let a name of your own stand for a version, like `candidate`; production is promoted instead.

        400: it is no name for a version, or there is no such version.
        """
        project: Project = self.get_object()
        wish = AliasRequestSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        model = set_alias(project=project, name=name, by=account_of(request.user), **wish.validated_data)
        return Response(VersionSerializer(model).data)

    @described(responses={204: None})
    @alias.mapping.delete
    def remove_alias(self, request: Request, public_id: str, name: str) -> Response:
        """Take a name off its version. 400: there is no such name, or it is production."""
        remove_alias(project=self.get_object(), name=name, by=account_of(request.user))
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _answer(self, project: Project) -> Response:
        return Response(self.get_serializer(self.get_queryset().get(pk=project.pk)).data)
