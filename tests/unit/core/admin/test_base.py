"""Every page of the admin opens, with a constant number of queries, for those who may."""

import html
import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from control.models import CleanupPolicy, PlatformStatus
from core.exceptions import InvalidRequest
from documents.models import Document, OverruledChange, PublishedEntry
from documents.publish import publish_waiting
from inference.batches.models import Batch
from inference.usage.models import ModelUsage
from models_registry.models import RegisteredModel
from models_registry.services import retire_model
from tests.factories import ArtifactFactory, RegisteredModelFactory, TrainingJobFactory, UserFactory
from training.jobs.models import WorkerHeartbeat

pytestmark = pytest.mark.django_db

OURS = sorted(admin.site._registry, key=lambda model: model._meta.label)


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


def test_lists_need_the_same_queries_for_many_rows(root: Client) -> None:
    def queries() -> dict[str, int]:
        counted = {}
        for model in OURS:
            address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
            with CaptureQueriesContext(connection) as captured:
                assert root.get(address, follow=True).status_code == 200
            counted[model._meta.label] = len(captured)
        return counted

    make_rows(3)
    queries()  # what is made on its first use is there from now on
    few = queries()
    make_rows(300)
    assert queries() == few


def make_rows(number: int) -> None:
    """Add rows to every list that grows."""
    now = timezone.now()
    for _ in range(number):
        name = uuid.uuid4().hex
        artifact = ArtifactFactory()
        ended = {"state": "succeeded", "finished_at": now, "registered_model": artifact.model}
        TrainingJobFactory(**ended)
        TrainingJobFactory(state="running", started_at=now, lease_expires_at=now, worker=name)
        WorkerHeartbeat.objects.create(name=name, queues=["cpu"], started_at=now, seen_at=now)
        Batch.objects.create(model=artifact.model, source_name="a.zip", suffix=".zip", size=1, total=1)
        ModelUsage.objects.create(model=artifact.model, day=now.date(), calls=1, last_used_at=now)
        OverruledChange.objects.create(document="inference.json", value="1", winner="database")
        PublishedEntry.objects.create(document="inference.json", name=name, text="{}", digest="")


def run(root: Client, name: str, action: str, *rows: Any, **answers: Any) -> str:
    """Choose an action for some rows of a list, and say yes."""
    data = {"action": action, "_selected_action": [row.pk for row in rows], "confirmed": "yes", **answers}
    response = root.post(reverse(f"admin:{name}_changelist"), data, follow=True)
    assert response.status_code == 200
    return response.content.decode()


MODELS, JOBS = "models_registry_registeredmodel", "training_trainingjob"


def test_actions_on_models_change_them_and_write_history(root: Client) -> None:
    model = RegisteredModelFactory(expires_at=timezone.now() + timedelta(hours=1))
    run(root, MODELS, "pin", model)
    assert RegisteredModel.objects.get().pinned
    run(root, MODELS, "unpin", model)
    run(root, MODELS, "keep", model, days=7)
    now = RegisteredModel.objects.get()
    assert (now.pinned, now.expires_at > timezone.now() + timedelta(days=7)) == (False, True)
    run(root, MODELS, "forbid_downloads", model)
    assert not RegisteredModel.objects.get().downloadable
    run(root, MODELS, "allow_downloads", model)
    assert RegisteredModel.objects.get().downloadable
    run(root, MODELS, "retire", model)
    assert RegisteredModel.objects.get().state == "retired"
    assert "this is for live models" in run(root, MODELS, "retire", model)
    run(root, MODELS, "restore", model)
    assert RegisteredModel.objects.get().is_live
    history = root.get(reverse(f"admin:{MODELS}_history", args=[model.pk])).content.decode()
    for words in ("Pinned.", "Unpinned.", "Kept longer.", "Downloads forbidden.", "Retired.", "Restored."):
        assert words in history


def test_model_that_was_switched_off_for_breaking_limits_can_be_let_predict_again(root: Client) -> None:
    flagged = {"unusable_because": "It was switched off.", "broken_limits": 2}
    ours = RegisteredModelFactory(**flagged)
    theirs = RegisteredModelFactory(**flagged, origin="imported", checked_at=timezone.now())
    well = RegisteredModelFactory()
    for model in (ours, theirs):
        run(root, MODELS, "forgive", model)
        model.refresh_from_db()
        assert model.broken_limits == 0
    assert ours.unusable_because == ""
    assert "not been looked at" in theirs.unusable_because
    assert theirs.checked_at is None
    assert "switched off for breaking" in run(root, MODELS, "forgive", well)


def test_action_asks_first_and_says_what_it_will_do(root: Client) -> None:
    live, retired = RegisteredModelFactory(name="Birds"), RegisteredModelFactory(name="Cats", state="retired")
    data = {"action": "retire", "_selected_action": [live.pk, retired.pk]}
    page = root.post(reverse(f"admin:{MODELS}_changelist"), data).content.decode()
    assert "Retire: 1 model" in page
    assert "Birds" in page
    assert "can be undone" in page
    assert "1 other that you chose will be left as it is" in page
    assert RegisteredModel.objects.get(pk=live.pk).is_live


def test_button_of_a_page_asks_first_too(root: Client) -> None:
    model = RegisteredModelFactory()
    address = reverse(f"admin:{MODELS}_retire", args=[model.pk])
    assert "Retire: 1 model" in root.get(address).content.decode()
    assert RegisteredModel.objects.get().is_live
    root.post(address, {"confirmed": "yes"})
    assert not RegisteredModel.objects.get().is_live


def test_page_offers_only_what_can_be_done_now(root: Client) -> None:
    model = RegisteredModelFactory()
    address = reverse(f"admin:{MODELS}_change", args=[model.pk])
    assert f"/{model.pk}/restore" not in root.get(address).content.decode()
    retire_model(model=model)
    page = root.get(address).content.decode()
    assert f"/{model.pk}/restore" in page
    assert f"/{model.pk}/retire" not in page


def test_wrong_answer_changes_nothing_and_is_told(root: Client) -> None:
    model = RegisteredModelFactory()
    assert "greater than or equal to 1" in run(root, MODELS, "keep", model, days=-3)
    assert RegisteredModel.objects.get().expires_at == model.expires_at


def test_no_action_keeps_a_model_beyond_the_limit(root: Client) -> None:
    model = RegisteredModelFactory()
    assert "less than or equal to 30" in run(root, MODELS, "keep", model, days=31)
    run(root, MODELS, "keep", model, days=29)
    assert "30 days from now at most" in run(root, MODELS, "keep", model, days=29)
    assert RegisteredModel.objects.get().expires_at < timezone.now() + timedelta(days=30)


def test_what_is_refused_is_told_and_stops_nothing_else(
    root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*, model: RegisteredModel) -> None:
        if model.name == "Birds":
            raise InvalidRequest("Birds is busy.")
        retire_model(model=model)

    monkeypatch.setattr("models_registry.admin.retire_model", refuse)
    birds, cats = RegisteredModelFactory(name="Birds"), RegisteredModelFactory(name="Cats")
    page = run(root, MODELS, "retire", birds, cats)
    assert "Birds is busy." in page
    assert "1 model: Retired." in page
    assert not RegisteredModel.objects.get(pk=cats.pk).is_live


@pytest.mark.django_db(transaction=True)
def test_document_is_written_once_for_many_rows(root: Client) -> None:
    models = [RegisteredModelFactory() for _ in range(5)]
    before = Document.objects.get(key="inference.json").revision
    run(root, MODELS, "retire", *models)
    assert not RegisteredModel.objects.live().exists()
    assert Document.objects.get(key="inference.json").revision == before + 1


def test_too_many_rows_at_once_are_refused(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.admin.confirmation.ROWS_PER_ACTION", 2)
    models = [RegisteredModelFactory() for _ in range(3)]
    assert "At most 2 at a time" in run(root, MODELS, "retire", *models)
    assert RegisteredModel.objects.live().count() == 3


def test_form_writes_only_what_was_edited(root: Client) -> None:
    model = RegisteredModelFactory(name="Birds")
    address = reverse(f"admin:{MODELS}_change", args=[model.pk])
    sent = {"name": "Owls", "downloadable": "on", "token": "mine", "expires_at_0": "", "expires_at_1": ""}
    inline = {f"artifacts-{name}_FORMS": "0" for name in ("TOTAL", "INITIAL", "MIN_NUM", "MAX_NUM")}
    root.post(address, {**sent, **inline})
    now = RegisteredModel.objects.get()
    assert (now.name, now.token, now.expires_at) == ("Owls", model.token, None)


def test_search_finds_by_beginning_token_and_owner(root: Client) -> None:
    model = RegisteredModelFactory(name="Owls of the north")
    RegisteredModelFactory(name="Snowy owls")
    address = reverse(f"admin:{MODELS}_changelist")
    for words in ("owls", model.token, model.owner.username):
        page = root.get(address, {"q": words}).content.decode()
        assert "Owls of the north" in page
        assert "Snowy owls" not in page


def test_narrowed_list_offers_all(root: Client) -> None:
    RegisteredModelFactory(name="Owls")
    address = reverse(f"admin:{MODELS}_changelist")
    assert "Show all" not in root.get(address).content.decode()
    assert "Show all" in root.get(address, {"q": "cats"}).content.decode()


def test_long_list_says_that_there_are_more(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.admin.paginator.BoundedPaginator.BOUND", 4)
    for _ in range(5):
        RegisteredModelFactory()
    assert "more than 4 models" in root.get(reverse(f"admin:{MODELS}_changelist")).content.decode()


def test_dates_lead_from_years_to_days(root: Client) -> None:
    old, new = RegisteredModelFactory(name="Old"), RegisteredModelFactory(name="New")
    RegisteredModel.objects.filter(pk=old.pk).update(created_at=datetime(2024, 2, 29, 23, 59, tzinfo=UTC))
    RegisteredModel.objects.filter(pk=new.pk).update(created_at=datetime(2025, 3, 1, tzinfo=UTC))
    address = reverse(f"admin:{MODELS}_changelist")
    for title, offered in (
        ("2024", "February 2024"),
        ("February 2024", "February 29"),
        ("February 29", "February 2024"),
    ):
        page = root.get(address)
        link = next(choice for choice in links(page.content.decode()) if choice[1] == title)
        address = reverse(f"admin:{MODELS}_changelist") + link[0]
        page = root.get(address)
        assert [model.name for model in page.context["cl"].result_list] == ["Old"]
        assert offered in page.content.decode()


@pytest.mark.parametrize("bound", ["9999-12-31T00:00:00Z", "2026-02-31", "yesterday", ""])
def test_dates_that_make_no_sense_break_nothing(root: Client, bound: str) -> None:
    RegisteredModelFactory()
    asked = {"created_at__gte": "2026-01-01T00:00:00Z", "created_at__lt": bound}
    answer = root.get(reverse(f"admin:{MODELS}_changelist"), asked, follow=True)
    assert answer.status_code in (200, 400)


def links(page: str) -> list[tuple[str, str]]:
    """Return the addresses and words of the drill-down."""
    found = re.findall(r'<a href="([^"]*)"[^>]*>(?:\s*<span.*?</span>)?\s*([^<]+?)\s*</a>', page, re.DOTALL)
    return [(html.unescape(address), words) for address, words in found]


def test_person_to_whom_something_belongs_is_switched_off_and_not_deleted(root: Client) -> None:
    owner, nobody = RegisteredModelFactory().owner, UserFactory()
    for person, deletable in ((owner, False), (nobody, True)):
        address = reverse("admin:accounts_user_delete", args=[person.pk])
        assert (root.get(address).status_code == 200) == deletable
        page = root.get(reverse("admin:accounts_user_change", args=[person.pk])).content.decode()
        assert ("Delete user" in page) == deletable


def test_page_of_a_batch_tells_how_far_it_is_and_not_its_secret(root: Client) -> None:
    batch = Batch.objects.create(
        model=RegisteredModelFactory(), source_name="a.zip", suffix=".zip", size=2048, total=10, done=3
    )
    page = root.get(reverse("admin:inference_batch_change", args=[batch.pk])).content.decode()
    for words in ("a.zip", "3 of 10", "2.0\xa0KB"):
        assert words in page
    assert batch.identifier not in page


def test_page_of_a_days_use_lists_times_and_labels(root: Client) -> None:
    use = ModelUsage.objects.create(
        model=RegisteredModelFactory(),
        day=timezone.now().date(),
        calls=3,
        latencies=[0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        labels={"iris": 1, "daisy": 7},
        last_used_at=timezone.now(),
    )
    page = root.get(reverse("admin:inference_modelusage_change", args=[use.pk])).content.decode()
    assert "2 × up to 10 ms<br>1 × longer" in page
    assert "7 × daisy<br>1 × iris" in page


def test_long_pictures_in_published_entries_are_cut_short(root: Client) -> None:
    text = '"token": {"name": "Owls", "accuracy_plot": "' + "A" * 5000 + '", "accuracy": 90}'
    entry = PublishedEntry.objects.create(document="inference.json", name="token", text=text, digest="")
    page = html.unescape(
        root.get(reverse("admin:documents_publishedentry_change", args=[entry.pk])).content.decode()
    )
    assert '"name": "Owls", "accuracy_plot": "' + "A" * 200 + '…", "accuracy": 90}' in page
    assert "A" * 201 not in page
