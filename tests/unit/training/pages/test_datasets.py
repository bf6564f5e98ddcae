"""The pages of data sets: for strangers, others, owners and staff."""

from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from core.exceptions import InvalidRequest
from tests.factories import DatasetFactory, DatasetValidationFactory, TrainingJobFactory, UserFactory
from training.datasets.models import Dataset
from training.jobs.models import TrainingJob
from training.jobs.services import cancel_job, retry_job

pytestmark = pytest.mark.django_db


def as_(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_strangers_are_asked_to_sign_in() -> None:
    dataset = DatasetFactory()
    for address in ("/datasets/", f"/datasets/{dataset.pk}/"):
        assert Client().get(address)["Location"].startswith(reverse("account_login"))
    assert Client().post(f"/datasets/{dataset.pk}/delete/").status_code == 302
    assert Dataset.objects.exists()


def test_data_sets_are_their_owners() -> None:
    dataset = DatasetFactory(name="Secret garden")
    assert "Secret garden" in as_(dataset.owner).get("/datasets/").content.decode()
    other = as_(UserFactory())
    assert "Secret garden" not in other.get("/datasets/").content.decode()
    assert other.get(f"/datasets/{dataset.pk}/").status_code == 404
    assert other.post(f"/datasets/{dataset.pk}/delete/").status_code == 404
    assert (
        as_(UserFactory(is_staff=True, is_superuser=True)).get(f"/datasets/{dataset.pk}/").status_code == 200
    )


def test_page_shows_what_was_found_and_the_jobs() -> None:
    report = {"classes": {"daisy": 3, "iris": 1}, "thumbnails": {"daisy": ["QUJD"]}}
    dataset = DatasetFactory(report=report)
    job = TrainingJobFactory(dataset=dataset, name="First try")
    page = as_(dataset.owner).get(f"/datasets/{dataset.pk}/").content.decode()
    assert "data:image/jpeg;base64,QUJD" in page
    assert f"/jobs/{job.pk}/" in page
    assert f"/new/?dataset={dataset.pk}" in page


def test_unused_data_set_can_be_deleted(bucket: Path) -> None:
    dataset = DatasetFactory(key="training/datasets/x/dataset.zip")
    file = bucket / dataset.key
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x")
    response = as_(dataset.owner).post(f"/datasets/{dataset.pk}/delete/")
    assert response["Location"] == "/datasets/"
    assert not Dataset.objects.exists()
    assert not file.exists()


@pytest.mark.django_db(transaction=True)
def test_used_data_set_keeps_its_page_and_loses_its_file(bucket: Path) -> None:
    job = TrainingJobFactory()
    file = bucket / job.dataset.key
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x")
    client, address = as_(job.owner), f"/datasets/{job.dataset.pk}/delete/"
    assert address not in client.get(f"/datasets/{job.dataset.pk}/").content.decode()
    assert "has not ended" in client.post(address, follow=True).content.decode()
    assert file.exists()
    cancel_job(job=job)
    assert address in client.get(f"/datasets/{job.dataset.pk}/").content.decode()
    page = client.post(address, follow=True).content.decode()
    assert not file.exists()
    assert "upload it again" in page
    assert address not in page
    with pytest.raises(InvalidRequest, match="upload it again"):
        retry_job(job=TrainingJob.objects.get(), owner=job.owner)


@pytest.mark.parametrize("count", [1, 30])
def test_list_costs_the_same_however_long(
    django_assert_num_queries: DjangoAssertNumQueries, count: int
) -> None:
    user = UserFactory()
    DatasetFactory.create_batch(count, owner=user)
    client = as_(user)
    with django_assert_num_queries(4):  # session, user, count, page
        page = client.get("/datasets/").content.decode()
    assert ("Page 1 of 2" in page) == (count > 25)


def test_page_of_data_that_is_checked_shows_progress_and_can_stop_it() -> None:
    dataset = DatasetValidationFactory().dataset
    client = as_(dataset.owner)
    page = client.get(f"/datasets/{dataset.pk}/").content.decode()
    assert f'hx-get="/datasets/{dataset.pk}/progress/"' in page
    assert ">Train</a>" not in page
    assert "Stop and delete" in page
    assert "Being checked" in client.get("/datasets/").content.decode()
    client.post(f"/datasets/{dataset.pk}/delete/")
    assert not Dataset.objects.exists()


def test_page_of_unusable_data_says_why() -> None:
    dataset = DatasetFactory(state="unusable", reason="Row 7 is <not> UTF-8 text.", classes=[], examples=0)
    client = as_(dataset.owner)
    page = client.get(f"/datasets/{dataset.pk}/").content.decode()
    assert "Row 7 is &lt;not&gt; UTF-8 text." in page
    assert ">Train</a>" not in page
    assert "hx-get" not in page
    rows = client.get("/datasets/").content.decode()
    assert "Unusable" in rows
    assert "?dataset=" not in rows
