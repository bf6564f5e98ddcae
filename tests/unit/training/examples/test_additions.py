import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from django.core.files.base import ContentFile

from core.exceptions import InvalidRequest
from models_registry.inputs import Limits
from models_registry.models import Project
from training.datasets.models import Dataset
from training.engine.data.manifest import read_manifest
from training.engine.data.revision import read_texts
from training.engine.request import Shard
from training.examples import edits
from training.examples.additions import Added, add_uploads
from training.examples.models import Example
from training.examples.photos import photo_of
from training.examples.revisions import next_revision

from ..conftest import MakeProject

pytestmark = pytest.mark.django_db
SAMPLES = Path(__file__).parents[4] / "samples"


def photos(count: int) -> list[ContentFile]:
    with zipfile.ZipFile(SAMPLES / "digits.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".png")][:count]
        return [ContentFile(archive.read(name), name.replace("/", "-")) for name in names]


def added(project: Project, **given: object) -> Added:
    values = {"files": [], **given}
    return add_uploads(project=project, author=project.owner, **values)  # type: ignore[arg-type]


def test_photos_of_a_class_are_added_once(make_project: MakeProject, bucket: Path) -> None:
    project = make_project(task_type="imageclassification")
    files = photos(5)
    found = added(project, files=files, label="tulip")
    assert (found.added, found.known) == (5, 0)
    rows = list(Example.objects.filter(project=project, label="tulip"))
    assert {row.split for row in rows} <= {"train", "validation"}
    for file in files:
        file.seek(0)
    assert {photo_of(row) for row in rows} == {file.read() for file in files}
    for file in files:
        file.seek(0)
    again = added(project, files=[*files, *photos(6)[5:]], label="tulip")
    assert (again.added, again.known) == (1, 5)


def test_what_was_added_is_in_the_next_revision(
    make_project: MakeProject, bucket: Path, tmp_path: Path
) -> None:
    project = make_project()
    assert added(project, texts=["Wo ist meine Karte?", " ", "Wer?"], label="german").added == 2
    table = ContentFile(b"text,label\nBonjour,french\nWer?,german\nSalut,french\n", "more.csv")
    found = added(project, files=[table])
    assert (found.added, found.known) == (2, 1)
    revision = next_revision(project=project, author=None)
    manifest = read_manifest(bucket / revision.key)
    assert revision.summary == "2 examples added; 2 examples added"
    added_rows = [row for row, label in enumerate(manifest.labels) if label in ("german", "french")]
    shards = [
        Shard(one.sha256, str(bucket / one.key), one.columns)
        for one in Dataset.objects.filter(sha256__in={manifest.shards[row] for row in added_rows})
    ]
    kept = manifest.excluded.copy()
    kept[:] = True
    kept[added_rows] = False
    texts = read_texts(replace(manifest, excluded=kept), shards, Limits())
    assert [texts[row] for row in added_rows] == ["Wo ist meine Karte?", "Wer?", "Bonjour", "Salut"]


def test_addition_is_taken_back(make_project: MakeProject, bucket: Path) -> None:
    project = make_project()
    added(project, texts=["Wer?"], label="german")
    edits.undo(project=project, author=project.owner)
    assert Example.objects.get(project=project, label="german").excluded
    edits.undo(project=project, author=None, number=2)
    assert not Example.objects.get(project=project, label="german").excluded


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "texts and their class, or one table"),
        ({"texts": ["x"]}, "texts and their class, or one table"),
        ({"files": [ContentFile(b"no table", "x.pdf")]}, "is not a"),
        ({"files": [ContentFile(b"a,b\n1,2\n", "x.csv")]}, "column"),
    ],
)
def test_what_cannot_be_added_is_said(
    make_project: MakeProject, bucket: Path, given: dict[str, object], said: str
) -> None:
    project = make_project()
    with pytest.raises(InvalidRequest, match=said):
        added(project, **given)
    assert Dataset.objects.count() == 1
