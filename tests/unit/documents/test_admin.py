"""The page of a document tells how it stands to the bucket, and its buttons mend it."""

import json
from pathlib import Path

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from bucket.folder import FolderBucket
from core.exceptions import BucketError
from documents import keys
from documents.bucket_check import check_bucket
from documents.models import BucketCheck
from documents.publish import publish_waiting
from models_registry.models import RegisteredModel
from tests.factories import RegisteredModelFactory, UserFactory

YES = {"confirmed": "yes"}

pytestmark = pytest.mark.django_db(transaction=True)


def address(name: str, key: str = keys.INFERENCE) -> str:
    return reverse(f"admin:{name}", args=[quote(key)])


@pytest.fixture
def root(client: Client) -> Client:
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    return client


def page(client: Client, key: str = keys.INFERENCE) -> str:
    return client.get(address("documents_document_change", key)).content.decode()


@pytest.mark.parametrize("key", keys.ALL)
def test_document_in_step_says_so(root: Client, key: str) -> None:
    publish_waiting()
    check_bucket()
    shown = page(root, key)
    assert "the database are in sync" in shown
    assert "Edits of others are safe" in shown


def test_document_that_differs_lists_what_and_repair_mends_it(root: Client, bucket: Path) -> None:
    model = RegisteredModelFactory()
    (bucket / keys.INFERENCE).write_text(json.dumps({"theirs": {"task_type": "<b>audio</b>"}}))
    shown = page(root)
    assert f"{model.token} is missing" in shown
    assert "theirs was changed by others" in shown
    answer = root.post(address("documents_document_repair"), YES, follow=True).content.decode()
    assert "the database are in sync" in answer
    assert "External entries that are no models here" in answer
    assert set(json.loads((bucket / keys.INFERENCE).read_text())) == {model.token, "theirs"}


def test_publishing_takes_in_what_others_wrote(root: Client, bucket: Path) -> None:
    model = RegisteredModelFactory()
    (bucket / keys.INFERENCE).write_text("{}")
    root.post(address("documents_document_publish_now"), YES)
    assert not RegisteredModel.objects.live().filter(pk=model.pk).exists()


def test_bucket_that_is_away_is_told(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_waiting()

    def refuse(*_: object) -> None:
        raise BucketError("The S3 server sleeps.")

    monkeypatch.setattr(FolderBucket, "get", refuse)
    assert "The S3 server sleeps." in page(root)
    assert (
        "The S3 server sleeps."
        in root.post(address("documents_document_publish_now"), YES, follow=True).content.decode()
    )


def test_bucket_that_enforces_nothing_is_told(root: Client) -> None:
    publish_waiting()
    BucketCheck.objects.create(pk=1, store="s3", enforced=False, message="Edits can be lost.")
    assert "Edits can be lost." in page(root)


@pytest.mark.parametrize("button", ["documents_document_publish_now", "documents_document_repair"])
def test_buttons_are_for_those_who_may_change_documents(client: Client, button: str) -> None:
    publish_waiting()
    viewer = UserFactory(is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_document"))
    client.force_login(viewer)
    assert "Rewrite from" not in page(client)
    assert client.get(address(button)).status_code == 403
    assert client.post(address(button), YES).status_code == 403
    viewer.user_permissions.add(Permission.objects.get(codename="change_document"))
    assert "cannot be undone" in client.get(address(button)).content.decode() or "publish" in button
    assert client.post(address(button), YES).status_code == 302
    assert LogEntry.objects.get().object_id == keys.INFERENCE


def test_viewer_is_told_of_a_difference_and_of_no_token(client: Client, bucket: Path) -> None:
    model = RegisteredModelFactory()
    (bucket / keys.INFERENCE).write_text("{}")
    viewer = UserFactory(is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_document"))
    client.force_login(viewer)
    shown = page(client)
    assert "operators see where" in shown
    assert model.token not in shown
