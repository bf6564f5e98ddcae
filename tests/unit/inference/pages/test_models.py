"""The pages of models: for strangers with the token, others, owners and staff."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from accounts.models import User
from control.models import PlatformStatus
from inference.predict import lookup
from models_registry.models import Alias, Artifact, RegisteredModel
from models_registry.services import retire_model
from tests.factories import (
    ArtifactFactory,
    ProjectFactory,
    RegisteredModelFactory,
    TrainingJobFactory,
    UserFactory,
)
from tests.tiny_models import live_colour_model, picture

pytestmark = pytest.mark.django_db

State = RegisteredModel.State
HTMX = {"HX-Request": "true"}


def as_(user: User | None) -> Client:
    client = Client()
    if user is not None:
        client.force_login(user)
    return client


def address(name: str, model: RegisteredModel, *more: str) -> str:
    return reverse(f"inference:{name}", args=[model.token, *more])


def photo(colour: str = "red", name: str = "photo.png") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, picture(colour), "image/png")


def people(model: RegisteredModel) -> dict[str, Client]:
    return {
        "stranger": as_(None),
        "other": as_(UserFactory()),
        "owner": as_(model.owner),
        "staff": as_(UserFactory(is_staff=True, is_superuser=True)),
    }


def test_whoever_has_the_token_sees_the_model() -> None:
    model = live_colour_model()
    for who, client in people(model).items():
        response = client.get(address("model", model))
        page = response.content.decode()
        assert response.status_code == 200
        assert model.token in page
        assert (address("retire", model) in page) == (who in ("owner", "staff"))
        assert (address("keep", model) in page) == (who in ("owner", "staff"))


def test_unknown_retired_and_deleted_models_are_the_same_404() -> None:
    models = [RegisteredModelFactory(state=state) for state in (State.RETIRED, State.DELETING, State.DELETED)]
    addresses = ["/models/nothing/", *(address("model", model) for model in models)]
    pages = {Client().get(where).content for where in addresses}
    assert len(pages) == 1
    assert Client().get(addresses[1]).status_code == 404


def test_retired_model_is_shown_to_those_who_can_bring_it_back() -> None:
    model = live_colour_model()
    retire_model(model=model)
    for who, client in people(model).items():
        response = client.get(address("model", model))
        assert response.status_code == (200 if who in ("owner", "staff") else 404)
        if response.status_code == 200:
            assert address("restore", model) in response.content.decode()


def test_snippets_name_the_address_that_predicts() -> None:
    model = live_colour_model()
    page = Client().get(address("model", model)).content.decode()
    assert f"http://testserver/api/v1/models/{model.token}/predict/" in page


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_try_shows_the_top_classes_of_every_file(headers: dict[str, str]) -> None:
    model = live_colour_model()
    files = [photo("red", "first.png"), photo("blue", "<second>.png")]
    response = Client().post(address("try", model), {"file": files}, headers=headers)
    page = response.content.decode()
    assert response.status_code == 200
    assert ("<html" in page) == (not headers)
    assert [prediction.label for prediction in response.context["predictions"]] == ["red", "blue"]
    assert page.index("first.png") < page.index("&lt;second&gt;.png")
    assert len(response.context["predictions"][0].top) == 3


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "Choose a photo."),
        ({"file": SimpleUploadedFile("x.png", b"no image")}, "not an image"),
        ({"file": SimpleUploadedFile("x.png", b"")}, "empty"),
    ],
)
@pytest.mark.parametrize("headers", [{}, HTMX])
def test_try_says_what_cannot_be_used(data: dict[str, Any], message: str, headers: dict[str, str]) -> None:
    for file in data.values():
        file.seek(0)
    response = Client().post(address("try", live_colour_model()), data, headers=headers)
    assert response.status_code == 400
    assert message in response.content.decode()


def test_try_bounds_the_bytes_of_all_files_together(settings: Settings) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "MAX_PREDICT_BYTES": 150}
    response = Client().post(address("try", live_colour_model()), {"file": [photo(), photo("blue")]})
    assert response.status_code == 400
    assert "together" in response.content.decode()


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_try_while_halted_is_a_503(headers: dict[str, str]) -> None:
    PlatformStatus.objects.update_or_create(pk=1, defaults={"dev_mode": True})
    response = Client().post(address("try", live_colour_model()), {"file": photo()}, headers=headers)
    assert response.status_code == 503
    assert "maintenance" in response.content.decode()


def test_try_of_a_deleted_model_is_a_404() -> None:
    model = live_colour_model()
    retire_model(model=model)
    assert Client().post(address("try", model), {"file": photo()}).status_code == 404
    assert as_(model.owner).post(address("try", model), {"file": photo()}).status_code == 404


def test_try_by_address_leads_to_the_page() -> None:
    model = live_colour_model()
    assert Client().get(address("try", model))["Location"] == address("model", model)


@pytest.mark.parametrize("downloadable", [True, False])
def test_download_is_for_owner_and_staff_or_whoever_may(downloadable: bool) -> None:
    model = live_colour_model(downloadable=downloadable)
    where = address("download", model, "onnx")
    for who, client in people(model).items():
        allowed = downloadable or who in ("owner", "staff")
        response = client.get(where)
        assert response.status_code == (200 if allowed else 404), who
        assert (where in client.get(address("model", model)).content.decode()) == allowed
        if allowed:
            assert len(b"".join(response.streaming_content)) == int(response["Content-Length"])


def test_download_is_never_shown_in_the_browser() -> None:
    response = Client().get(address("download", live_colour_model(), "onnx"))
    assert response["Content-Disposition"].startswith("attachment; filename=")
    assert response["Content-Type"] == "application/octet-stream"
    assert response["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("kind", ["torchscript", "../../secret_key", "nothing"])
def test_download_of_what_is_not_there_is_a_404(kind: str) -> None:
    model = live_colour_model()
    assert Client().get(f"/models/{model.token}/download/{kind}/").status_code == 404


@pytest.mark.parametrize("name", ["keep", "retire", "restore"])
def test_changing_a_model_is_for_owner_and_staff(name: str) -> None:
    model = live_colour_model()
    before = model.expires_at
    who = people(model)
    response = who["stranger"].post(address(name, model))
    assert response["Location"].startswith(reverse("account_login"))
    assert who["other"].post(address(name, model)).status_code == 404
    assert who["owner"].get(address(name, model)).status_code == 405
    model.refresh_from_db()
    assert (model.state, model.expires_at) == (State.LIVE, before)
    for allowed in ("owner", "staff"):
        assert who[allowed].post(address(name, model))["Location"] == address("model", model)


def test_keep_adds_a_day() -> None:
    model = live_colour_model()
    before = model.expires_at
    as_(model.owner).post(address("keep", model))
    model.refresh_from_db()
    assert model.expires_at == before + timedelta(hours=24)


def test_keep_goes_no_further_than_the_platform_lets_a_model_live(settings: Any) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "MAX_KEEP": timedelta(days=2)}
    model = live_colour_model()
    client = as_(model.owner)
    for _ in range(5):
        page = client.post(address("keep", model), follow=True).content.decode()
    assert "2 days from now at most" in page
    model.refresh_from_db()
    assert model.expires_at is not None
    assert model.expires_at <= timezone.now() + timedelta(days=2)


def test_expired_model_is_there_for_its_owner_alone_until_the_clean_up_comes() -> None:
    model = live_colour_model(downloadable=True, expires_at=timezone.now())
    who = people(model)
    for stranger in ("stranger", "other"):
        assert who[stranger].get(address("model", model)).status_code == 404
        assert who[stranger].post(address("try", model), {"file": photo()}).status_code == 404
        assert who[stranger].post(address("batches", model), {"file": photo()}).status_code == 404
        assert who[stranger].get(address("download", model, "onnx")).status_code == 404
    for manager in ("owner", "staff"):
        page = who[manager].get(address("model", model)).content.decode()
        assert "has expired: it no longer predicts" in page
        assert address("keep", model) in page
        assert address("try", model) not in page
        assert who[manager].post(address("try", model), {"file": photo()}).status_code == 404
        assert who[manager].get(address("download", model, "onnx")).status_code == 200
    Alias.objects.create(project=model.project, name="production", model=model)
    assert "Expired" in who["owner"].get(reverse("inference:projects")).content.decode()
    who["owner"].post(address("keep", model))
    assert "keep" in who["owner"].get(address("model", model)).content.decode()
    assert who["stranger"].post(address("try", model), {"file": photo()}).status_code == 200


def test_delete_and_undo() -> None:
    model = live_colour_model()
    client = as_(model.owner)
    page = client.post(address("retire", model), follow=True).content.decode()
    assert ">Restore<" in page
    model.refresh_from_db()
    assert model.state == State.RETIRED
    page = client.post(address("restore", model), follow=True).content.decode()
    assert "is live again" in page
    model.refresh_from_db()
    assert model.state == State.LIVE


def test_undo_after_the_clean_up_is_a_404() -> None:
    model = RegisteredModelFactory(state=State.DELETED)
    assert as_(model.owner).post(address("restore", model)).status_code == 404


def test_model_list_is_the_persons_own() -> None:
    mine, other = RegisteredModelFactory(name="Mine"), RegisteredModelFactory(name="Theirs")
    gone = ProjectFactory(name="Long gone", owner=mine.owner, deleted_at=timezone.now())
    page = as_(mine.owner).get("/projects/?whose=everyone").content.decode()
    assert "Mine" in page
    assert "Theirs" not in page
    assert gone.name not in page
    staff = as_(UserFactory(is_staff=True, is_superuser=True))
    assert "Theirs" not in staff.get("/projects/").content.decode()
    assert other.owner.username in staff.get("/projects/?whose=everyone").content.decode()


def test_model_list_asks_strangers_to_sign_in() -> None:
    assert Client().get("/projects/")["Location"].startswith(reverse("account_login"))


def test_empty_model_list_says_what_to_do_next() -> None:
    assert "Create your first model" in as_(UserFactory()).get("/projects/").content.decode()


@pytest.mark.parametrize("count", [1, 30])
def test_model_list_costs_the_same_however_long(
    django_assert_num_queries: DjangoAssertNumQueries, count: int
) -> None:
    user = UserFactory()
    RegisteredModelFactory.create_batch(count, owner=user, expires_at=timezone.now() + timedelta(hours=1))
    client = as_(user)
    with django_assert_num_queries(5):  # session, user, count, page, versions in production
        page = client.get("/projects/").content.decode()
    assert ("Page 1 of 2" in page) == (count > 24)


def test_page_of_a_foreign_model_without_metrics_is_shown() -> None:
    model = RegisteredModelFactory(accuracy_plot="", metrics={}, architecture="", expires_at=None)
    assert Client().get(address("model", model)).status_code == 200


def test_list_is_searched_by_name_and_kind() -> None:
    first = RegisteredModelFactory(name="Spring flowers")
    RegisteredModelFactory(name="Autumn leaves", owner=first.owner)
    RegisteredModelFactory(name="Spring words", owner=first.owner, task_type="textclassification")
    client = as_(first.owner)
    page = client.get("/projects/?q=SPRING&task_type=imageclassification").content.decode()
    assert "Spring flowers" in page
    for name in ("Autumn leaves", "Spring words"):
        assert name not in page, name
    assert "No results" in client.get("/projects/?q=winter").content.decode()


def test_card_is_written_by_its_owner_and_read_by_everybody() -> None:
    model = live_colour_model()
    words = {"name": "Colours again", "description": "For **paint**.\n\n<script>", "downloadable": ""}
    who = people(model)
    assert who["stranger"].post(address("describe", model), words)["Location"].startswith("/accounts/login/")
    assert who["other"].post(address("describe", model), words).status_code == 404
    assert who["owner"].get(address("describe", model)).status_code == 200
    assert who["owner"].post(address("describe", model), words)["Location"] == address("model", model)
    model.refresh_from_db()
    assert (model.name, model.downloadable) == ("Colours again", False)
    page = who["stranger"].get(address("model", model)).content.decode()
    assert "<p>For <strong>paint</strong>.</p>" in page
    assert "&lt;script&gt;" in page
    refused = who["owner"].post(address("describe", model), {**words, "name": "a\u202eb"})
    assert refused.status_code == 400
    assert "cannot be seen (U+202E)" in refused.content.decode()


def test_page_of_an_owner_leads_to_the_same_training_again() -> None:
    model = live_colour_model()
    job = TrainingJobFactory(
        owner=model.owner,
        state="succeeded",
        registered_model=model,
        started_at=timezone.now(),
        finished_at=timezone.now(),
    )
    again = f"/new/?from={job.pk}"
    assert again in as_(model.owner).get(address("model", model)).content.decode()
    assert again not in Client().get(address("model", model)).content.decode()


def test_page_shows_how_far_the_percentages_can_be_trusted() -> None:
    bins = [{"confidence": 0.95, "accuracy": 0.9, "share": 1.0}]
    mistakes = [{"input": "a.png", "label": "red", "predicted": "blue", "thumbnail": "QUJD"}]
    model = live_colour_model(metrics={"calibration": bins, "worst_mistakes": mistakes})
    page = as_(model.owner).get(address("model", model)).content.decode()
    assert "Calibration" in page
    assert 'cx="95.0" cy="10.0"' in page
    assert "data:image/jpeg;base64,QUJD" in page


def test_files_come_in_the_order_in_which_they_are_wanted() -> None:
    model = live_colour_model()
    for kind in (kind for kind in Artifact.Kind if kind != Artifact.Kind.ONNX):
        ArtifactFactory(model=model, kind=kind)
    files = as_(model.owner).get(address("model", model)).context["files"]
    assert [file.kind for file in files] == ["onnx", "onnx-int8", "torchscript", "metadata", "evaluation"]


@pytest.mark.parametrize(
    ("pays", "expected"),
    [(True, "This machine answers with it"), (False, "this machine answers with the full file")],
)
def test_page_says_how_the_file_of_eight_bits_compares_and_whether_it_answers(
    pays: bool, expected: str, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    monkeypatch.setattr(lookup, "eight_bits_pay", lambda folder: pays)
    settings.TRAINYARD = settings.TRAINYARD | {"PREDICT_IN_EIGHT_BITS": True}
    figures = {"max_abs_difference": 0.034, "changed_labels": 2, "samples": 64, "published": True}
    model = live_colour_model()
    ArtifactFactory(model=model, kind=Artifact.Kind.ONNX_INT8)
    RegisteredModel.objects.filter(pk=model.pk).update(metrics={"int8": figures})
    page = " ".join(as_(model.owner).get(address("model", model)).content.decode().split())
    assert "ran on the same 64 examples: 2 labels differ, probabilities by up to 0.03." in page
    assert expected in page


@pytest.mark.parametrize("too_few", [True, False])
def test_page_says_when_there_were_too_few_examples_to_fine_tune_on(too_few: bool) -> None:
    rows = [{"name": "Fast", "accuracy": 0.9, "loss": 0.4}]
    model = live_colour_model(metrics={"candidates": rows, "kept": "Fast", "too_few_to_train": too_few})
    page = " ".join(as_(model.owner).get(address("model", model)).content.decode().split())
    assert "90.0 %</span> Fast (published)" in page
    assert ("most classes have too few examples. Add some and train again." in page) == too_few


def test_page_says_which_answers_chance_may_tell_apart() -> None:
    rows = [
        {"name": "Mean of 3 ways", "accuracy": 0.95, "loss": 0.2, "alike": True},
        {"name": "last stages, 6 epochs at 0.002", "accuracy": 0.94, "loss": 0.21, "alike": True},
        {"name": "Fast", "accuracy": 0.8, "loss": 0.4, "alike": False},
    ]
    model = live_colour_model(metrics={"candidates": rows, "kept": "Mean of 3 ways"})
    page = " ".join(as_(model.owner).get(address("model", model)).content.decode().split())
    assert "95.0 %</span> Mean of 3 ways (published)" in page
    assert "94.0 %</span> Last stages, 6 epochs at 0.002 (about as good)" in page
    assert "80.0 %</span> Fast </li>" in page


@pytest.mark.parametrize("metrics", [{"features_in_eight_bits": True}, {}])
def test_page_says_when_photos_were_seen_in_eight_bits(metrics: dict[str, bool]) -> None:
    model = live_colour_model(metrics=metrics)
    page = as_(model.owner).get(address("model", model)).content.decode()
    assert ("From the network of 8 bits" in page) == bool(metrics)
