"""What becomes of the data of a deleted project."""

from io import BytesIO
from pathlib import Path

import pytest

from bucket.factory import get_bucket
from control.models import PlatformStatus
from core.exceptions import BucketError
from core.periodic import SomeFailed
from models_registry.models import Project, RegisteredModel
from models_registry.projects.services import delete_project
from tests.factories import DatasetFactory, RegisteredModelFactory, TrainingJobFactory
from training.datasets.models import Dataset
from training.examples.models import Example, Findings, Revision
from training.jobs.models import TrainingJob
from training.jobs.project_deletion import sweep_deleted_projects
from work import transitions

from ..conftest import MakeProject

pytestmark = pytest.mark.django_db

State = TrainingJob.State


@pytest.fixture
def project(make_project: MakeProject) -> Project:
    """A project with a version, a training of its first upload, a further upload, and files of each."""
    project = make_project()
    first = Dataset.objects.get()
    further = DatasetFactory(owner=project.owner, task_type=project.task_type)
    Example.objects.filter(label="rose").update(shard=further)
    model = RegisteredModelFactory(project=project)
    revision = project.revisions.get()
    TrainingJobFactory(project=project, dataset=first, revision=revision, state=State.CANCELLED, **ENDED)
    folder = f"projects/{project.public_id}/"
    Revision.objects.create(
        project=project,
        number=2,
        key=f"{folder}2",
        size=3,
        sha256="0" * 64,
        examples=1,
        parent=revision,
        summary="x",
    )
    Findings.objects.create(
        project=project,
        model=model,
        dataset=first,
        revision=revision,
        key=f"{folder}f",
        size=3,
        sha256="0" * 64,
    )
    for key in (first.key, further.key, f"{folder}2", f"{folder}f", f"{folder}features/a"):
        get_bucket().save(key, BytesIO(b"..."))
    return project


ENDED = {"finished_at": "2026-01-01T00:00:00Z"}


def delete_with_its_versions(project: Project) -> None:
    delete_project(project=project)
    project.versions.update(state=RegisteredModel.State.DELETED)


def test_deleting_a_project_cancels_its_trainings(make_project: MakeProject) -> None:
    project = make_project()
    queued, running, other = (
        TrainingJobFactory(project=project),
        TrainingJobFactory(project=project),
        TrainingJobFactory(),
    )
    assert transitions.claim(running, worker="w")
    delete_project(project=project)
    for job, state in ((queued, State.CANCELLED), (running, State.CANCELLING), (other, State.QUEUED)):
        job.refresh_from_db()
        assert job.state == state


def test_data_goes_with_what_nobody_else_uses(project: Project, bucket: Path) -> None:
    first, _ = Dataset.objects.order_by("pk")
    delete_with_its_versions(project)
    assert sweep_deleted_projects() == 1
    kept = [path for path in bucket.rglob("*") if path.is_file()]
    assert [path.relative_to(bucket).as_posix() for path in kept] == [first.key], (
        "its owner sees it among the data sets"
    )
    assert [*Dataset.objects.all()] == [first]
    for kind in (Example, Revision, Findings):
        assert not kind.objects.exists()
    assert TrainingJob.objects.get().revision is None
    assert sweep_deleted_projects() == 0


def test_data_stays_while_a_version_can_be_restored(project: Project) -> None:
    assert sweep_deleted_projects() == 0, "it is in use"
    delete_project(project=project)
    assert sweep_deleted_projects() == 0, "the clean-up has not been here"
    assert Example.objects.filter(project=project).count() == 12


def test_data_stays_while_something_is_trained_or_the_platform_is_halted(project: Project) -> None:
    delete_with_its_versions(project)
    job = TrainingJobFactory(project=project)
    assert sweep_deleted_projects() == 0
    transitions.cancel(job)
    PlatformStatus.objects.update_or_create(pk=1, defaults={"dev_mode": True})
    assert sweep_deleted_projects() == 0
    PlatformStatus.objects.update(dev_mode=False)
    assert sweep_deleted_projects() == 1


def test_an_upload_that_another_project_uses_stays(project: Project, make_project: MakeProject) -> None:
    other = make_project()
    shared = Dataset.objects.exclude(jobs__isnull=False).get(
        project_examples__project=project, project_examples__label="rose", project_examples__place="0"
    )
    Example.objects.filter(project=other, place="0").update(shard=shared)
    delete_with_its_versions(project)
    assert sweep_deleted_projects() == 1
    assert Dataset.objects.filter(pk=shared.pk).exists()
    assert get_bucket().size(shared.key) == 3
    assert Example.objects.filter(project=other).count() == 12


def test_a_bucket_that_fails_leaves_the_rows_for_the_next_run(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete_with_its_versions(project)
    with monkeypatch.context() as away, pytest.raises(SomeFailed):
        away.setattr(type(get_bucket()), "delete", lambda *_: (_ for _ in ()).throw(BucketError("away")))
        sweep_deleted_projects()
    assert Example.objects.filter(project=project).count() == 12
    assert sweep_deleted_projects() == 1
    assert not Example.objects.exists()
