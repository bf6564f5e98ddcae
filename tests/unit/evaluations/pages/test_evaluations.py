"""Pages of evaluations."""

from collections.abc import Callable

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from evaluations.models import Evaluation, LabelledFile
from models_registry.models import Project

from .test_compare import client_of

pytestmark = pytest.mark.django_db(transaction=True)
WorkOff = Callable[[], None]


def test_a_file_is_brought_measured_shown_and_deleted(project: Project, work_off: WorkOff) -> None:
    client, address = client_of(project), f"/projects/{project.public_id}/versions/evaluations/"
    assert "No version has been measured yet" in client.get(address).content.decode()
    file = SimpleUploadedFile("mine.csv", b"text,label\nglad you,joy\nsad you,sorrow\nglad me,envy\n")
    page = client.post(address, {"version": "1", "file": file}, follow=True).content.decode()
    assert 'hx-trigger="every 1s"' in page
    work_off()
    [found] = Evaluation.objects.all()
    shown = client.get(f"{address}{found.identifier}/").content.decode()
    assert "66.7 %" in shown
    assert "Each of these examples counts as a mistake." in shown
    assert "taken for joy" in shown
    assert client.get(f"{address}{found.identifier}/answers/").getvalue().startswith(b"PAR1")
    again = client.post(address, {"version": "2", "file_id": str(LabelledFile.objects.get().pk)}, follow=True)
    assert "Version 2" in again.content.decode()
    newest = Evaluation.objects.first()
    assert newest is not None
    client.post(f"{address}{newest.identifier}/cancel/")
    for one in Evaluation.objects.all():
        client.post(f"{address}{one.identifier}/delete/")
    assert not Evaluation.objects.exists()
    assert not LabelledFile.objects.exists()


@pytest.mark.parametrize(
    ("content", "told"), [(b"text\nglad\n", "label"), (b"", "empty"), (b"text,label\nx,Joy\n", "knows none")]
)
def test_an_unsuitable_file_is_told(project: Project, content: bytes, told: str) -> None:
    address = f"/projects/{project.public_id}/versions/evaluations/"
    given = {"version": "1", "file": SimpleUploadedFile("mine.csv", content)}
    assert told in client_of(project).post(address, given, follow=True).content.decode()
    assert not Evaluation.objects.exists()
    assert not LabelledFile.objects.exists(), "what measures nothing is not kept"


def test_strangers_are_led_to_sign_in(project: Project) -> None:
    address = f"/projects/{project.public_id}/versions/evaluations/"
    assert Client().get(address)["Location"].startswith("/accounts/login/")
