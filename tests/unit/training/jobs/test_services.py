"""What people do with data sets and jobs, below every form of asking for it."""

from io import BytesIO
from typing import Any

import pytest
from django.core.files import File
from django.utils import timezone

from control.models import PlatformStatus
from core.exceptions import InvalidRequest, MaintenanceMode, PlatformBusy
from core.queue.app import app
from tests.factories import DatasetFactory, RegisteredModelFactory, TrainingJobFactory
from training.datasets.services import create_dataset
from training.engine.specs.hyperparameters import TrainConfig
from training.examples import edits
from training.jobs.models import TrainingJob
from training.jobs.services import (
    JobSettings,
    cancel_job,
    requeue_job,
    retry_job,
    submit_job,
    train_again,
)
from work import transitions
from work.queue import announce_waiting

from ..conftest import MakeProject

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """The ids and queues of the jobs that were announced."""
    jobs: list[tuple[int, str]] = []
    monkeypatch.setattr(app, "send_task", lambda name, args, queue, **_: jobs.append((args[0], queue)))
    return jobs


def submit(**options: object) -> TrainingJob:
    dataset = DatasetFactory()
    defaults = {"owner": dataset.owner, "dataset": dataset, "name": "Flowers", "choice": JobSettings()}
    return submit_job(**{**defaults, **options})  # type: ignore[arg-type]


def test_training_again_what_cannot_be_learnt_writes_no_revision(make_project: MakeProject) -> None:
    project = make_project()
    job = TrainingJobFactory(
        dataset=project.examples.first().shard,
        registered_model=RegisteredModelFactory(project=project, task_type=project.task_type),
        state=TrainingJob.State.SUCCEEDED,
        finished_at=timezone.now(),
    )
    edits.exclude(project=project, author=None, chosen=project.examples.exclude(label="rose"))
    with pytest.raises(InvalidRequest, match="1 class has two examples"):
        train_again(project=project, author=None)
    assert (project.revisions.count(), list(TrainingJob.objects.all())) == (1, [job])


@pytest.mark.parametrize("token", ["a", "imageClassification-my_flowers-0f", "x" * 160])
def test_token_of_somebody_else_is_kept(token: str) -> None:
    assert submit(token=token, owner=None).token == token


@pytest.mark.parametrize("token", ["", "a/b", "../up", "a b", "ä", "a\n", "x" * 161])
def test_token_that_could_be_no_file_name_is_refused(token: str) -> None:
    with pytest.raises(InvalidRequest, match="letters, digits"):
        submit(token=token)
    assert not TrainingJob.objects.exists()


@pytest.mark.parametrize("factory", [TrainingJobFactory, RegisteredModelFactory])
def test_token_that_is_taken_is_refused(factory: type) -> None:
    factory(token="taken")
    with pytest.raises(InvalidRequest, match="already"):
        submit(token="taken")


def failed(**fields: Any) -> TrainingJob:
    return TrainingJobFactory(state="failed", finished_at=timezone.now(), message="no luck", **fields)


def test_choices_left_open_are_the_strategys() -> None:
    job = submit(choice=JobSettings(strategy="frozen"))
    assert (job.optimizer, job.learning_rate, job.batch_size, job.epochs) == ("", None, None, None)
    assert job.effective == TrainConfig("adam", 0.001, 32, 10)


def test_own_choices_are_used() -> None:
    job = submit(choice=JobSettings(more={"optimizer": "sgd", "learning_rate": 0.1, "epochs": 3}))
    assert (job.effective.optimizer, job.effective.learning_rate, job.effective.epochs) == ("sgd", 0.1, 3)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"learning_rate": float("inf")}, "learning_rate"),
        ({"learning_rate": 0}, "0.000001 to 2"),
        ({"optimizer": "rmsprop"}, "optimizer"),
        ({"advanced": {"gradient_clipping": float("nan")}}, "gradient_clipping"),
        ({"advanced": {"unheard": 1}}, "known are trainable"),
        ({"reduce_lr_on_plateau": {"factor": 0.1}}, "patience"),
        ({"step_lr": {"step_size": 0, "gamma": 0.1}}, "step_size"),
        ({"advanced": {"one_cycle": True}, "step_lr": {"step_size": 2, "gamma": 0.1}}, "One-cycle"),
    ],
)
def test_settings_out_of_range_are_refused(more: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        submit(choice=JobSettings(more=more))
    assert not TrainingJob.objects.exists()


@pytest.mark.parametrize("split", ["70 : 40", "5 : 95", "99 : 1", "70/30", "a : b"])
def test_split_that_makes_no_sense_is_refused(split: str) -> None:
    with pytest.raises(InvalidRequest, match="70 : 30"):
        submit(choice=JobSettings(data_split=split))


def test_one_person_cannot_fill_the_queue(settings: Any) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "MAX_UNFINISHED_JOBS_PER_USER": 2}
    job = submit()
    submit(owner=job.owner)
    with pytest.raises(PlatformBusy, match="You have 2 jobs"):
        submit(owner=job.owner)
    submit(owner=None)
    cancel_job(job=job)
    submit(owner=job.owner)


def test_queue_has_an_end(settings: Any) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "MAX_UNFINISHED_JOBS": 1}
    submit()
    with pytest.raises(PlatformBusy, match="All 1 places"):
        submit()


def test_retry_is_a_new_job_with_the_same_data_and_settings() -> None:
    old = failed(
        seed=7,
        learning_rate=0.5,
        advanced={"class_weights": True},
        step_lr={"step_size": 2, "gamma": 0.5},
        data_split="80 : 20",
        downloadable=False,
    )
    new = retry_job(job=old, owner=old.owner)
    assert new.pk != old.pk
    assert new.token != old.token
    assert (new.state, new.origin, new.attempt, new.error) == ("queued", "retry", 0, "")
    same = ("name", "owner", "dataset", "architecture", "strategy", "seed", "learning_rate", "advanced")
    for field in (*same, "step_lr", "data_split", "downloadable"):
        assert getattr(new, field) == getattr(old, field), field


def test_only_what_has_failed_is_tried_again() -> None:
    with pytest.raises(InvalidRequest, match="only a job that failed"):
        retry_job(job=TrainingJobFactory(), owner=None)


def test_requeue_announces_what_waits_and_takes_what_runs(sent: list[tuple[int, str]]) -> None:
    queued, running = TrainingJobFactory(), TrainingJobFactory()
    transitions.claim(running, worker="w1")
    for job in (queued, running):
        requeue_job(job=job)
        assert job.state == "queued"
    assert sent == [(queued.pk, "cpu"), (running.pk, "cpu")]
    with pytest.raises(InvalidRequest, match="only a running or queued job"):
        requeue_job(job=failed())


@pytest.mark.django_db(transaction=True)
def test_suspended_jobs_are_announced_the_moment_maintenance_ends(sent: list[tuple[int, str]]) -> None:
    job = TrainingJobFactory()
    PlatformStatus(dev_mode=True).save()
    transitions.claim(job, worker="w1")
    assert sent == []
    PlatformStatus(dev_mode=False).save()
    assert sent == [(job.pk, "cpu")]
    assert announce_waiting(TrainingJob) == 0, "once is enough"


def test_halted_platform_accepts_nothing() -> None:
    dataset, old = DatasetFactory(), failed()
    PlatformStatus(dev_mode=True).save()
    file = File(BytesIO(b"input,label\na,x\nb,y\n"), name="d.csv")
    for attempt in (
        lambda: submit(dataset=dataset),
        lambda: retry_job(job=old, owner=None),
        lambda: requeue_job(job=old),
        lambda: create_dataset(owner=None, name="d", task_type="textclassification", file=file),
    ):
        with pytest.raises(MaintenanceMode):
            attempt()
