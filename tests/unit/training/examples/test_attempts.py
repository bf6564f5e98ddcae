"""What a worker does with an upload that is to be added to a project; the reader is a real process."""

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile

from core.exceptions import InvalidRequest
from models_registry.models import Project
from models_registry.projects.services import delete_project
from training.datasets import deletion, services
from training.datasets.models import Dataset, DatasetValidation
from training.examples import additions, appending, edits
from training.examples import attempts as example_attempts
from training.examples.additions import accept_uploads
from training.examples.attempts import UploadAttempt
from training.examples.models import Addition, Example
from training.examples.photos import photo_of
from training.examples.revisions import next_revision
from work import attempt as work_attempt
from work import transitions
from work.models import State

from ..conftest import MakeProject
from .test_additions import photos

pytestmark = pytest.mark.django_db(transaction=True)
TABLE = b"text,label\nBonjour,french\nHallo,german\nBonjour,french\n,german\n"


@pytest.fixture(autouse=True)
def everything_is_large(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.HOME = tmp_path
    settings.TRAINYARD = {**settings.TRAINYARD, "VALIDATE_IN_WEB_BYTES": 0, "VALIDATE_IN_WEB_FILES": 0}
    for place in (services, work_attempt):
        monkeypatch.setattr(place, "announce", lambda _: True)


def accepted(project: Project, **given: object) -> Addition:
    values = {"files": [], **given}
    found = accept_uploads(project=project, author=project.owner, **values)  # type: ignore[arg-type]
    assert isinstance(found, Addition)
    return found


def claimed() -> UploadAttempt:
    validation = UploadAttempt.claim_next(worker="w", queue="batches")
    assert validation is not None
    return UploadAttempt(validation)


def tar_of(files: list[ContentFile]) -> ContentFile:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for number, file in enumerate(files):
            info = tarfile.TarInfo(f"tulip/{number}.png")
            info.size = file.size
            archive.addfile(info, file)
    return ContentFile(buffer.getvalue(), "tulips.tar.gz")


def test_a_worker_appends_what_is_new_in_a_large_table(make_project: MakeProject, bucket: Path) -> None:
    project = make_project()
    addition = accepted(project, files=[ContentFile(TABLE, "more.csv")])
    assert not Example.objects.filter(project=project, label="french").exists()
    claimed().carry_out()
    addition.refresh_from_db()
    assert (addition.added, addition.known, addition.unreadable) == (2, 1, 1)
    validation = DatasetValidation.objects.get()
    assert (validation.state, validation.done, validation.total) == (State.SUCCEEDED, 4, 4)
    shard = validation.dataset
    assert (shard.state, shard.classes, shard.examples) == (Dataset.State.READY, ["french", "german"], 3)
    with pytest.raises(InvalidRequest, match=f"The project {project} learns from"):
        deletion.delete_dataset(dataset=shard)
    assert (bucket / shard.key).exists()
    assert next_revision(project=project, author=None).summary == "2 examples added"
    edits.undo(project=project, author=project.owner)
    assert not Example.objects.filter(project=project, label="french", excluded=False).exists()


def test_photos_that_come_as_a_tar_are_kept_as_a_zip_and_found_again(
    make_project: MakeProject, bucket: Path
) -> None:
    project, files = make_project(task_type="imageclassification"), photos(5)
    accepted(project, files=[tar_of(files)])
    claimed().carry_out()
    [shard] = Dataset.objects.filter(state=Dataset.State.READY).exclude(key__endswith="dataset.zip")
    assert [path.name for path in bucket.rglob("*.zip")] == [Path(shard.key).name]
    assert not list(bucket.rglob("*.gz"))
    for file in files:
        file.seek(0)
    found = {photo_of(row) for row in Example.objects.filter(project=project, label="tulip")}
    assert found == {file.read() for file in files}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"text,label\n,french\n", "no labelled example that can be read. The first: "),
        (b"text,label\nA,%s\n" % (b"b" * 201), "at most 200 characters"),
    ],
)
def test_an_upload_that_adds_nothing_says_why_and_its_file_goes(
    make_project: MakeProject, bucket: Path, content: bytes, reason: str
) -> None:
    project = make_project()
    accepted(project, files=[ContentFile(content, "more.csv")])
    claimed().carry_out()
    upload = Dataset.objects.get(validation__state=State.FAILED)
    assert reason in upload.reason
    assert (upload.state, list(bucket.rglob("*.csv"))) == (Dataset.State.UNUSABLE, [])
    assert edits.newest_edit(project) == 0


def test_a_worker_that_lost_its_lease_appends_nothing_and_nothing_is_appended_twice(
    make_project: MakeProject,
) -> None:
    project = make_project()
    for _ in range(2):
        accepted(project, files=[ContentFile(TABLE, "more.csv")])
    asleep = claimed()
    transitions.hand_back(asleep.work, reason="it was asleep")
    for _ in range(2):
        claimed().carry_out()
    asleep.carry_out()
    assert edits.newest_edit(project) == 1
    assert Example.objects.filter(project=project, label="french").count() == 1
    second = Dataset.objects.get(validation__state=State.FAILED)
    assert second.reason == "The project has all its 3 examples already."


def test_what_somebody_else_adds_in_this_moment_is_no_edit_of_nothing(
    make_project: MakeProject, bucket: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    project = make_project()

    def found_then_added(*given: Any) -> Any:
        found = appending.new_examples(*given)
        monkeypatch.setattr(additions, "new_examples", appending.new_examples)
        monkeypatch.setattr(example_attempts, "new_examples", appending.new_examples)
        additions.add_uploads(project=project, author=None, files=[ContentFile(TABLE, "same.csv")])
        return found

    accepted(project, files=[ContentFile(TABLE, "more.csv")])
    monkeypatch.setattr(example_attempts, "new_examples", found_then_added)
    claimed().carry_out()
    assert Dataset.objects.get(validation__state=State.FAILED).reason.startswith("The project has all its 2")
    settings.TRAINYARD = {**settings.TRAINYARD, "VALIDATE_IN_WEB_BYTES": 2**20, "VALIDATE_IN_WEB_FILES": 9}
    edits.undo(project=project, author=None)
    Example.objects.filter(project=project, label__in=("french", "german")).delete()
    monkeypatch.setattr(additions, "new_examples", found_then_added)
    files = [ContentFile(TABLE, "more.csv")]
    again = accept_uploads(project=project, author=project.owner, files=files)
    assert (again.added, again.known, again.edit) == (0, 3, None)  # type: ignore[union-attr]
    assert [edit.kind for edit in project.edits.order_by("number")] == ["add", "undo", "add"]
    assert len(list(bucket.rglob("*.csv"))) == 2, "the upload of which nothing was new"


def test_nothing_is_appended_to_a_project_that_was_deleted_meanwhile(make_project: MakeProject) -> None:
    project = make_project()
    accepted(project, files=[ContentFile(TABLE, "more.csv")])
    delete_project(project=project)
    claimed().carry_out()
    assert "deleted meanwhile" in Dataset.objects.get(validation__state=State.FAILED).reason
    assert not Example.objects.filter(project=project, label="french").exists()
