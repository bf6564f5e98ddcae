"""A platform that the last release has made is migrated with everything in it, and goes on.

The database is empty at first, and another one than that of the other tests: the release's migrations make its
tables, its models fill them, and the present migrations bring them to here.
"""

import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from bucket.factory import get_bucket
from core.models import PeriodicTask
from documents.models import OutboxEntry
from inference.batches.models import Batch
from models_registry.models import Alias, AliasMove, Artifact, Project, RegisteredModel
from training.datasets.models import Dataset, DatasetValidation
from training.jobs.models import TrainingJob
from work import queue, transitions
from work.models import State

pytestmark = pytest.mark.django_db(transaction=True)

RELEASE = [
    ("accounts", "0002_signinattempt"),
    ("control", "0001_initial"),
    ("core", "0001_periodic_tasks"),
    ("documents", "0005_writes"),
    ("inference", "0002_use_of_models_by_day"),
    ("models_registry", "0007_outside_files_and_limits"),
    ("training", "0006_public_id"),
]
RENAMED = {"trainingjob": {"error": "message"}}  # columns by what they are called now
NOW = timezone.now().replace(microsecond=0)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def empty_database(transactional_db: None, tmp_path: Path) -> Iterator[None]:
    """Let the connection lead to a database that has no table."""
    usual, configured = connection.settings_dict["NAME"], connections.settings["default"]["NAME"]
    tests_own = connections["default"]
    is_sqlite = connection.vendor == "sqlite"
    name = str(tmp_path / "upgrade.sqlite3") if is_sqlite else f"upgrade_{uuid.uuid4().hex}"
    if not is_sqlite:
        with connection.cursor() as cursor:
            cursor.execute(f'CREATE DATABASE "{name}"')
    replacement = tests_own.copy()
    replacement.settings_dict["NAME"] = connections.settings["default"]["NAME"] = name
    connections["default"] = replacement
    try:
        yield
    finally:
        replacement.close()
        connections["default"], connections.settings["default"]["NAME"] = tests_own, configured
        assert connection.settings_dict["NAME"] == usual
        if not is_sqlite:
            with connection.cursor() as cursor:
                cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


class Release:
    """The tables of the last release, and rows that it would have written."""

    def __init__(self) -> None:
        executor = MigrationExecutor(connection)
        executor.migrate(RELEASE)
        self.apps = executor.loader.project_state(RELEASE).apps
        self.owner = self.model("accounts", "User").objects.create(username="ada", email="ada@example.org")
        self._number = 0

    def model(self, app: str, name: str) -> Any:
        return self.apps.get_model(app, name)

    def dataset(self, **fields: Any) -> Any:
        self._number += 1
        key = f"training/datasets/{self._number}/dataset.zip"
        defaults = {"name": "Flowers", "task_type": "imageclassification", "original_name": "flowers.zip"}
        found = {"classes": ["daisy", "iris"], "examples": 4, "size": 3, "sha256": "0" * 64, "key": key}
        if fields.get("state") != "unusable":
            get_bucket().save(key, BytesIO(b"zip"))
        row = {"owner": self.owner, **defaults, **found, **fields}
        return self.model("training", "Dataset").objects.create(**row)

    def validation(self, dataset: Any, **fields: Any) -> Any:
        return self.model("training", "DatasetValidation").objects.create(dataset=dataset, **fields)

    def registered(self, token: str, **fields: Any) -> Any:
        defaults = {"name": "Flowers", "task_type": "imageclassification", "architecture": "mobilenetv2 100"}
        row = {"strategy": "frozen", "classes": ["daisy", "iris"], "accuracy": 96.25, **defaults, **fields}
        model = self.model("models_registry", "RegisteredModel").objects.create(
            token=token, owner=self.owner, **row
        )
        for kind, suffix in (("onnx", "onnx"), ("torchscript", "pt")):
            key = f"imageclassification/{token}/1/{token}.{suffix}"
            get_bucket().save(key, BytesIO(b"abc"))
            self.model("models_registry", "Artifact").objects.create(
                model=model, kind=kind, key=key, size=3, sha256="0" * 64
            )
        return model

    def job(self, name: str, **fields: Any) -> Any:
        dataset = fields.pop("dataset", None) or self.dataset()
        row = {"task_type": "imageclassification", "architecture": "mobilenetv2 100", **fields}
        return self.model("training", "TrainingJob").objects.create(
            name=name, token=f"imageClassification-{name}", owner=self.owner, dataset=dataset, **row
        )

    def batch(self, model: Any, name: str, **fields: Any) -> Any:
        row = {"source_name": name, "suffix": ".zip", "size": 3, "sha256": "0" * 64, "total": 9, **fields}
        batch = self.model("inference", "Batch").objects.create(model=model, owner=self.owner, **row)
        if batch.state in ("queued", "running"):
            get_bucket().save(f"inference/batches/{batch.identifier}/input.zip", BytesIO(b"zip"))
        elif batch.result_key:
            get_bucket().save(batch.result_key, BytesIO(b"file,a,b"))
        return batch


def fill(release: Release) -> None:
    """Make what a platform has that was in use when it was ended for the upgrade."""
    live = release.registered("imageClassification-live", metrics={"macro_f1": 0.9}, live_at=NOW)
    release.registered("imageClassification-foreign", origin="imported", has_outside_files=True)
    reached = {"phase": "queued", "message": "Suspended for maintenance at epoch 3 of 10."}
    reached |= {"metrics": {"epoch": 4, "epochs": 10}, "checkpoint": {"epoch": 3}}
    held = {"state": "running", "worker": "w1", "started_at": NOW, "lease_expires_at": NOW - MINUTE}
    over = {"finished_at": NOW, "started_at": NOW - MINUTE, "attempt": 1, "swept_attempt": 1}
    release.job("done", state="succeeded", registered_model=live, log_tail="epoch 1", **over)
    release.job("broken", state="failed", error="Add a class. " * 60, failures=3, **over)
    release.job("stopped", state="cancelled", **over)
    release.job(
        "running", attempt=2, failures=1, queued_at=NOW - 9 * MINUTE, progress={"phase": "fit"}, **held
    )
    release.job("suspended", queued_at=NOW - 8 * MINUTE, attempt=1, spent=7 * MINUTE, progress=reached)
    release.job("queued", queued_at=NOW - 5 * MINUTE, announced_at=NOW, advanced={"label_smoothing": 0.1})
    release.job("urgent", queued_at=NOW, priority=5, strategy="finetune", learning_rate=0.01)
    checking = release.dataset(state="validating", classes=[], examples=0)
    release.validation(checking, done=7, total=90, message="Waits again: its worker stopped answering.")
    release.job("waiting", dataset=checking, queued_at=NOW - 20 * MINUTE)
    unusable = release.dataset(state="unusable", reason="There is only one class.")
    release.validation(
        unusable, state="failed", finished_at=NOW, message="There is only one class.", swept=True
    )
    release.batch(live, "queued.zip", queued_at=NOW - MINUTE)
    release.batch(live, "half.zip", done=4, parts=[[1, 0, 4]], attempt=1, queued_at=NOW - 2 * MINUTE, **held)
    ended = {"finished_at": NOW, "expires_at": NOW + timedelta(days=1)}
    result = {"result_key": f"inference/batches/{'a' * 32}/result-1.csv", "result_size": 8}
    release.batch(live, "done.zip", identifier="a" * 32, state="succeeded", done=9, **result, **ended)
    release.batch(live, "no.zip", state="failed", message="It is broken.", **ended)
    release.model("core", "PeriodicTask").objects.create(name="rescue jobs", succeeded_at=NOW)


TABLES = [
    *(("training", name) for name in ("TrainingJob", "Dataset", "DatasetValidation")),
    *(("models_registry", name) for name in ("RegisteredModel", "Artifact")),
    ("inference", "Batch"),
    ("core", "PeriodicTask"),
]
PRESENT = (TrainingJob, Dataset, DatasetValidation, RegisteredModel, Artifact, Batch, PeriodicTask)


def upgraded() -> dict[str, list[dict[str, Any]]]:
    """Make a platform of the release and migrate it; returns the rows that it had, under the present names."""
    release = Release()
    fill(release)
    rows: dict[str, list[dict[str, Any]]] = {}
    for app, name in TABLES:
        renamed = RENAMED.get(name.lower(), {})
        found = release.model(app, name).objects.order_by("pk").values()
        rows[name] = [{renamed.get(column, column): value for column, value in row.items()} for row in found]
    call_command("migrate", verbosity=0)
    return rows


def job(name: str) -> TrainingJob:
    found: TrainingJob = TrainingJob.objects.get(name=name)
    return found


@pytest.mark.usefixtures("empty_database")
def test_no_row_and_no_value_is_lost() -> None:
    before = upgraded()
    assert {model.__name__ for model in PRESENT} == set(before)
    for model in PRESENT:
        after = list(model.objects.order_by("pk").values())
        assert [{**row, **old} for row, old in zip(after, before[model.__name__], strict=True)] == after
        assert after


@pytest.mark.usefixtures("empty_database")
def test_models_become_projects_of_one_version() -> None:
    upgraded()
    live, foreign = (
        RegisteredModel.objects.get(token=f"imageClassification-{n}") for n in ("live", "foreign")
    )
    for model in (live, foreign):
        project = model.project
        assert (model.version, project.name, project.owner, project.task_type, project.deleted_at) == (
            1,
            model.name,
            model.owner,
            model.task_type,
            None,
        )
        assert project.created_at == model.created_at
    served = Alias.objects.get()
    assert (served.project, served.name, served.model) == (live.project, "production", live)
    assert AliasMove.objects.get().to_model == live
    assert OutboxEntry.objects.filter(entry=live.project.token).exists()
    assert len({*Project.objects.values_list("token", flat=True)}) == Project.objects.count()


@pytest.mark.usefixtures("empty_database")
def test_jobs_come_to_the_project_of_their_model() -> None:
    upgraded()
    assert job("done").project == RegisteredModel.objects.get(token="imageClassification-live").project
    waiting = {job(name).project for name in ("running", "suspended", "queued", "urgent")}
    assert len(waiting) == 4, "each trains data of its own"
    assert {project.deleted_at for project in waiting} == {None}
    assert job("broken").project.deleted_at == NOW, "nothing came of it, so it is not shown"


@pytest.mark.long
@pytest.mark.usefixtures("empty_database")
def test_ten_thousand_models_are_upgraded_in_bounded_time() -> None:
    release, many = Release(), 10_000
    registered, jobs = (
        release.model("models_registry", "RegisteredModel"),
        release.model("training", "TrainingJob"),
    )
    shared = {"owner": release.owner, "task_type": "imageclassification", "strategy": "frozen"}
    models = registered.objects.bulk_create(
        registered(token=f"model-{n}", name=f"Model {n}", public_id=uuid.uuid4(), accuracy=90, **shared)
        for n in range(many)
    )
    data, ended = release.dataset(), {"state": "succeeded", "started_at": NOW, "finished_at": NOW}
    jobs.objects.bulk_create(
        jobs(token=model.token, name=model.name, dataset=data, registered_model=model, **shared, **ended)
        for model in models
    )
    jobs.objects.bulk_create(
        jobs(token=f"failed-{n}", name=f"Model {n}", dataset=data, **shared, **ended | {"state": "failed"})
        for n in range(many // 10)
    )
    began = time.monotonic()
    call_command("migrate", verbosity=0)
    assert time.monotonic() - began < 90
    assert Project.objects.current().count() == Alias.objects.count() == many
    assert (
        TrainingJob.objects.get(token="failed-7").project
        == RegisteredModel.objects.get(token="model-7").project
    )


@pytest.mark.usefixtures("empty_database")
def test_work_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "send_hint", lambda *_, **__: True)
    upgraded()
    assert job("broken").error.startswith("Add a class.")
    assert job("queued").error == ""
    assert {name: len(queue.rescue(kind)) for name, kind in (("jobs", TrainingJob), ("batches", Batch))} == {
        "jobs": 1,
        "batches": 1,
    }
    assert (job("running").state, job("running").failures) == (State.QUEUED, 2)
    call_command("sync_documents", verbosity=0)
    call_command("sync_documents", "--check", verbosity=0)

    startable = TrainingJob.objects.startable(timezone.now())
    claimed = [transitions.claim_next(startable, worker="w2") for _ in range(5)]
    assert [one.name if one else None for one in claimed] == [
        "urgent",
        "running",
        "suspended",
        "queued",
        None,
    ]
    suspended = job("suspended")
    assert (suspended.attempt, suspended.spent) == (2, 7 * MINUTE)
    assert suspended.progress["checkpoint"] == {"epoch": 3}

    batches = Batch.objects.startable(timezone.now())
    first, second = (transitions.claim_next(batches, worker="w2") for _ in range(2))
    assert first is not None and second is not None
    assert (first.source_name, first.done, first.parts) == ("half.zip", 4, [[1, 0, 4]])
    assert (second.source_name, second.queue) == ("queued.zip", "batches")
    transitions.renew(first, done=9, parts=[[1, 0, 4], [2, 4, 9]])
    transitions.succeed(first, result_key="result", result_size=1)
    first.refresh_from_db()
    assert (first.state, first.done) == (State.SUCCEEDED, 9)

    validation = transitions.claim_next(DatasetValidation.objects.startable(timezone.now()), worker="w2")
    assert validation is not None, "the validation that waited"
    assert (validation.done, validation.queue) == (0, "batches"), "a new attempt reads from the first file on"
    transitions.fail(validation, reason="It is broken.")
    assert job("waiting").error == "The data cannot be trained on. It is broken."
