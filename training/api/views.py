"""REST views of data sets and jobs: parse, authorise, call one service."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse
from rest_framework import mixins, status, viewsets
from rest_framework.decorators import action
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from accounts.quota import require_room
from accounts.requests import account_of
from control.selectors import require_operation
from core.http.admission import claimed_by_file
from core.http.calls import described, described_reads
from core.http.schema import problems
from core.http.throttles import PerAddress, PerUser, Plans, Uploads
from training.datasets.deletion import delete_dataset
from training.datasets.dry_run import plan_upload, require_size
from training.datasets.services import accept_dataset

from ..datasets.models import Dataset
from ..jobs.models import TrainingJob
from ..jobs.services import JobSettings, cancel_job, retry_job, submit_job
from .filters import DatasetFilter, JobFilter
from .plan_serializers import PlanRequestSerializer, PlanSerializer
from .serializers import DatasetSerializer, DatasetUploadSerializer, JobDetailSerializer, JobSerializer

EXAMPLES: dict[str, dict[str, Any]] = {
    "Fast": {"preset": "fast"},
    "Best, for a quarter of an hour": {"preset": "best", "budget_minutes": 15},
    "Accurate, with settings of yours": {"preset": "accurate", "epochs": 8, "augmentation": "strong"},
}
JOBS = [
    OpenApiExample(title, {"dataset": 1, "name": "Banking", **settings}, request_only=True)
    for title, settings in EXAMPLES.items()
]


@described_reads(
    many="List the caller's data sets, newest first; for operators those of all users.",
    one="Return one of the caller's data sets: its state, the progress of its validation, and the report.",
)
class DatasetViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """The caller's data sets."""

    serializer_class = DatasetSerializer
    queryset = Dataset.objects.none()
    parser_classes = (MultiPartParser, FormParser)
    filterset_class = DatasetFilter
    throttle_classes = (PerUser, PerAddress, Uploads)

    def get_queryset(self) -> QuerySet[Dataset]:
        return Dataset.objects.owned_by(self.request.user).select_related("validation")

    def admit(self, request: Request) -> None:
        """Refuse data while the platform is halted, what is too large and what there is no room for."""
        require_operation()
        if self.action == "plan":
            require_size(claimed_by_file(request._request))
        else:
            require_room(account_of(request.user), claimed_by_file(request._request))

    @described(
        request=DatasetUploadSerializer,
        responses={
            201: OpenApiResponse(DatasetSerializer, description="It is validated and ready."),
            202: OpenApiResponse(
                DatasetSerializer,
                description="It is kept, and a worker validates it. Ask the address in `Location` until the "
                "state is no longer `validating`.",
            ),
        },
        parameters=[
            OpenApiParameter(
                "Location",
                location=OpenApiParameter.HEADER,
                response=[201, 202],
                description="The data set's address.",
            )
        ],
    )
    def create(self, request: Request) -> Response:
        """Upload a data set. A small one is validated during the request, a large one by a worker.

        Returns the data set with the report of what was found. 400: it cannot be trained on, with what to change;
        413: it is larger than a data set may be, or the quota is used up.
        """
        upload = DatasetUploadSerializer(data=request.data)
        upload.is_valid(raise_exception=True)
        values = upload.validated_data
        dataset = accept_dataset(
            owner=account_of(request.user),
            name=values["name"],
            task_type=values.get("task_type", ""),
            file=values["file"],
            columns=upload.columns(),
            corrections=values.get("corrections"),
        )
        return Response(
            self.get_serializer(dataset).data,
            status=status.HTTP_201_CREATED if dataset.is_ready else status.HTTP_202_ACCEPTED,
            headers={"Location": reverse("api-dataset-detail", args=[dataset.pk], request=request)},
        )

    @described(request=PlanRequestSerializer, responses={200: PlanSerializer})
    @action(detail=False, methods=["post"], throttle_classes=[PerUser, PerAddress, Plans])
    def plan(self, request: Request) -> Response:
        """Tell what would become of a data set, and what could be meant instead. Nothing is kept.

        Send the whole `file`; or the beginning of a table (`part` "head"), or a zip from its list of files on (`part`
        "tail"), with the `size` of the whole; or the `entries` of a folder. What cannot be read is a plan with a
        `problem`.
        """
        asked = PlanRequestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        return Response(plan_upload(asked.upload()).to_json())

    @described(responses={204: None, **problems(400)})
    def destroy(self, request: Request, pk: str) -> Response:
        """Delete a data set and stop its validation. Of one that jobs were made of, only the file is deleted.

        400: a job that has not ended uses it.
        """
        delete_dataset(dataset=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)


@described_reads(
    many="List the caller's jobs, newest first; for operators those of all users.",
    one="Return one of the caller's jobs with its settings, progress, metrics and the end of its log.",
)
class JobViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """The caller's training jobs."""

    serializer_class = JobSerializer
    queryset = TrainingJob.objects.none()
    filterset_class = JobFilter

    def get_serializer_class(self) -> type[JobSerializer]:
        return JobDetailSerializer if self.action == "retrieve" else JobSerializer

    def get_queryset(self) -> QuerySet[TrainingJob]:
        return TrainingJob.objects.owned_by(self.request.user).select_related("registered_model", "project")

    @described(responses={201: JobSerializer, **problems(409)}, examples=JOBS)
    def create(self, request: Request) -> Response:
        """Submit a training job on one of the caller's data sets. Settings that are not sent are the strategy's.

        Returns the queued job. 400: a setting is out of range, or the data set cannot be trained on; 409: too many
        jobs have not ended, or one runs and the platform does not queue others.
        """
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        values: dict[str, Any] = dict(serializer.validated_data)
        dataset, name = values.pop("dataset"), values.pop("name")
        more = {field: values.pop(field) for field in TrainingJob.SETTINGS if field in values}
        job = submit_job(
            owner=account_of(request.user),
            dataset=dataset,
            name=name,
            project=values.pop("project", None),
            choice=JobSettings(**values, more=more),
            origin=TrainingJob.Origin.REST,
        )
        return Response(self.get_serializer(job).data, status=status.HTTP_201_CREATED)

    @described(request=None, responses=JobSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Cancel a job: a queued one ends at once, a running one within seconds.

        Returns the job. 400: it has ended already.
        """
        job = self.get_object()
        cancel_job(job=job)
        return Response(self.get_serializer(job).data)

    @described(request=None, responses={201: JobSerializer, **problems(409)})
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str) -> Response:
        """Submit a job that failed or was cancelled again, as a new job with the same data and settings.

        Returns the new job. 400: the job has not failed, or its data set is gone; 409: as for a new job.
        """
        job = self.get_object()
        again = retry_job(job=job, owner=job.owner)
        return Response(self.get_serializer(again).data, status=status.HTTP_201_CREATED)
