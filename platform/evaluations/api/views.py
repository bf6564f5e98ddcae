"""REST views of evaluations and comparisons."""

from uuid import UUID

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import status
from rest_framework.generics import get_object_or_404
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.quota import require_room
from accounts.requests import account_of
from core.http.admission import claimed_by_file
from core.http.calls import described
from core.http.parsers import BoundedJSONParser, FirstRenderer
from core.http.schema import problems
from models_registry.models import Project

from ..comparison import compare, standing_of
from ..downloads import send_answers
from ..models import Evaluation
from ..selectors import find_evaluation, find_file
from ..services import (
    cancel_evaluation,
    compare_versions,
    delete_evaluation,
    evaluate_on_upload,
    evaluate_version,
    require_several,
)
from .serializers import (
    ComparisonRequestSerializer,
    ComparisonSerializer,
    EvaluationRequestSerializer,
    EvaluationSerializer,
    comparison_data,
)

SHOWN = 100


def _project(request: Request, public_id: UUID) -> Project:
    """Return one of the caller's projects; anybody else's does not exist for them."""
    project: Project = get_object_or_404(
        Project.objects.current().owned_by(request.user), public_id=public_id
    )
    return project


class EvaluationListView(APIView):
    """The evaluations of a project."""

    parser_classes = (MultiPartParser, BoundedJSONParser)

    def admit(self, request: Request, public_id: UUID) -> None:
        """Refuse a file for another's project, and one over the quota, from the request's head."""
        project = _project(request, public_id)
        require_room(project.owner, claimed_by_file(request._request))

    @described(operation_id="projects_evaluations_list", responses=EvaluationSerializer(many=True))
    def get(self, request: Request, public_id: UUID) -> Response:
        """List a project's evaluations, newest first, 100 at the most. 404: it is unknown, or another user's."""
        rows = Evaluation.objects.of_project(_project(request, public_id)).defer(None)
        rows = rows.select_related("project").defer("model__metrics", "model__accuracy_plot")
        return Response(EvaluationSerializer(rows[:SHOWN], many=True, context={"request": request}).data)

    @described(
        operation_id="projects_evaluations_create",
        request=EvaluationRequestSerializer,
        responses={202: EvaluationSerializer, **problems(413)},
    )
    def post(self, request: Request, public_id: UUID) -> Response:
        """Let a worker measure a version on the project's own examples, or on a labelled file that you send.

        Returns the queued evaluation; `Location` is its address, to be polled. Nothing that the version has learnt from
        is measured on. 400: the file has no labels, or none of its classes is one that the version knows; there is no
        such version, or it does not predict; 413: the quota is used up.
        """
        project, author = _project(request, public_id), account_of(request.user)
        wish = EvaluationRequestSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        version, upload = wish.validated_data["version"], wish.upload
        if upload is not None:
            evaluation = evaluate_on_upload(project=project, version=version, author=author, file=upload)
        else:
            file = find_file(project, wish.validated_data.get("file_id"))
            evaluation = evaluate_version(project=project, version=version, author=author, file=file)
        answer = EvaluationSerializer(evaluation, context={"request": request}).data
        return Response(answer, status=status.HTTP_202_ACCEPTED, headers={"Location": answer["url"]})


class EvaluationView(APIView):
    """One evaluation."""

    @described(operation_id="projects_evaluations_retrieve", responses=EvaluationSerializer)
    def get(self, request: Request, public_id: UUID, identifier: UUID) -> Response:
        """Return an evaluation with its state and, once it has succeeded, its figures.

        404: it or the project is unknown, or another user's.
        """
        evaluation = find_evaluation(_project(request, public_id), identifier)
        return Response(EvaluationSerializer(evaluation, context={"request": request}).data)

    @described(operation_id="projects_evaluations_destroy", responses={204: None})
    def delete(self, request: Request, public_id: UUID, identifier: UUID) -> Response:
        """Delete an evaluation, with its file when no other one is of it. 400: it has not ended."""
        delete_evaluation(evaluation=find_evaluation(_project(request, public_id), identifier))
        return Response(status=status.HTTP_204_NO_CONTENT)


class CancelView(APIView):
    """The cancellation of an evaluation."""

    @described(
        operation_id="projects_evaluations_cancel", request=None, responses={202: EvaluationSerializer}
    )
    def post(self, request: Request, public_id: UUID, identifier: UUID) -> Response:
        """Cancel an evaluation: a queued one ends at once, a running one within seconds. 400: it has ended."""
        evaluation = find_evaluation(_project(request, public_id), identifier)
        cancel_evaluation(evaluation=evaluation)
        answer = EvaluationSerializer(evaluation, context={"request": request}).data
        return Response(answer, status=status.HTTP_202_ACCEPTED)


class AnswersView(APIView):
    """What a version answered to each example."""

    content_negotiation_class = FirstRenderer

    @described(
        operation_id="projects_evaluations_answers",
        responses={(200, "application/vnd.apache.parquet"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, public_id: UUID, identifier: UUID) -> HttpResponseBase:
        """Download a Parquet table with a row for each example: SHA-256, true class, answer, probability of both.

        404: the evaluation has not succeeded, or is unknown.
        """
        return send_answers(find_evaluation(_project(request, public_id), identifier))


class ComparisonView(APIView):
    """Versions side by side."""

    @described(
        operation_id="projects_compare_retrieve",
        parameters=[
            OpenApiParameter("v", int, many=True, required=True, description="The versions, two or more."),
            OpenApiParameter("file", int, description="The labelled file to compare on, by its id."),
        ],
        responses=ComparisonSerializer,
    )
    def get(self, request: Request, public_id: UUID) -> Response:
        """Return a comparison of versions on the examples that none of them has learnt from, as far as it is.

        400: a version is unknown, or there are no such examples.
        """
        given = {"versions": request.query_params.getlist("v"), "file_id": request.query_params.get("file")}
        return self._answer(request, public_id, given, start=False)

    @described(
        operation_id="projects_compare_create",
        request=ComparisonRequestSerializer,
        responses={202: ComparisonSerializer},
    )
    def post(self, request: Request, public_id: UUID) -> Response:
        """Measure what the comparison needs and is not measured yet; returns it as far as it is.

        400: a version is unknown, or cannot be measured.
        """
        return self._answer(request, public_id, request.data, start=True)

    def _answer(self, request: Request, public_id: UUID, given: object, *, start: bool) -> Response:
        project = _project(request, public_id)
        wish = ComparisonRequestSerializer(data=given)
        wish.is_valid(raise_exception=True)
        versions, file = wish.validated_data["versions"], find_file(project, wish.validated_data["file_id"])
        require_several(versions)
        if start:
            author = account_of(request.user)
            compare_versions(project=project, versions=versions, author=author, file=file)
        standing = standing_of(project, versions, file)
        told = comparison_data(standing, compare(standing) if standing.is_ready else None)
        answer = ComparisonSerializer(told, context={"request": request}).data
        return Response(answer, status=status.HTTP_202_ACCEPTED if start else status.HTTP_200_OK)
