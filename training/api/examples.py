"""REST views of a project's examples: list, mend, take back, revisions, train again."""

from typing import Any

from django.db.models import BigIntegerField
from django.http.response import HttpResponseBase
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers, status
from rest_framework.generics import get_object_or_404
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from accounts.quota import require_room
from accounts.requests import account_of
from control.selectors import require_operation
from core.http.admission import claimed_by_file
from core.http.calls import RequestSerializer, described
from core.http.parsers import BoundedJSONParser, FirstRenderer
from core.http.schema import problems
from models_registry.models import Project

from ..engine.data.manifest import TEST
from ..examples import edits
from ..examples.additions import Added, accept_uploads
from ..examples.models import Addition, Example, Revision
from ..examples.responses import download_response
from ..examples.selectors import ACROSS, FLAGS, SHOW, SOURCES, Wanted, is_cursor, page_of_examples
from ..examples.similar import MOST as MOST_SIMILAR
from ..examples.similar import similar_to
from ..jobs.models import TrainingJob
from ..jobs.services import train_again
from .addition_serializers import AddedSerializer, AdditionRequestSerializer, AdditionSerializer
from .serializers import JobSerializer

MOST = 1_000  # examples of an answer
REVISIONS_SHOWN = 100


class ExampleSerializer(serializers.ModelSerializer):
    """An example as it is now. `given` is the probability of its class by a model that has not learnt from it,
    `suggested` the most probable other class, `doubt` how certain it is that the class is wrong (null: it looks
    right).
    `near_copy_of` is equal for near copies of one another, `likeness` how alike the two most alike of them are
    (0 to 1), `oddness` how far it is from those most like it (null: it is no odd one).
    """

    dataset = serializers.IntegerField(source="shard_id")
    class_name = serializers.CharField(source="label")

    class Meta:
        model = Example
        fields = (
            "id",
            "dataset",
            "place",
            "sha256",
            "class_name",
            "split",
            "source",
            "excluded",
            "confirmed",
            "text",
            "given",
            "suggested",
            "likely",
            "doubt",
            "near_copy_of",
            "likeness",
            "oddness",
        )
        read_only_fields = fields


class ExamplePageSerializer(serializers.Serializer):
    """Some examples; `next` is the address of those after them, `newest_edit` what to send as `seen` with an edit."""

    results = ExampleSerializer(many=True)
    next = serializers.CharField(allow_null=True)
    newest_edit = serializers.IntegerField()


class SimilarSerializer(serializers.Serializer):
    """An example and how alike it is to another one: the cosine of their features, 1 at the most."""

    example = ExampleSerializer()
    similarity = serializers.FloatField(source="likeness")


class EditRequestSerializer(RequestSerializer):
    """What to do to which examples: exactly one of the things to do."""

    ids = serializers.ListField(child=serializers.IntegerField(), max_length=100_000)
    class_name = serializers.CharField(required=False, max_length=edits.LONGEST_LABEL)
    take_suggestion = serializers.BooleanField(required=False)
    confirmed = serializers.BooleanField(required=False)
    excluded = serializers.BooleanField(required=False)
    split = serializers.ChoiceField(required=False, choices=[TEST])
    seen = serializers.IntegerField(
        required=False,
        min_value=0,
        help_text="The newest edit that you know of: examples that were edited since stay as they are.",
    )

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        """Refuse two things at a time, and none."""
        things = data.keys() - {"ids", "seen"}
        if len(things) != 1 or data.get("confirmed") is False or data.get("take_suggestion") is False:
            raise serializers.ValidationError(
                "Send one of class_name, take_suggestion (true), confirmed (true), excluded and split."
            )
        return data

    def carry_out(self, project: Project, author: Any) -> edits.Outcome:
        """Do it. Raises `InvalidRequest`."""
        data = self.validated_data
        ids = [pk for pk in data["ids"] if 0 < pk <= BigIntegerField.MAX_BIGINT]  # others no database knows
        chosen = Example.objects.filter(project=project, pk__in=ids)
        who = {"project": project, "author": author, "chosen": chosen, "seen": data.get("seen")}
        if "class_name" in data:
            return edits.relabel(**who, label=data["class_name"])
        if "excluded" in data:
            return (edits.exclude if data["excluded"] else edits.restore)(**who)
        if "split" in data:
            return edits.move_to_test_set(**who)
        return edits.confirm(**who) if "confirmed" in data else edits.take_suggestions(**who)


class OutcomeSerializer(serializers.Serializer):
    """What became of an edit: its number (null: nothing was to change), how many examples it changed, and how many
    were left because they had been edited meanwhile.
    """

    edit = serializers.IntegerField(source="edit.number", default=None, allow_null=True)
    summary = serializers.CharField(source="edit.summary", default="")
    changed = serializers.IntegerField()
    overtaken = serializers.IntegerField()


class UndoSerializer(RequestSerializer):
    """Which edit to take back; your last one where none is named."""

    edit = serializers.IntegerField(required=False, min_value=1)


class RevisionSerializer(serializers.ModelSerializer):
    """What trainings have learnt from: its number, its manifest's SHA-256, what was changed since the one before."""

    author = serializers.CharField(source="author.username", default=None, allow_null=True)

    class Meta:
        model = Revision
        fields = ("number", "sha256", "examples", "counts", "author", "summary", "created_at")
        read_only_fields = fields


def _project(request: Request, public_id: str) -> Project:
    """Return one of the caller's projects; anybody else's does not exist for them."""
    project: Project = get_object_or_404(
        Project.objects.current().owned_by(request.user), public_id=public_id
    )
    return project


class ExampleFilterSerializer(RequestSerializer):
    """By what examples are filtered; what is left out or empty is any."""

    split = serializers.ChoiceField(Example.Split.choices, required=False, allow_blank=True)
    flag = serializers.ChoiceField(
        list(FLAGS),
        required=False,
        allow_blank=True,
        help_text="The first three come by certainty. "
        + " ".join(f"{name}: {words.lower()}." for name, words in FLAGS.items()),
    )
    show = serializers.ChoiceField(
        [name for name in SHOW if name],
        required=False,
        allow_blank=True,
        help_text="What flag was called before; wrong_label was doubt.",
    )
    across = serializers.ChoiceField(
        [name for name in ACROSS if name],
        required=False,
        allow_blank=True,
        help_text="With the flag near_copy: in which another of the near copies differs.",
    )
    q = serializers.CharField(
        required=False, allow_blank=True, help_text="In the text, or the name of the file."
    )
    source = serializers.ChoiceField(  # type: ignore[assignment]  # a field may be named like an argument
        list(SOURCES), required=False, allow_blank=True
    )
    by = serializers.CharField(
        required=False, allow_blank=True, help_text="Whose newest change is this person's."
    )
    since = serializers.DateField(required=False, help_text="Whose newest change is of this day or later.")

    def get_fields(self) -> dict[str, serializers.Field]:
        """Name the class `class`, which Python keeps for itself."""
        label = serializers.CharField(
            required=False, allow_blank=True, trim_whitespace=False, help_text="Of this class."
        )
        return {"class": label, **super().get_fields()}

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        """Refuse two flags, and a question about near copies without them."""
        if data.get("flag") and data.get("show"):
            raise serializers.ValidationError(
                {"show": "This is what flag was called before: send flag alone."}
            )
        if data.get("across") and (data.get("flag") or data.get("show")) != "near_copy":
            raise serializers.ValidationError({"across": "This goes with flag=near_copy."})
        return data


class ExamplePageFilterSerializer(ExampleFilterSerializer):
    """By what examples are filtered, and where to go on."""

    after = serializers.CharField(required=False, allow_blank=True, help_text="As `next` says.")


class ExampleFileFilterSerializer(ExampleFilterSerializer):
    """Which examples go into a file, and into which."""

    format = serializers.ChoiceField(["csv", "zip"], default="csv", help_text="zip: the photos by class.")


class SimilarWishSerializer(RequestSerializer):
    """How many are wanted."""

    count = serializers.IntegerField(default=12, min_value=1, max_value=MOST_SIMILAR)


def _wanted(asked: ExampleFilterSerializer) -> Wanted:
    """Return which examples are asked for. Raises `ValidationError`."""
    asked.is_valid(raise_exception=True)
    return Wanted.of({name: str(value) for name, value in asked.validated_data.items()})


LOCATION = OpenApiParameter(
    "Location",
    location=OpenApiParameter.HEADER,
    response=[202],
    description="Where to ask how far the worker is.",
)


class ExamplesView(APIView):
    """The examples of a project."""

    parser_classes = (BoundedJSONParser, MultiPartParser)

    def admit(self, request: Request, public_id: str) -> None:
        """Refuse a file for another's project, and one over the quota, from the request's head."""
        require_operation()
        require_room(_project(request, public_id).owner, claimed_by_file(request._request))

    @described(
        responses=ExamplePageSerializer,
        parameters=[ExamplePageFilterSerializer],
    )
    def get(self, request: Request, public_id: str) -> Response:
        """List a project's examples as they are now, 1,000 at a time. 404: it is unknown, or another user's."""
        project = _project(request, public_id)
        wish = ExamplePageFilterSerializer(data=request.query_params)
        wanted = _wanted(wish)
        after = wish.validated_data.get("after", "")
        if after and not is_cursor(after, wanted):
            raise serializers.ValidationError({"after": "This is no place in this list: follow `next`."})
        newest = edits.newest_edit(project)
        page = page_of_examples(project, wanted, after, size=MOST)
        address = request.query_params.copy()
        address["after"] = page.after
        here = reverse("api-examples", args=[public_id], request=request)
        following = f"{here}?{address.urlencode()}" if page.after else None
        answer = {"results": page.examples, "next": following, "newest_edit": newest}
        return Response(ExamplePageSerializer(answer).data)

    @described(
        request=AdditionRequestSerializer,
        responses={
            201: OpenApiResponse(AddedSerializer, description="They are appended."),
            202: OpenApiResponse(
                AdditionSerializer,
                description="They are kept, and a worker appends them. Ask the address in `Location` until the state "
                "is `succeeded` or `failed`.",
            ),
            **problems(413),
        },
        parameters=[LOCATION],
    )
    def post(self, request: Request, public_id: str) -> Response:
        """Append examples: photos (`file`, several) or `texts` with their `class_name`, or one labelled zip or table.

        Returns how many are new; a large upload is left to a worker. What the project has already is not doubled. 400:
        nothing in it can be read, or the project has no version yet; 413: the quota is used up.
        """
        project = _project(request, public_id)
        asked = AdditionRequestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        found = accept_uploads(
            project=project,
            author=account_of(request.user),
            files=request.FILES.getlist("file"),
            texts=asked.validated_data.get("texts", ()),
            label=asked.validated_data.get("class_name", ""),
        )
        if isinstance(found, Added):
            return Response(AddedSerializer(found).data, status=status.HTTP_201_CREATED)
        return Response(
            AdditionSerializer(found).data,
            status=status.HTTP_202_ACCEPTED,
            headers={"Location": reverse("api-addition", args=[public_id, found.pk], request=request)},
        )

    @described(request=EditRequestSerializer, responses=OutcomeSerializer)
    def patch(self, request: Request, public_id: str) -> Response:
        """Mend many examples at once. The next training learns from them as they are then.

        Returns the edit, which can be taken back. 400: what is to be done cannot be; 404: the project is unknown, or
        another user's.
        """
        project = _project(request, public_id)
        asked = EditRequestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        return Response(OutcomeSerializer(asked.carry_out(project, account_of(request.user))).data)


class ExamplesDownloadView(APIView):
    """The examples of a project as a file."""

    content_negotiation_class = FirstRenderer

    @described(
        operation_id="projects_examples_download",
        responses={(200, "text/csv"): OpenApiTypes.STR, (200, "application/zip"): OpenApiTypes.BINARY},
        parameters=[ExampleFileFilterSerializer],
    )
    def get(self, request: Request, public_id: str) -> HttpResponseBase:
        """Download the examples that the filters leave: a table, or the photos in a folder for each class.

        Both can be uploaded again. 400: a zip of texts; 404: the project is unknown, or another user's.
        """
        wish = ExampleFileFilterSerializer(data=request.query_params)
        wanted = _wanted(wish)
        as_zip = wish.validated_data["format"] == "zip"
        return download_response(_project(request, public_id), wanted, as_zip=as_zip)


class AdditionView(APIView):
    """What a worker appends to a project."""

    @described(responses=AdditionSerializer)
    def get(self, request: Request, public_id: str, pk: int) -> Response:
        """Tell how far a worker is with a large upload of examples, and what became of it. 404: it is unknown."""
        rows = Addition.objects.filter(project=_project(request, public_id))
        found = get_object_or_404(rows.select_related("validation__dataset", "edit"), pk=pk)
        return Response(AdditionSerializer(found).data)


class SimilarView(APIView):
    """What is like one example."""

    @described(
        responses=SimilarSerializer(many=True),
        parameters=[SimilarWishSerializer],
    )
    def get(self, request: Request, public_id: str, pk: int) -> Response:
        """List the examples most like one, the most alike first. 400: no training has seen it yet; 404: unknown."""
        rows = Example.objects.filter(project=_project(request, public_id))
        wish = SimilarWishSerializer(data=request.query_params)
        wish.is_valid(raise_exception=True)
        found = similar_to(get_object_or_404(rows, pk=pk), wish.validated_data["count"])
        return Response(SimilarSerializer(found, many=True).data)


class UndoView(APIView):
    """Takes edits back."""

    @described(request=UndoSerializer, responses=OutcomeSerializer)
    def post(self, request: Request, public_id: str) -> Response:
        """Take an edit back, or your last one. Examples that were edited again since stay as they are.

        Returns the edit that does so, which can be taken back as well. 400: there is nothing to take back.
        """
        project = _project(request, public_id)
        asked = UndoSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        number = asked.validated_data.get("edit")
        outcome = edits.undo(project=project, author=account_of(request.user), number=number)
        return Response(OutcomeSerializer(outcome).data)


class RevisionsView(APIView):
    """The revisions of a project."""

    @described(responses=RevisionSerializer(many=True))
    def get(self, request: Request, public_id: str) -> Response:
        """List a project's revisions, newest first, 100 at the most. 404: it is unknown, or another user's."""
        revisions = Revision.objects.filter(project=_project(request, public_id)).select_related("author")
        return Response(RevisionSerializer(revisions[:REVISIONS_SHOWN], many=True).data)


class TrainAgainView(APIView):
    """Trains a project again."""

    @described(request=None, responses={201: JobSerializer, **problems(409)})
    def post(self, request: Request, public_id: str) -> Response:
        """Train a project's examples as they are now, with the settings of its newest version.

        Returns the queued job. 400: the project has no version yet; 409: as for a new job.
        """
        project = _project(request, public_id)
        author, origin = account_of(request.user), TrainingJob.Origin.REST
        job = train_again(project=project, author=author, origin=origin)
        return Response(JobSerializer(job, context={"request": request}).data, status=status.HTTP_201_CREATED)


urlpatterns = [
    path("projects/<str:public_id>/examples/", ExamplesView.as_view(), name="api-examples"),
    path(
        "projects/<str:public_id>/examples/download/",
        ExamplesDownloadView.as_view(),
        name="api-examples-download",
    ),
    path(
        "projects/<str:public_id>/additions/<int:pk>/",
        AdditionView.as_view(),
        name="api-addition",
    ),
    path(
        "projects/<str:public_id>/examples/<int:pk>/similar/",
        SimilarView.as_view(),
        name="api-similar-examples",
    ),
    path("projects/<str:public_id>/undo/", UndoView.as_view(), name="api-undo"),
    path("projects/<str:public_id>/revisions/", RevisionsView.as_view(), name="api-revisions"),
    path("projects/<str:public_id>/train/", TrainAgainView.as_view(), name="api-train-again"),
]
