"""The page of a new model: data first, then the model, nothing queued before both are right."""

import io
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from control.models import PlatformStatus
from core.queue.app import app
from devtools.bombs import zip_of
from tests.factories import DatasetFactory, DatasetValidationFactory, TrainingJobFactory, UserFactory
from tests.form_values import untouched
from tests.tiny_models import picture
from training.datasets.models import Dataset
from training.engine.specs.hyperparameters import OPTIONS
from training.engine.specs.strategies import STRATEGIES
from training.jobs.models import TrainingJob, WorkerHeartbeat
from training.pages.forms import SWITCHES, NewModelForm

pytestmark = pytest.mark.django_db

TABLE = "input,label\n" + "\n".join(f"text {number},{'xy'[number % 2]}" for number in range(24))
UPLOAD = "/new/data/"
HTMX = {"HX-Request": "true"}
BOTH = pytest.mark.parametrize("headers", [{}, HTMX])


@pytest.fixture(autouse=True)
def nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "send_task", lambda *_, **__: None)


def as_(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def table(content: str = TABLE, filename: str = "my_data.csv", **columns: str) -> dict[str, Any]:
    return {"file": SimpleUploadedFile(filename, content.encode()), **columns}


def photos(**classes: int) -> dict[str, Any]:
    """A zip with so many pictures of each class, all different."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, count in classes.items():
            for number in range(count):
                archive.writestr(f"{name}/{number}.png", picture(f"rgb({number}, {len(name)}, 9)"))
    return {"file": SimpleUploadedFile("photos.zip", buffer.getvalue())}


def photos_in_parquet(**more: list[str]) -> dict[str, Any]:
    """A Parquet file of photos with their classes, and further columns."""
    cells = [{"bytes": picture(f"rgb({number}, 9, 9)"), "path": None} for number in range(6)]
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"image": cells, "label": [*"aabbab"], **more}), buffer)
    return {"file": SimpleUploadedFile("train.parquet", buffer.getvalue())}


def filled_in(dataset: Dataset, **changes: Any) -> dict[str, Any]:
    form = NewModelForm(task_type=dataset.task_type)
    return {**untouched(form), "dataset": dataset.pk, "name": "My intents", **changes}


def uploaded(user: User) -> Dataset:
    as_(user).post(UPLOAD, table())
    return Dataset.objects.get()


def test_photos_in_parquet_are_known_by_what_is_in_it() -> None:
    as_(user := UserFactory()).post(UPLOAD, photos_in_parquet())
    dataset = Dataset.objects.get(owner=user)
    assert (dataset.task_type, dataset.classes, dataset.examples) == ("imageclassification", ["a", "b"], 6)


def test_texts_beside_photos_in_parquet_count_as_before() -> None:
    as_(user := UserFactory()).post(UPLOAD, photos_in_parquet(text=[f"text {n}" for n in range(6)]))
    assert Dataset.objects.get(owner=user).task_type == "textclassification"


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("name", ["new", "upload", "sample"])
def test_strangers_are_asked_to_sign_in(name: str, method: str) -> None:
    response = getattr(Client(), method)(reverse(f"training:{name}"))
    assert response["Location"].startswith(reverse("account_login"))


def test_page_begins_with_the_data_alone() -> None:
    page = as_(UserFactory()).get("/new/").content.decode()
    assert 'id="data-form"' in page
    assert "Start training</button>" not in page


def test_upload_is_looked_at_and_nothing_is_queued() -> None:
    client = as_(UserFactory())
    response = client.post(UPLOAD, table())
    dataset = Dataset.objects.get()
    assert response["Location"] == f"/new/?dataset={dataset.pk}"
    assert (dataset.name, dataset.task_type, dataset.examples) == ("My data", "textclassification", 24)
    assert not TrainingJob.objects.exists()
    page = client.get(response["Location"]).content.decode()
    for words in ("my_data.csv", "text 0", "Start training", 'value="My data"', "about 5 seconds"):
        assert words in page, words


def test_upload_over_htmx_shows_the_other_steps_and_keeps_the_choice_in_the_address() -> None:
    response = as_(UserFactory()).post(UPLOAD, photos(daisy=12, iris=12), headers=HTMX)
    page = response.content.decode()
    assert response["HX-Replace-Url"] == f"/new/?dataset={Dataset.objects.get().pk}"
    assert "<html" not in page
    assert page.count("data:image/jpeg;base64,") == 6
    assert "no problems found" in page


@BOTH
def test_data_that_cannot_be_trained_on_is_refused_with_what_was_found(headers: dict[str, str]) -> None:
    response = as_(UserFactory()).post(UPLOAD, photos(daisy=1, iris=1), headers=headers)
    page = response.content.decode()
    assert response.status_code == 400
    assert "fewer than 2 different examples" in page
    assert "Validation report" in page
    assert ("<html" in page) == (not headers)
    assert not Dataset.objects.exists()


@BOTH
def test_columns_that_cannot_be_guessed_are_asked_for(headers: dict[str, str]) -> None:
    client = as_(UserFactory())
    rows = TABLE.strip().splitlines()[1:]
    remarks = (f"{row},remark number {number}" for number, row in enumerate(rows))
    content = "\n".join(["utterings,kind,remarks", *remarks])  # two columns read like texts
    response = client.post(UPLOAD, table(content), headers=headers)
    page = response.content.decode()
    assert response.status_code == 400
    assert page.count('<option value="utterings">') == 2
    client.post(UPLOAD, table(content, input_column="utterings", label_column="kind"))
    assert Dataset.objects.get().columns == {"input": "utterings", "label": "kind"}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({}, "Choose the file"),
        (table(filename="data.pdf"), "data.pdf is not a .zip or .tar"),
        (table("input,label\n\0,x\n"), "NUL"),
    ],
)
def test_file_that_no_reader_takes_is_named(data: dict[str, Any], words: str) -> None:
    response = as_(UserFactory()).post(UPLOAD, data)
    assert response.status_code == 400
    assert words in response.content.decode()


def test_upload_while_halted_is_a_503() -> None:
    PlatformStatus.objects.update_or_create(pk=1, defaults={"dev_mode": True})
    response = as_(UserFactory()).post(UPLOAD, table())
    assert response.status_code == 503
    assert "maintenance" in response.content.decode()


def test_too_many_uploads_are_a_429(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.http.throttles.take", lambda scope, who: 7.0)
    response = as_(UserFactory()).post(UPLOAD, table())
    assert response.status_code == 429
    assert "7 seconds" in response.content.decode()


def test_data_sets_that_are_here_can_be_chosen_again() -> None:
    mine, other = DatasetFactory(name="Mine"), DatasetFactory(name="Theirs")
    client = as_(mine.owner)
    page = client.get("/new/").content.decode()
    assert f'<option value="{mine.pk}">' in page
    assert "Theirs" not in page
    assert client.get(f"/new/?dataset={mine.pk}").status_code == 200
    for address in (
        f"/new/?dataset={other.pk}",
        "/new/?dataset=x",
        f"/new/?dataset={'9' * 30}",
        "/new/?from=0",
    ):
        assert client.get(address).status_code == 404, address
    assert client.post("/new/", filled_in(other)).status_code == 404


def test_sample_is_taken_once_however_often_it_is_chosen() -> None:
    client = as_(UserFactory())
    places = {client.post("/new/sample/", {"sample": "banking"})["Location"] for _ in range(2)}
    assert places == {f"/new/?dataset={Dataset.objects.get().pk}"}
    assert client.post("/new/sample/", {"sample": "../x"}).status_code == 404


def test_page_offers_every_field_of_the_form() -> None:
    dataset = DatasetFactory()
    page = as_(dataset.owner).get(f"/new/?dataset={dataset.pk}").content.decode()
    for name in NewModelForm(task_type=dataset.task_type).fields:
        assert f'name="{name}"' in page, name


def test_presets_that_are_not_available_are_shown_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "training.pages.forms.why_not_at_all",
        lambda networks, strategy: "" if strategy == "scratch" else f"No {strategy} here.",
    )
    dataset = DatasetFactory()
    page = " ".join(as_(dataset.owner).get(f"/new/?dataset={dataset.pk}").content.decode().split())
    assert "No finetune here." in page
    assert page.count("disabled") >= 2
    assert 'data-label="From scratch"' in page
    chosen = page[page.index('id="preset-scratch"') :]
    assert "checked" in chosen[: chosen.index(">")]


def test_start_makes_a_job_of_the_data_set() -> None:
    user = UserFactory()
    dataset = uploaded(user)
    response = as_(user).post("/new/", filled_in(dataset, train_percent=80, seed=3))
    job = TrainingJob.objects.get()
    assert response["Location"] == f"/jobs/{job.pk}/"
    assert (job.owner, job.name, job.data_split, job.seed) == (user, "My intents", "80 : 20", 3)
    assert job.dataset == dataset


def test_start_over_htmx_is_sent_on_by_a_header() -> None:
    dataset = DatasetFactory()
    response = as_(dataset.owner).post("/new/", filled_in(dataset), headers=HTMX)
    assert response["HX-Redirect"] == f"/jobs/{TrainingJob.objects.get().pk}/"


@BOTH
def test_start_with_what_cannot_be_used_keeps_everything(headers: dict[str, str]) -> None:
    dataset = DatasetFactory()
    response = as_(dataset.owner).post("/new/", filled_in(dataset, seed=77, epochs=501), headers=headers)
    page = response.content.decode()
    assert response.status_code == 400
    assert 'value="My intents"' in page
    assert 'value="77"' in page
    assert f'name="dataset" value="{dataset.pk}"' in " ".join(page.split())
    assert "less than or equal to 500" in page
    assert ("<html" in page) == (not headers)
    assert not TrainingJob.objects.exists()


def test_start_without_data_asks_for_it() -> None:
    response = as_(UserFactory()).post("/new/", {"name": "x"})
    assert response.status_code == 400
    assert "Choose your data first." in response.content.decode()


def test_start_that_is_refused_keeps_the_data_set(bucket: Path) -> None:
    TrainingJobFactory()
    PlatformStatus.objects.update_or_create(pk=1, defaults={"queue_while_active": False})
    user = UserFactory()
    as_(user).post(UPLOAD, table())
    dataset = Dataset.objects.get(owner=user)
    response = as_(user).post("/new/", filled_in(dataset))
    assert response.status_code == 409
    assert "A model is being trained" in response.content.decode()
    assert (bucket / dataset.key).is_file()


def test_start_while_halted_is_a_503_that_keeps_the_form() -> None:
    dataset = DatasetFactory()
    PlatformStatus.objects.update_or_create(pk=1, defaults={"dev_mode": True})
    response = as_(dataset.owner).post("/new/", filled_in(dataset))
    assert response.status_code == 503
    assert 'value="My intents"' in response.content.decode()


def test_page_from_a_job_has_its_settings() -> None:
    job = TrainingJobFactory(name="Once more", strategy="finetune", epochs=7, seed=5)
    page = " ".join(as_(job.owner).get(f"/new/?from={job.pk}").content.decode().split())
    assert 'value="Once more"' in page
    for name, value in (("epochs", 7), ("seed", 5)):
        assert f'name="{name}" value="{value}"' in page, name
    assert as_(UserFactory()).get(f"/new/?from={job.pk}").status_code == 404


@pytest.mark.parametrize("count", [1, 15])
def test_page_costs_the_same_however_much_there_is(
    django_assert_num_queries: DjangoAssertNumQueries, count: int
) -> None:
    user = UserFactory()
    datasets = DatasetFactory.create_batch(count, owner=user)
    client = as_(user)
    with django_assert_num_queries(4):  # session, user, data sets, halted
        page = client.get("/new/").content.decode()
    with django_assert_num_queries(6):  # session, user, data set, fetched networks, what ended lately, halted
        assert client.get(f"/new/?dataset={datasets[0].pk}").status_code == 200
    assert all(str(dataset.pk) in page for dataset in datasets)


# Large data, which a worker checks ----------------------------------------------------------------


@pytest.fixture
def everything_is_large(settings: Any) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "VALIDATE_IN_WEB_BYTES": 0, "VALIDATE_IN_WEB_FILES": 0}


def checking(user: User, **fields: Any) -> Dataset:
    return DatasetValidationFactory(dataset__owner=user, **fields).dataset


@BOTH
def test_large_upload_shows_how_far_its_check_is(everything_is_large: None, headers: dict[str, str]) -> None:
    client = as_(UserFactory())
    response = client.post(UPLOAD, photos(daisy=3, iris=3), headers=headers)
    dataset = Dataset.objects.get()
    assert dataset.state == Dataset.State.VALIDATING
    address = f"/new/?dataset={dataset.pk}"
    if headers:
        assert response["HX-Replace-Url"] == address
        assert f'hx-get="/datasets/{dataset.pk}/progress/"' in response.content.decode()
    else:
        assert response["Location"] == address
    page = client.get(address).content.decode()  # also what a reload shows
    assert f'hx-get="/datasets/{dataset.pk}/progress/"' in page
    assert "Start training</button>" not in page
    assert 'id="data-form"' not in page


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Waiting for a worker."),
        ({"message": "Waits again: its worker stopped answering."}, "its worker stopped answering"),
        ({"state": "running", "done": 1204, "total": 5000}, "1,204 of 5,000 files checked"),
        ({"state": "running", "done": 70_000}, "70,000 rows checked"),
        ({"state": "running"}, "Opening the file"),
    ],
)
def test_progress_says_how_far_the_check_is(fields: dict[str, Any], words: str) -> None:
    user = UserFactory()
    if fields.get("state") == "running":
        fields = {**fields, "lease_expires_at": timezone.now() + timedelta(minutes=1)}
    dataset = checking(user, **fields)
    fragment = as_(user).get(f"/datasets/{dataset.pk}/progress/", headers=HTMX).content.decode()
    assert words in fragment
    assert 'hx-trigger="every 1s"' in fragment


def test_progress_tells_of_those_before_and_of_maintenance() -> None:
    user = UserFactory()
    WorkerHeartbeat.objects.create(
        name="w", queues=["batches"], started_at=timezone.now(), seen_at=timezone.now()
    )
    checking(UserFactory())
    dataset = checking(user)
    address = f"/datasets/{dataset.pk}/progress/"
    assert "1 data set before it." in as_(user).get(address).content.decode()
    PlatformStatus(dev_mode=True).save()
    assert "halted for maintenance" in as_(user).get(address).content.decode()


@pytest.mark.parametrize("state", ["ready", "unusable"])
def test_page_is_loaded_anew_when_the_check_has_ended(state: str) -> None:
    dataset = DatasetFactory(state=state)
    response = as_(dataset.owner).get(f"/datasets/{dataset.pk}/progress/", headers=HTMX)
    assert response["HX-Refresh"] == "true"
    assert response.content == b""


def test_page_of_data_that_was_deleted_meanwhile_is_loaded_anew() -> None:
    response = as_(UserFactory()).get("/datasets/4711/progress/", headers=HTMX)
    assert (response.status_code, response["HX-Refresh"]) == (404, "true")


def test_progress_is_the_owners() -> None:
    dataset = checking(UserFactory())
    response = as_(UserFactory()).get(f"/datasets/{dataset.pk}/progress/", headers=HTMX)
    assert (response.status_code, response.content) == (404, b"")


def test_checked_data_leads_to_the_model() -> None:
    dataset = DatasetFactory(state="ready")
    page = as_(dataset.owner).get(f"/new/?dataset={dataset.pk}").content.decode()
    assert "Start training</button>" in page


def test_unusable_data_shows_what_to_mend_and_takes_another_file() -> None:
    report = {"classes": {"daisy": 3}, "problems": ["There is only one class; a classifier needs two."]}
    dataset = DatasetFactory(state="unusable", reason=report["problems"][0], report=report, classes=["daisy"])
    page = as_(dataset.owner).get(f"/new/?dataset={dataset.pk}").content.decode()
    assert "There is only one class" in page
    assert "Validation report" in page
    assert 'id="data-form"' in page
    dataset = DatasetFactory(state="unusable", reason="Row 7 is not UTF-8 text.")
    page = as_(dataset.owner).get(f"/new/?dataset={dataset.pk}").content.decode()
    assert "Row 7 is not UTF-8 text." in page
    assert "Validation report" not in page


@pytest.mark.parametrize("state", ["validating", "unusable"])
def test_data_that_is_not_ready_is_not_offered_and_not_trained_on(state: str) -> None:
    user = UserFactory()
    dataset = DatasetValidationFactory(dataset__owner=user, dataset__state=state).dataset
    client = as_(user)
    assert f'<option value="{dataset.pk}"' not in client.get("/new/").content.decode()
    response = client.post("/new/", filled_in(dataset))
    assert response.status_code == 400
    assert not TrainingJob.objects.exists()


def test_page_asks_for_every_hyperparameter_and_tells_who_does_not_use_them() -> None:
    dataset = DatasetFactory()
    page = as_(dataset.owner).get(f"/new/?dataset={dataset.pk}").content.decode()
    for name, option in OPTIONS.items():
        assert f'name="{SWITCHES.get(name, name)}"' in page, name
        assert option.label in page, name
    unused = [spec.name for spec in STRATEGIES.values() if not spec.trains_network]
    assert f'data-not-strategies="{" ".join(unused)} "' in page
    assert [
        name for name in STRATEGIES if f'<div class="note field" data-strategy="{name}">' in page
    ] == unused


def test_corrections_of_the_page_hold_for_the_data_set() -> None:
    user = UserFactory()
    rows = table("input,label\na b,x\nb c,x\nc d,y\nd e,y\ne f,z\nf g,z\n")
    answer = as_(user).post(reverse("training:upload"), {**rows, "corrections": '{"merge": {"z": "y"}}'})
    assert answer.status_code == 302
    dataset = Dataset.objects.get()
    assert dataset.classes == ["x", "y"]
    assert dataset.corrections == {"merge": {"z": "y"}}


def test_corrections_that_are_none_are_refused_with_the_reason() -> None:
    answer = as_(UserFactory()).post(reverse("training:upload"), {**table(), "corrections": '{"level": 1}'})
    assert answer.status_code == 400
    assert "There is no correction" in answer.content.decode()


def test_zip_that_was_seen_to_hold_a_table_is_read_as_one() -> None:
    user = UserFactory()
    content = zip_of({"data/train.csv": TABLE.encode()})
    file = SimpleUploadedFile("archive.zip", content)
    answer = as_(user).post(reverse("training:upload"), {"file": file, "task_type": "textclassification"})
    assert answer.status_code == 302
    assert Dataset.objects.get().task_type == "textclassification"
