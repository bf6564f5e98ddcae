"""What a worker makes of an evaluation."""

import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from PIL import Image

from bucket.factory import get_bucket
from core.exceptions import InvalidRequest
from evaluations import services
from evaluations.attempts import EvaluationAttempt
from evaluations.comparison import answers_of
from evaluations.models import Evaluation, LabelledFile
from evaluations.reconcile import delete_stale_evaluations
from models_registry.models import Project, RegisteredModel
from tests.factories import DatasetFactory, UserFactory
from tests.tiny_models import live_colour_model, picture
from training.examples import edits
from training.examples.models import Example, Findings
from work.models import State

from .conftest import TEXTS, learnt, project_of

pytestmark = pytest.mark.django_db(transaction=True)
WorkOff = Callable[[], None]


def evaluated(
    project: Project, work_off: WorkOff, file: LabelledFile | None = None, version: int = 1
) -> Evaluation:
    found = services.evaluate_version(project=project, version=version, author=project.owner, file=file)
    work_off()
    found.refresh_from_db()
    return found


def brought(project: Project, content: str, name: str = "mine.csv") -> LabelledFile:
    return services.bring_file(
        project=project, author=project.owner, file=ContentFile(content.encode(), name)
    )


def test_a_version_is_run_on_the_test_part(project: Project, work_off: WorkOff, bucket: Path) -> None:
    found = evaluated(project, work_off)
    assert (found.state, found.message, found.basis) == (State.SUCCEEDED, "", "test")
    figures = found.figures
    assert (figures["examples"], figures["right"], figures["learnt"]) == (11, 10, 0)
    assert 0.6 < figures["accuracy_low"] < 10 / 11 < figures["accuracy_high"] < 1
    answers = answers_of(found)
    assert [(one.label, one.predicted) for one in answers if not one.is_right] == [("sorrow", "joy")]
    assert all(one.own is not None and 0 < one.own < 1 for one in answers)
    assert (bucket / found.result_key).stat().st_size == found.result_size


def test_what_a_version_has_learnt_is_left_out(project: Project, work_off: WorkOff) -> None:
    """Also when somebody moves it to the test part afterwards, or brings it in a file."""
    moved = Example.objects.filter(project=project, text__in=["glad l", "sad m"])
    edits.move_to_test_set(project=project, author=None, chosen=moved)
    found = evaluated(project, work_off)
    assert (found.figures["examples"], found.figures["learnt"], found.edit) == (11, 2, 1)
    RegisteredModel.objects.filter(project=project).update(metrics={"refit_on_all": False})
    assert evaluated(project, work_off).figures["learnt"] == 1, "validation examples only chose"
    file = brought(project, "text,label\nglad l,joy\nglad z,joy\n")
    figures = evaluated(project, work_off, file).figures
    assert (figures["examples"], figures["learnt"]) == (1, 1)


def test_without_a_test_part_each_example_was_left_out_once(work_off: WorkOff) -> None:
    project = project_of([("a", "joy", "train"), ("b wrong", "joy", "train"), ("c", "sorrow", "validation")])
    assert Findings.objects.filter(project=project).count() == 2
    first, second = (evaluated(project, work_off, version=version) for version in (1, 2))
    assert (first.basis, first.figures["right"], second.figures["right"]) == ("out-of-fold", 3, 2)
    [wrong] = [one for one in answers_of(second) if not one.is_right]
    assert (wrong.text, wrong.predicted, round(wrong.own or 0, 2)) == ("b wrong", "sorrow", 0.2)
    edits.relabel(project=project, author=None, chosen=Example.objects.filter(text="b wrong"), label="sorrow")
    assert evaluated(project, work_off, version=2).figures["right"] == 3, "measured by the labels of now"


def test_a_version_answers_under_the_names_of_now(project: Project, work_off: WorkOff) -> None:
    """A class that was renamed since is no mistake of the versions before; taken back, it has its old name."""
    author = project.owner
    edits.rename_class(project=project, author=author, old="joy", new="delight")
    edits.rename_class(project=project, author=author, old="delight", new="bliss")
    assert evaluated(project, work_off).figures["right"] == 10
    file = brought(project, "text,label\nglad you,bliss\nsad you,sorrow\n")
    figures = evaluated(project, work_off, file).figures
    assert (figures["right"], figures["unknown"]) == (2, {})
    edits.undo(project=project, author=author)
    edits.undo(project=project, author=author)
    assert evaluated(project, work_off).figures["right"] == 10
    edits.rename_class(project=project, author=author, old="sorrow", new="joy")
    found = evaluated(project, work_off)
    assert found.figures["right"] == 11, "of merged classes each is right for the other"
    assert all(one.own is not None and one.own > 0.99 for one in answers_of(found))


def test_what_was_left_out_once_is_answered_under_the_names_of_now(work_off: WorkOff) -> None:
    project = project_of([("a", "joy", "train"), ("b", "joy", "train"), ("c", "sorrow", "validation")])
    edits.rename_class(project=project, author=None, old="joy", new="delight")
    assert evaluated(project, work_off).figures["right"] == 3


def test_a_labelled_file_tells_what_was_not_measured(project: Project, work_off: WorkOff) -> None:
    file = brought(project, "text,label\nglad you,joy\nsad you,sorrow\nglad me,envy\nsad me,\n")
    assert (file.examples, file.classes) == (3, ["envy", "joy", "sorrow"])
    figures = evaluated(project, work_off, file).figures
    assert (figures["examples"], figures["right"]) == (3, 2)
    assert (figures["unknown"], figures["unreadable"]) == ({"envy": 1}, 1)
    assert brought(project, "text,label\nglad you,joy\nsad you,sorrow\nglad me,envy\nsad me,\n") == file


@pytest.mark.parametrize(
    ("content", "name", "told"),
    [
        ("text\nglad\n", "a.csv", "label"),
        ("", "a.csv", "empty"),
        ("text,label\n", "a.csv", "no labelled example"),
        ("text,label\n,joy\n", "a.csv", "no labelled example"),
        ("text,label\nglad,Joy\n", "a.csv", "knows none of the classes"),
        ("x", "a.exe", "not a"),
    ],
)
def test_a_file_that_measures_nothing_is_refused(
    project: Project, content: str, name: str, told: str
) -> None:
    with pytest.raises(InvalidRequest, match=told):
        services.evaluate_version(
            project=project, version=1, author=None, file=brought(project, content, name)
        )
    assert not Evaluation.objects.exists()


def test_a_version_of_unknown_origin_is_measured_on_a_file_only(project: Project, work_off: WorkOff) -> None:
    Findings.objects.filter(model__version=2).delete()
    with pytest.raises(InvalidRequest, match="not known what version 2 has learnt"):
        services.evaluate_version(project=project, version=2, author=None)
    file = brought(project, "text,label\nglad you,joy\n")
    assert evaluated(project, work_off, file, version=2).figures["right"] == 1


def colours(*named: tuple[str, str]) -> bytes:
    """A zip of pictures of one colour each: folder and colour."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for number, (folder, colour) in enumerate(named):
            target.writestr(f"{folder}/{number}.png", picture(colour))
    return buffer.getvalue()


def test_photos_are_measured_too(work_off: WorkOff, bucket: Path) -> None:
    """Those of a zip that somebody brings, and those of the test part, which lie in an upload of the project."""
    model = live_colour_model(version=1)
    project, content = model.project, colours(("red", "red"), ("green", "green"), ("blue", "#c01010"))
    file = services.bring_file(
        project=project, author=project.owner, file=ContentFile(content, "colours.zip")
    )
    found = evaluated(project, work_off, file)
    assert (found.message, found.figures["examples"], found.figures["right"]) == ("", 3, 2)
    [wrong] = [one for one in answers_of(found) if not one.is_right]
    assert (wrong.label, wrong.predicted, wrong.place) == ("blue", "red", "blue/2.png")
    shard = DatasetFactory(owner=project.owner, size=len(content), sha256=hashlib.sha256(content).hexdigest())
    get_bucket().save(shard.key, io.BytesIO(content))
    for place, label in (("red/0.png", "red"), ("green/1.png", "blue")):
        with zipfile.ZipFile(io.BytesIO(content)) as source:
            digest = hashlib.sha256(source.read(place)).hexdigest()
        Example.objects.create(
            project=project, shard=shard, place=place, sha256=digest, label=label, split="test"
        )
    learnt(model, shard, [])
    found = evaluated(project, work_off)
    assert (found.basis, found.message, found.figures["right"]) == ("test", "", 1)
    assert {one.example for one in answers_of(found)} == set(Example.objects.values_list("pk", flat=True))


def test_photos_of_a_file_that_was_brought_are_shown_to_who_brought_it(
    work_off: WorkOff, bucket: Path, client: Client
) -> None:
    project = live_colour_model(version=1).project
    content = ContentFile(colours(("red", "red"), ("blue", "#c01010")), "colours.zip")
    found = evaluated(project, work_off, services.bring_file(project=project, author=None, file=content))
    page = reverse("evaluations:evaluation", args=[project.public_id, found.identifier])
    [wrong] = [one for one in answers_of(found) if not one.is_right]
    photo = f"{page}photo/{wrong.sha256}/"
    client.force_login(project.owner)
    assert f'src="{photo}"' in client.get(page).content.decode()
    shown = client.get(photo)
    with Image.open(io.BytesIO(shown.content)) as image:
        red, green, blue = image.convert("RGB").getpixel((0, 0))
    assert red > 180 > 40 > max(green, blue)
    assert client.get(f"{page}photo/{'0' * 64}/").status_code == 404
    client.force_login(UserFactory())
    assert client.get(photo).status_code == 404


def test_an_attempt_that_lost_its_lease_leaves_nothing(claimed: Evaluation, bucket: Path) -> None:
    Evaluation.objects.filter(pk=claimed.pk).update(lease_expires_at=timezone.now())
    EvaluationAttempt(claimed).carry_out()
    claimed.refresh_from_db()
    assert (claimed.state, claimed.figures) == (State.RUNNING, {})
    assert not list(bucket.glob("projects/*/evaluations/*/*.parquet"))


def test_evaluations_go_with_their_version_and_files_with_their_project(
    project: Project, work_off: WorkOff, bucket: Path
) -> None:
    file = brought(project, "text,label\nglad you,joy\n")
    kept, gone = (evaluated(project, work_off, file, version=version) for version in (1, 2))
    RegisteredModel.objects.filter(version=2).update(state="deleted")
    assert delete_stale_evaluations() == 1
    assert list(Evaluation.objects.all()) == [kept]
    assert not (bucket / gone.result_key).exists()
    assert (bucket / file.key).exists()
    RegisteredModel.objects.update(state="deleted")
    assert delete_stale_evaluations() == 1
    assert not LabelledFile.objects.exists()
    assert not list(bucket.glob("projects/*/evaluations/*/*"))


def test_more_than_a_version_is_run_on_are_drawn_by_their_digests(
    project: Project, work_off: WorkOff, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaluations.attempts.MOST", 4)
    first, second = (evaluated(project, work_off, version=version) for version in (1, 2))
    assert (first.figures["examples"], first.figures["beyond"]) == (4, len(TEXTS) - 2 - 4)
    assert [one.sha256 for one in answers_of(first)] == [one.sha256 for one in answers_of(second)]
