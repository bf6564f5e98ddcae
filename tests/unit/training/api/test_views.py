import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from control.models import PlatformStatus
from core.queue.app import app
from tests.factories import DatasetFactory, DatasetValidationFactory, TrainingJobFactory, UserFactory
from training.datasets.models import Dataset, DatasetValidation
from training.jobs.models import TrainingJob

pytestmark = pytest.mark.django_db

TABLE = "input,label\n" + "\n".join(f"text {number},{'xy'[number % 2]}" for number in range(24))


@pytest.fixture(autouse=True)
def nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "send_task", lambda *_, **__: None)


@pytest.fixture
def client() -> APIClient:
    client = APIClient()
    client.user = UserFactory()
    client.force_authenticate(client.user)
    return client


def upload(client: APIClient, content: str = TABLE, name: str = "data.csv", **fields: Any) -> Any:
    file = BytesIO(content.encode())
    file.name = name
    return client.post(
        "/api/v1/datasets/", {"name": "Mine", "task_type": "textclassification", "file": file, **fields}
    )


def test_upload_validates_and_keeps_the_data_set(client: APIClient, bucket: Path) -> None:
    response = upload(client)
    assert response.status_code == 201, response.json()
    body = response.json()
    assert body["classes"] == ["x", "y"]
    assert body["report"]["examples"] == 24
    assert (bucket / Dataset.objects.get().key).read_text() == TABLE


def test_file_says_which_task_it_is_for(client: APIClient, bucket: Path) -> None:
    file = BytesIO()
    file.name = "archive.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("all.csv", TABLE)
    file.seek(0)
    body = client.post("/api/v1/datasets/", {"name": "Mine", "file": file}).json()
    assert (body["task_type"], body["examples"]) == ("textclassification", 24)


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("input,label\na,b,c\n", "data.csv", "row 2, has 3 fields"),
        ("words,label\na,b\n", "data.csv", "no column 'input'"),
        (TABLE, "data.exe", "not a .csv"),
        ("input,label\na,x\nb,x\n", "data.csv", "two classes"),
    ],
)
def test_upload_that_cannot_be_used_leaves_nothing(
    client: APIClient, bucket: Path, content: str, name: str, message: str
) -> None:
    response = upload(client, content, name)
    assert response.status_code == 400
    assert message in response.json()["detail"]
    assert not Dataset.objects.exists()
    assert not list(bucket.glob("training/datasets/**/*.csv"))


def test_upload_is_bounded_by_the_bytes_that_arrive(client: APIClient, settings: Any) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "MAX_DATASET_BYTES": 100}
    response = upload(client)
    assert response.status_code == 400
    assert "100 bytes" in response.json()["detail"]


def test_columns_can_be_named(client: APIClient) -> None:
    response = upload(
        client, TABLE.replace("input,label", "text,intent"), input_column="text", label_column="intent"
    )
    assert response.status_code == 201
    assert response.json()["columns"] == {"input": "text", "label": "intent"}


def submit(client: APIClient, dataset: Dataset, **fields: Any) -> Any:
    return client.post("/api/v1/jobs/", {"dataset": dataset.pk, "name": "My model", **fields}, format="json")


def test_submit_queues_a_job_with_a_token_that_cannot_be_guessed(client: APIClient) -> None:
    response = submit(client, DatasetFactory(owner=client.user), learning_rate=0.01, step_lr={"step_size": 2})
    assert response.status_code == 201, response.json()
    job = TrainingJob.objects.get()
    assert (job.state, job.owner, job.learning_rate) == ("queued", client.user, 0.01)
    assert job.step_lr == {"step_size": 2, "gamma": 0.1}
    prefix, _, random = job.token.rpartition("-")
    assert prefix == "imageClassification-my_model"
    assert len(random) == 32


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"architecture": "resnet9000"}, "Known: efficientnet lite0"),
        ({"architecture": "minilm"}, "does not classify"),
        ({"data_split": "70/30"}, "70 : 30"),
        ({"learning_rate": 3}, "learning_rate"),
        ({"batch_size": 0}, "batch_size"),
        ({"epochs": 100000}, "epochs"),
        ({"strategy": "magic"}, "strategy"),
        ({"preset": "slow"}, "preset"),
        ({"preset": "fast", "strategy": "finetune"}, "is the strategy frozen"),
        ({"advanced": {"one_cycle": 1}}, "one_cycle"),
        ({"advanced": {"unheard": 1}}, "known are"),
        ({"advanced": [1]}, "advanced"),
        ({"step_lr": {"step_size": 0}}, "step_size"),
        ({"reduce_lr_on_plateau": {"factor": "NaN"}}, "factor"),
        ({"data_split": "70 : 40"}, "70 : 30"),
        ({"architecture": "timm/resnet50"}, "allowed by an administrator"),
        ({"name": "invoice\u202efdp.exe"}, "cannot be seen"),
        ({"learning_rate": "NaN"}, "learning_rate"),
    ],
)
def test_submit_out_of_range_is_a_400_that_names_the_field(
    client: APIClient, fields: dict[str, Any], message: str
) -> None:
    response = submit(client, DatasetFactory(owner=client.user), **fields)
    assert response.status_code == 400
    assert message in response.content.decode()
    assert not TrainingJob.objects.exists()


@pytest.mark.parametrize(
    ("preset", "strategy"), [("fast", "frozen"), ("accurate", "finetune"), ("scratch", "scratch")]
)
def test_preset_is_another_word_for_a_strategy(client: APIClient, preset: str, strategy: str) -> None:
    response = submit(client, DatasetFactory(owner=client.user), preset=preset)
    assert response.status_code == 201, response.json()
    assert response.json()["strategy"] == strategy
    assert "preset" not in response.json()
    assert TrainingJob.objects.get().origin == "rest"


def test_further_settings_travel_to_the_job(client: APIClient) -> None:
    advanced = {"trainable": "last", "augmentation": "light", "early_stopping": 3}
    response = submit(
        client,
        DatasetFactory(owner=client.user),
        strategy="finetune",
        optimizer="adamw",
        advanced=advanced,
        reduce_lr_on_plateau={"factor": 0.9},
    )
    assert response.status_code == 201, response.json()
    job = TrainingJob.objects.get()
    assert (job.optimizer, job.advanced) == ("adamw", advanced)
    assert job.reduce_lr_on_plateau == {"factor": 0.9, "patience": 5, "min_lr": 1e-5}


def test_one_job_tells_its_place_and_the_list_does_not(client: APIClient) -> None:
    TrainingJobFactory()
    metrics = {"epoch": 2, "curve": [{"epoch": 1}]}
    job = TrainingJobFactory(
        owner=client.user, log_tail="a line", progress={"phase": "train", "metrics": metrics}
    )
    body = client.get(f"/api/v1/jobs/{job.pk}/").json()
    assert (body["position"], body["expected_start"], body["log_tail"]) == (2, None, "a line")
    assert body["progress"]["metrics"] == metrics
    listed = client.get("/api/v1/jobs/").json()["results"][0]
    assert "position" not in listed
    assert listed["progress"] == {"phase": "train", "metrics": {"epoch": 2}}


def test_retry_makes_a_new_job_of_a_failed_one(client: APIClient) -> None:
    job = TrainingJobFactory(
        owner=client.user, state="failed", finished_at=timezone.now(), dataset__owner=client.user, seed=5
    )
    response = client.post(f"/api/v1/jobs/{job.pk}/retry/")
    assert response.status_code == 201, response.json()
    assert response.json()["id"] != job.pk
    assert (response.json()["state"], response.json()["seed"]) == ("queued", 5)
    again = client.post(f"/api/v1/jobs/{response.json()['id']}/retry/")
    assert again.status_code == 400
    theirs = TrainingJobFactory(state="failed", finished_at=timezone.now())
    assert client.post(f"/api/v1/jobs/{theirs.pk}/retry/").status_code == 404


def test_one_person_cannot_fill_the_queue(client: APIClient, settings: Any) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "MAX_UNFINISHED_JOBS_PER_USER": 1}
    dataset = DatasetFactory(owner=client.user)
    assert submit(client, dataset).status_code == 201
    refused = submit(client, dataset)
    assert refused.status_code == 409
    assert "cancel one" in refused.json()["detail"]


def test_foreign_data_set_cannot_be_used(client: APIClient) -> None:
    response = submit(client, DatasetFactory())
    assert response.status_code == 400
    assert not TrainingJob.objects.exists()


def test_jobs_are_seen_by_their_owner_alone(client: APIClient) -> None:
    mine, theirs = TrainingJobFactory(owner=client.user), TrainingJobFactory()
    assert [job["id"] for job in client.get("/api/v1/jobs/").json()["results"]] == [mine.pk]
    assert client.get(f"/api/v1/jobs/{theirs.pk}/").status_code == 404
    assert client.post(f"/api/v1/jobs/{theirs.pk}/cancel/").status_code == 404
    assert APIClient().get("/api/v1/jobs/").status_code == 401


def test_cancel_ends_a_queued_job_once(client: APIClient) -> None:
    job = TrainingJobFactory(owner=client.user)
    assert client.post(f"/api/v1/jobs/{job.pk}/cancel/").json()["state"] == "cancelled"
    again = client.post(f"/api/v1/jobs/{job.pk}/cancel/")
    assert again.status_code == 400
    assert "ended already" in again.json()["detail"]


def test_maintenance_refuses_submissions(client: APIClient) -> None:
    dataset = DatasetFactory(owner=client.user)
    PlatformStatus(dev_mode=True).save()
    assert submit(client, dataset).status_code == 503
    assert upload(client).status_code == 503


def test_busy_platform_queues_or_refuses_as_it_is_set(client: APIClient) -> None:
    dataset = DatasetFactory(owner=client.user)
    assert submit(client, dataset).status_code == 201
    assert submit(client, dataset).status_code == 201
    PlatformStatus(queue_while_active=False).save()
    assert submit(client, dataset).status_code == 409


# Large data, which a worker validates -------------------------------------------------------------


def test_small_data_set_is_ready_and_says_where_it_is(client: APIClient) -> None:
    response = upload(client)
    assert (response.json()["state"], response.json()["progress"]) == ("ready", None)
    assert client.get(response["Location"]).json() == response.json()


def test_large_data_set_is_accepted_and_can_be_asked_for(client: APIClient, settings: Any) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "VALIDATE_IN_WEB_BYTES": 100}
    response = upload(client)
    assert response.status_code == 202
    body = response.json()
    assert (body["state"], body["progress"]) == ("validating", {"done": 0, "total": 0})
    assert (body["classes"], body["examples"], body["report"]) == ([], 0, {})
    DatasetValidation.objects.update(done=7, total=24)
    assert client.get(response["Location"]).json()["progress"] == {"done": 7, "total": 24}
    refused = submit(client, Dataset.objects.get())
    assert refused.status_code == 400
    assert refused.json()["detail"] == "Mine is still being checked. Start the training when it is ready."


def test_unusable_data_set_says_why(client: APIClient) -> None:
    dataset = DatasetFactory(owner=client.user, state="unusable", reason="Row 7 is not UTF-8 text.")
    body = client.get(f"/api/v1/datasets/{dataset.pk}/").json()
    assert (body["state"], body["reason"], body["progress"]) == (
        "unusable",
        "Row 7 is not UTF-8 text.",
        None,
    )
    refused = submit(client, dataset)
    assert refused.status_code == 400
    assert refused.json()["detail"] == "Flowers cannot be trained on. Row 7 is not UTF-8 text."


def test_data_sets_can_be_asked_for_by_state(client: APIClient, django_assert_max_num_queries: Any) -> None:
    DatasetFactory(owner=client.user)
    waiting = DatasetValidationFactory.create_batch(5, dataset__owner=client.user)
    with django_assert_max_num_queries(3):
        found = client.get("/api/v1/datasets/?state=validating").json()["results"]
    assert {row["id"] for row in found} == {one.dataset_id for one in waiting}


def test_data_set_can_be_deleted_unless_jobs_were_made_of_it(client: APIClient) -> None:
    waits = DatasetValidationFactory(dataset__owner=client.user).dataset
    used, others = TrainingJobFactory(owner=client.user, dataset__owner=client.user).dataset, DatasetFactory()
    assert client.delete(f"/api/v1/datasets/{waits.pk}/").status_code == 204
    assert client.delete(f"/api/v1/datasets/{used.pk}/").status_code == 400
    assert client.delete(f"/api/v1/datasets/{others.pk}/").status_code == 404
    assert set(Dataset.objects.values_list("pk", flat=True)) == {used.pk, others.pk}
