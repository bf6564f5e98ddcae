"""From a first training through edits to a second one, in the worker's own process and real trainers."""

from collections.abc import Iterator
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from bucket.factory import get_bucket
from core.queue.app import app
from documents.drift import check_documents
from tests.factories import DatasetFactory, TrainingJobFactory
from training.examples import edits
from training.examples.models import Example, Findings, Revision
from training.examples.similar import similar_to
from training.jobs.models import TrainingJob
from training.jobs.services import train_again
from training.worker import shards
from training.worker.attempt import TrainingAttempt
from work import transitions

from ..engine.small_data import few_sentences

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def home(settings: Any, tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    settings.HOME = tmp_path
    (tmp_path / "backbones").symlink_to(cache_dir)
    monkeypatch.setattr(app, "send_task", lambda *_, **__: None)
    yield tmp_path


def carry_out(job: TrainingJob) -> TrainingJob:
    claimed = transitions.claim(job, worker="w1")
    assert claimed is not None
    TrainingAttempt(claimed).carry_out()
    found = TrainingJob.objects.select_related("registered_model", "revision").get(pk=job.pk)
    assert found.state == TrainingJob.State.SUCCEEDED, found.message
    return found


def test_edits_are_in_the_next_training(home: Path, bucket: Path, tmp_path: Path) -> None:
    path = few_sentences(tmp_path / "few.csv")
    content = path.read_bytes()
    dataset = DatasetFactory(
        size=len(content),
        task_type="textclassification",
        key="training/datasets/1/dataset.csv",
        columns={"input": "input", "label": "label"},
        sha256=sha256(content).hexdigest(),
    )
    get_bucket().save(dataset.key, BytesIO(content))
    first = carry_out(TrainingJobFactory(dataset=dataset, architecture="minilm", strategy="frozen"))
    project = first.project
    assert first.revision is not None
    assert first.revision.number == 1
    rows = Example.objects.filter(project=project)
    assert rows.count() == first.revision.examples == 48
    assert rows.exclude(text="").exclude(split="").filter(given__isnull=False).count() == 48
    one = rows.order_by("id")[0]
    alike = similar_to(one, 5)
    assert len(alike) == 5
    assert sum(found.example.label == one.label for found in alike) >= 3
    held_out = set(rows.filter(split="validation").values_list("pk", flat=True))

    old = sorted(first.registered_model.classes)[0]  # type: ignore[union-attr]
    edits.rename_class(project=project, author=None, old=old, new="renamed")
    second = carry_out(train_again(project=project, author=None))
    assert second.revision is not None
    assert second.revision.number == 2
    assert "renamed" in second.registered_model.classes  # type: ignore[union-attr]
    assert set(rows.filter(split="validation").values_list("pk", flat=True)) == held_out
    assert Findings.objects.filter(applied_at__isnull=False).count() == 2
    assert Revision.objects.filter(project=project).count() == 2
    kept = list(shards.kept_folder().glob("*.csv"))
    assert [file.read_bytes() for file in kept] == [content]
    files = check_documents()[-1]
    assert not [problem for problem in files.problems if "projects/" in problem]
