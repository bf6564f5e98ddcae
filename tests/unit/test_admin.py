"""Every page of the admin opens, with a constant number of queries, for those who may."""

from datetime import timedelta

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from control.models import CleanupPolicy, PlatformStatus
from documents.publish import publish_waiting
from models_registry.models import RegisteredModel
from tests.factories import ArtifactFactory, RegisteredModelFactory, TrainingJobFactory, UserFactory
from training.models import TrainingJob, WorkerHeartbeat

pytestmark = pytest.mark.django_db

OURS = sorted(
    (
        model
        for model in admin.site._registry
        if model.__module__.split(".")[0] not in ("django", "knox", "allauth")
    ),
    key=lambda model: model._meta.label,
)


@pytest.fixture
def rows() -> None:
    publish_waiting()
    ArtifactFactory()
    TrainingJobFactory()
    now = timezone.now()
    WorkerHeartbeat.objects.create(name="w1", queues=["cpu"], started_at=now, seen_at=now)


@pytest.fixture
def root(client: Client) -> Client:
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    return client


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("model", OURS, ids=lambda model: model._meta.label)
def test_list_and_detail_open(root: Client, model: type) -> None:
    listed = root.get(
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"), follow=True
    )
    assert listed.status_code == 200
    row = model._default_manager.first()
    if row is not None:
        address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[row.pk])
        assert root.get(address).status_code == 200


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("model", OURS, ids=lambda model: model._meta.label)
def test_staff_without_rights_sees_nothing(client: Client, model: type) -> None:
    client.force_login(UserFactory(is_staff=True))
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    assert client.get(address).status_code == 403 or model in (PlatformStatus, CleanupPolicy)


@pytest.mark.parametrize(
    "name", ["models_registry_registeredmodel", "training_trainingjob", "training_dataset"]
)
def test_lists_need_the_same_queries_for_many_rows(root: Client, name: str) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert root.get(reverse(f"admin:{name}_changelist")).status_code == 200
        return len(captured)

    TrainingJobFactory()
    RegisteredModelFactory()
    few = queries()
    for _ in range(15):
        TrainingJobFactory()
        RegisteredModelFactory()
    assert queries() <= few


def run(root: Client, name: str, action: str, *rows: object) -> str:
    data = {"action": action, "_selected_action": [row.pk for row in rows]}  # type: ignore[attr-defined]
    response = root.post(reverse(f"admin:{name}_changelist"), data, follow=True)
    assert response.status_code == 200
    return response.content.decode()


def test_actions_on_models_change_them_and_write_history(root: Client) -> None:
    model = RegisteredModelFactory(expires_at=timezone.now() + timedelta(hours=1))
    name = "models_registry_registeredmodel"
    run(root, name, "pin", model)
    assert RegisteredModel.objects.get().pinned
    run(root, name, "keep_a_week", model)
    assert RegisteredModel.objects.get().expires_at > timezone.now() + timedelta(days=7)
    run(root, name, "retire", model)
    assert RegisteredModel.objects.get().state == "retired"
    assert "not live" in run(root, name, "retire", model)
    run(root, name, "restore", model)
    assert RegisteredModel.objects.get().is_live
    history = root.get(reverse(f"admin:{name}_history", args=[model.pk])).content.decode()
    assert "Retired." in history
    assert "Restored." in history


def test_job_is_cancelled_by_action(root: Client) -> None:
    job = TrainingJobFactory()
    run(root, "training_trainingjob", "cancel", job)
    assert TrainingJob.objects.get().state == "cancelled"


def test_viewer_of_jobs_may_not_cancel(client: Client) -> None:
    from django.contrib.auth.models import Permission

    viewer: User = UserFactory(is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_trainingjob"))
    client.force_login(viewer)
    job = TrainingJobFactory()
    client.post(
        reverse("admin:training_trainingjob_changelist"), {"action": "cancel", "_selected_action": [job.pk]}
    )
    assert TrainingJob.objects.get().state == "queued"
