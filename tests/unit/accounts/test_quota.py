"""What an account may keep: counted from the rows, also when uploads come together, and shown on its page."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import User
from accounts.quota import storage_of
from core.exceptions import QuotaExceeded
from core.http.admission import OVERHEAD
from core.http.head_only import HEAD_ONLY
from inference.batches.models import Batch
from inference.batches.services import create_batch
from tests.factories import ArtifactFactory, BatchFactory, DatasetFactory, UserFactory
from tests.tiny_models import live_mood_model
from training.datasets.models import Dataset
from training.datasets.services import create_dataset

pytestmark = pytest.mark.django_db

ROWS = b"".join(f"question {number},{number % 2}\n".encode() for number in range(40))
TABLE = b"input,label\n" + ROWS
SENTENCES = b"text\n" + ROWS.replace(b",", b" ")


@pytest.fixture
def limit(settings: Any) -> Any:
    def set_to(most: int) -> None:
        names = ("MAX_BYTES_PER_USER", "MAX_BYTES_WITHOUT_ACCOUNT")
        settings.TRAINYARD = {**settings.TRAINYARD, **dict.fromkeys(names, most)}

    return set_to


def upload(owner: User | None) -> Dataset:
    file = ContentFile(TABLE, name="questions.csv")
    return create_dataset(owner=owner, name="Questions", task_type="textclassification", file=file)


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_everything_is_counted_for_whose_it_is() -> None:
    user = UserFactory()
    DatasetFactory(owner=user, size=100)
    DatasetFactory(owner=user, size=1000, state=Dataset.State.UNUSABLE)
    DatasetFactory(owner=None, size=7)
    DatasetFactory(size=10_000)
    BatchFactory(owner=user, size=20, state=Batch.State.QUEUED)
    BatchFactory(owner=user, size=5000, result_size=3, state=Batch.State.SUCCEEDED, finished_at=now())
    BatchFactory(owner=user, size=5000, state=Batch.State.FAILED, finished_at=now())
    BatchFactory(owner=None, size=2, state=Batch.State.RUNNING, lease_expires_at="2040-01-01T00:00Z")
    assert storage_of(user.pk).taken == 123
    assert storage_of(None).taken == 9
    assert storage_of(UserFactory().pk).taken == 0


@pytest.mark.parametrize("anonymous", [False, True])
def test_a_data_set_beyond_the_room_is_refused_and_leaves_nothing(
    limit: Any, bucket: Path, anonymous: bool
) -> None:
    owner = None if anonymous else UserFactory()
    limit(2 * len(TABLE) + 10)
    upload(owner)
    upload(owner)
    before = files_in(bucket)
    with pytest.raises(QuotaExceeded, match="without an account" if anonymous else "Delete data sets"):
        upload(owner)
    assert Dataset.objects.count() == 2
    assert files_in(bucket) == before
    Dataset.objects.order_by("pk")[0].delete()
    upload(owner)
    upload(UserFactory())


def test_a_batch_beyond_the_room_is_refused_and_leaves_nothing(limit: Any, bucket: Path) -> None:
    model, owner = live_mood_model(), UserFactory()
    limit(len(SENTENCES))
    create_batch(token=model.token, file=ContentFile(SENTENCES, name="a.csv"), owner=owner)
    before = files_in(bucket)
    with pytest.raises(QuotaExceeded, match="you keep"):
        create_batch(token=model.token, file=ContentFile(SENTENCES, name="b.csv"), owner=owner)
    assert Batch.objects.count() == 1
    assert files_in(bucket) == before
    create_batch(token=model.token, file=ContentFile(SENTENCES, name="b.csv"))
    with pytest.raises(QuotaExceeded, match="without an account"):
        create_batch(token=model.token, file=ContentFile(SENTENCES, name="c.csv"))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("anonymous", [False, True])
def test_uploads_that_come_together_do_not_take_the_same_room(limit: Any, anonymous: bool) -> None:
    owner, threads, room = (None if anonymous else UserFactory()), 8, 3
    limit(room * len(TABLE))
    together = threading.Barrier(threads)

    def send(_: int) -> bool:
        try:
            together.wait()
            upload(owner)
        except QuotaExceeded:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(threads) as pool:
        kept = list(pool.map(send, range(threads)))
    assert sum(kept) == Dataset.objects.count() == room


def test_rest_says_what_there_is(limit: Any) -> None:
    limit(100)
    client = Client()
    client.force_login(UserFactory())
    form = {"name": "Q", "task_type": "textclassification", "file": ContentFile(TABLE, name="a.csv")}
    response = client.post(reverse("api-dataset-list"), form)
    assert response.status_code == 413
    assert "100 bytes" in response.json()["detail"].replace("\xa0", " ")


def test_the_page_says_what_there_is(limit: Any) -> None:
    limit(100)
    client = Client()
    client.force_login(UserFactory())
    response = client.post(reverse("training:upload"), {"file": ContentFile(TABLE, name="a.csv")})
    assert response.status_code == 413
    assert "100 bytes" in response.content.decode().replace("\xa0", " ")


@pytest.mark.parametrize(
    "name", ["training:upload", "api-dataset-list", "api-batch-list", "inference:batches"]
)
def test_what_there_is_no_room_for_is_refused_from_its_head(limit: Any, name: str) -> None:
    limit(5_000_000)
    client = Client()
    client.force_login(UserFactory())
    token = ArtifactFactory().model.token
    address = reverse(name, args=[token] if "batch" in name else [])

    def status(length: int) -> int:
        environ = {
            "REQUEST_METHOD": "POST",
            "CONTENT_TYPE": "multipart/form-data; boundary=x",
            HEAD_ONLY: True,
        }
        client.cookies["csrftoken"] = "a" * 32
        sent = client.request(
            PATH_INFO=address, CONTENT_LENGTH=str(length), HTTP_X_CSRFTOKEN="a" * 32, **environ
        )
        return int(sent.status_code)

    assert status(5_000_000) == 100
    assert status(5_000_001 + OVERHEAD) == 413


def test_page_shows_what_is_kept_and_what_can_go(limit: Any) -> None:
    limit(4 * 2**20)
    user = UserFactory()
    DatasetFactory(owner=user, size=2**20)
    assert Client().get(reverse("accounts:storage"))["Location"].startswith(reverse("account_login"))
    client = Client()
    client.force_login(user)
    page = client.get(reverse("accounts:storage")).content.decode().replace("\xa0", " ")
    assert "1.0 MB</strong> of the 4.0 MB" in page
    assert 'value="25"' in page
    assert reverse("training:datasets") in page
    assert reverse("inference:batch-list") in page
