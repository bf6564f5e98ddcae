"""Who may do what in the admin: strangers and users nothing, viewers look, operators steer, superusers all."""

from collections.abc import Callable

import pytest
from allauth.account.models import EmailAddress
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from knox.models import AuthToken

from accounts.models import User
from accounts.roles import OPERATOR, SECRETS, VIEWER, rights_of_operators, rights_of_viewers
from control.models import CleanupPolicy, PlatformStatus
from documents.models import Document
from documents.publish import publish_waiting
from inference.batches.models import Batch
from inference.usage.models import ModelUsage
from models_registry.models import RegisteredModel
from tests.factories import (
    ArtifactFactory,
    DatasetFactory,
    EvaluationFactory,
    HubNetworkFactory,
    TrainingJobFactory,
    UserFactory,
)
from training.datasets.models import Dataset
from training.jobs.models import TrainingJob, WorkerHeartbeat
from training.networks.models import HubNetwork

pytestmark = pytest.mark.django_db

PAGES = sorted(admin.site._registry, key=lambda model: model._meta.label_lower)
PEOPLE = ("accounts.user", "auth.group", "account.emailaddress", "knox.authtoken")
# every action of the admin, on which row it is tried
ACTIONS: dict[str, tuple[type, str]] = {
    **{
        f"models_registry_registeredmodel_{name}": (RegisteredModel, "models_registry_registeredmodel")
        for name in (
            "retire",
            "restore",
            "keep",
            "pin",
            "unpin",
            "allow_downloads",
            "forbid_downloads",
            "forgive",
            "retrain",
        )
    },
    **{
        f"training_trainingjob_{name}": (TrainingJob, "training_trainingjob")
        for name in ("cancel", "requeue", "retry", "repeat")
    },
    "training_dataset_delete_unused": (Dataset, "training_dataset"),
    **{
        f"training_hubnetwork_{name}": (HubNetwork, "training_hubnetwork")
        for name in ("fetch", "cancel", "remove")
    },
    "inference_batch_cancel": (Batch, "inference_batch"),
    "documents_document_publish_now": (Document, "documents_document"),
    "documents_document_repair": (Document, "documents_document"),
    "control_platformstatus_halt": (PlatformStatus, "control_platformstatus"),
    "control_platformstatus_resume": (PlatformStatus, "control_platformstatus"),
    "control_cleanuppolicy_stop": (CleanupPolicy, "control_cleanuppolicy"),
    "control_cleanuppolicy_wake": (CleanupPolicy, "control_cleanuppolicy"),
    "control_cleanuppolicy_keep_used": (CleanupPolicy, "control_cleanuppolicy"),
    "control_cleanuppolicy_be_demo": (CleanupPolicy, "control_cleanuppolicy"),
}
AS = Callable[[str], Client]


@pytest.fixture
def as_() -> AS:
    """Sign somebody in by their role."""

    def sign_in(role: str) -> Client:
        client = Client()
        if role != "stranger":
            person: User = UserFactory(is_staff=role != "user", is_superuser=role == "superuser")
            if role in (VIEWER, OPERATOR):
                person.groups.add(Group.objects.get(name=role))
            client.force_login(person)
        return client

    return sign_in


@pytest.fixture
def rows() -> None:
    """One of everything."""
    model = ArtifactFactory().model
    TrainingJobFactory(state="succeeded", finished_at=timezone.now(), registered_model=model)
    DatasetFactory()
    HubNetworkFactory()
    now = timezone.now()
    WorkerHeartbeat.objects.create(name="w1", queues=["cpu"], started_at=now, seen_at=now)
    EvaluationFactory(model=model)
    Batch.objects.create(model=model, source_name="a.zip", suffix=".zip", size=1, total=1)
    ModelUsage.objects.create(model=model, day=now.date(), calls=1, last_used_at=now)
    AuthToken.objects.create(user=model.owner)
    EmailAddress.objects.create(user=model.owner, email="a@example.org")
    PlatformStatus.load()
    CleanupPolicy.load()
    publish_waiting()


def address(model: type, page: str, *arguments: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=arguments)  # type: ignore[attr-defined]


def is_out(client: Client, path: str) -> bool:
    """Whether somebody is sent to the door, or away from it."""
    answer = client.get(path)
    return answer.status_code == 403 or (answer.status_code == 302 and "login" in answer["Location"])


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("role", ["stranger", "user"])
def test_admin_is_closed_to_strangers_and_users(as_: AS, role: str) -> None:
    client = as_(role)
    assert is_out(client, reverse("admin:index"))
    for model in PAGES:
        assert is_out(client, address(model, "changelist"))
        row = model._default_manager.first()
        if row is not None:
            assert is_out(client, address(model, "change", row.pk))
    for name, (model, _) in ACTIONS.items():
        assert is_out(client, reverse(f"admin:{name}", args=[model._default_manager.first().pk]))


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("role", [VIEWER, OPERATOR, "superuser"])
def test_staff_see_what_their_role_sees(as_: AS, role: str) -> None:
    client = as_(role)
    assert client.get(reverse("admin:index")).status_code == 200
    for model in PAGES:
        hidden = (role == VIEWER and model._meta.label_lower in SECRETS) or (
            role == OPERATOR and model._meta.label_lower in PEOPLE
        )
        hidden |= role == VIEWER and model._meta.label_lower == "account.emailaddress"
        status = client.get(address(model, "changelist"), follow=True).status_code
        assert status == (403 if hidden else 200), model
        row = model._default_manager.first()
        if row is not None:
            status = client.get(address(model, "change", row.pk), follow=True).status_code
            assert status == (403 if hidden else 200), model
        assert role == "superuser" or client.get(address(model, "add")).status_code == 403


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("name", ACTIONS)
def test_only_who_may_steer_carries_out_actions(as_: AS, name: str) -> None:
    model, page = ACTIONS[name]
    row = model._default_manager.first()  # type: ignore[attr-defined]
    path = reverse(f"admin:{name}", args=[row.pk])
    for role, allowed in ((VIEWER, False), (OPERATOR, True), ("superuser", True)):
        client = as_(role)
        assert (client.get(path).status_code != 403) == allowed, role
        if not allowed:
            assert client.post(path, {"confirmed": "yes"}).status_code == 403
            chosen = {
                "action": name.removeprefix(f"{page}_"),
                "_selected_action": [row.pk],
                "confirmed": "yes",
            }
            client.post(reverse(f"admin:{page}_changelist"), chosen)
            assert not LogEntry.objects.exists()


@pytest.mark.usefixtures("rows")
def test_viewer_changes_nothing_by_a_form(as_: AS) -> None:
    client = as_(VIEWER)
    before = {model: list(model._default_manager.order_by("pk").values()) for model in PAGES}
    for model in PAGES:
        row = model._default_manager.first()
        if row is not None:
            client.post(address(model, "change", row.pk), {"name": "Mine", "priority": "9", "is_staff": "on"})
            client.post(address(model, "delete", row.pk), {"post": "yes"})
    after = {model: list(model._default_manager.order_by("pk").values()) for model in PAGES}
    before[User] = after[User]  # signing in is noted there
    assert after == before


@pytest.mark.usefixtures("rows")
def test_viewer_reads_no_token(as_: AS) -> None:
    model = RegisteredModel.objects.get()
    job = TrainingJob.objects.get(registered_model=model)
    client = as_(VIEWER)
    for row in (model, job, Document.objects.get(key="inference.json")):
        assert model.token not in client.get(address(type(row), "change", row.pk)).content.decode()
    for page in (RegisteredModel, TrainingJob, ModelUsage, Batch):
        assert model.token not in client.get(address(page, "changelist")).content.decode()
    assert model.token in as_(OPERATOR).get(address(RegisteredModel, "change", model.pk)).content.decode()


@pytest.mark.usefixtures("rows")
def test_beginning_of_a_token_finds_nothing(as_: AS) -> None:
    token = RegisteredModel.objects.get().token
    found = as_(VIEWER).get(address(RegisteredModel, "changelist"), {"q": token[:-1]})
    assert list(found.context["cl"].result_list) == []


@pytest.mark.usefixtures("rows")
def test_viewer_is_an_ordinary_person_on_the_users_pages(as_: AS) -> None:
    model = RegisteredModel.objects.get()
    job = TrainingJob.objects.get(registered_model=model)
    for role, may in ((VIEWER, False), (OPERATOR, True)):
        client = as_(role)
        assert (client.get(reverse("training:job", args=[job.pk])).status_code == 200) == may
        listed = client.get(f"{reverse('inference:projects')}?whose=everyone").content.decode()
        assert (str(model.project.public_id) in listed) == may
        client.post(reverse("inference:retire", args=[model.token]))
        assert RegisteredModel.objects.get().is_live != may


def test_migrating_gives_the_groups_back_what_they_lost_and_takes_what_they_gained() -> None:
    group = Group.objects.get(name=VIEWER)
    before = set(group.permissions.values_list("pk", flat=True))
    lost = group.permissions.first()
    group.permissions.remove(lost)
    group.permissions.add(*Group.objects.get(name=OPERATOR).permissions.all())
    call_command("migrate", verbosity=0)
    assert set(group.permissions.values_list("pk", flat=True)) == before


@pytest.mark.parametrize(("name", "rights"), [(VIEWER, rights_of_viewers), (OPERATOR, rights_of_operators)])
def test_every_right_of_a_group_exists(name: str, rights: Callable[[], set[str]]) -> None:
    held = Group.objects.get(name=name).permissions.values_list("content_type__app_label", "codename")
    assert {f"{app}.{codename}" for app, codename in held} == rights()
