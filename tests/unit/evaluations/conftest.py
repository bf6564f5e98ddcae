"""A project of texts with two versions: the second reads only the first word, and so answers worse."""

import hashlib
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from bucket.factory import get_bucket
from evaluations.attempts import EvaluationAttempt
from evaluations.models import Evaluation
from models_registry.models import Project, RegisteredModel
from models_registry.projects.versions import promote_version
from tests.factories import ArtifactFactory, DatasetFactory, RegisteredModelFactory
from tests.tiny_models import live_mood_model, mood_model
from training.engine.data.manifest import Manifest
from training.engine.data.revision import text_digest
from training.examples.models import Example, Findings
from work import transitions

# Text, class, part. The first version is wrong about the last test row alone, the second about all whose second word
# decides.
TEXTS = [
    *((f"glad {word}", "joy", "test") for word in ("a", "b", "c")),
    *((f"rather sad {word}", "sorrow", "test") for word in ("d", "e", "f", "g", "h", "i", "j")),
    ("glad k", "sorrow", "test"),
    ("glad l", "joy", "train"),
    ("sad m", "sorrow", "validation"),
]


@pytest.fixture(autouse=True)
def folders(settings: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what workers keep in the test's folder, and send no message."""
    from evaluations import services

    settings.HOME = tmp_path / "home"  # type: ignore[attr-defined]
    monkeypatch.setattr(services, "announce", lambda work: True)


@pytest.fixture
def project(bucket: Path) -> Project:
    """The project, with its first version in production."""
    return project_of(TEXTS)


def project_of(texts: Sequence[tuple[str, str, str]]) -> Project:
    """Make a project with these texts, in an upload of its own, and two versions that learnt from them."""
    first = live_mood_model(version=1)
    project: Project = first.project
    second = second_version(project)
    content = "".join(["text,label\n", *(f"{text},{label}\n" for text, label, _ in texts)]).encode()
    dataset = DatasetFactory(
        owner=project.owner,
        task_type="textclassification",
        key=f"training/datasets/{project.pk}/dataset.csv",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        columns={"input": "text", "label": "label"},
    )
    get_bucket().save(dataset.key, BytesIO(content))
    for place, (text, label, split) in enumerate(texts):
        Example.objects.create(
            project=project,
            shard=dataset,
            place=str(place),
            sha256=text_digest(text),
            label=label,
            split=split,
            text=text,
        )
    for model in (first, second):
        learnt(model, dataset, texts)
    promote_version(project=project, version=1)
    return project


def second_version(project: Project, version: int = 2) -> RegisteredModel:
    """Make a version that reads one word."""
    model = RegisteredModelFactory(
        name="Moods",
        classes=["joy", "sorrow"],
        task_type="textclassification",
        project=project,
        version=version,
        owner=project.owner,
    )
    content = mood_model(str(model.public_id), max_length=1)
    artifact = ArtifactFactory(model=model, size=len(content), sha256=hashlib.sha256(content).hexdigest())
    get_bucket().save(artifact.key, BytesIO(content))
    return model


def learnt(model: RegisteredModel, dataset: object, texts: Sequence[tuple[str, str, str]]) -> None:
    """Note what a version saw of the texts: outside the test part, it thinks 0.9 of each label but `wrong` ones."""
    count, sha256 = len(texts), dataset.sha256  # type: ignore[attr-defined]
    manifest = Manifest(
        (sha256,) * count,
        tuple(str(place) for place in range(count)),
        tuple(text_digest(text) for text, _, _ in texts),
        tuple(label for _, label, _ in texts),
        tuple(split for _, _, split in texts),
        ("upload",) * count,
        ("",) * count,
        np.zeros(count, np.bool_),
        np.zeros(count, np.bool_),
    )
    table = manifest.table()
    seen = [split != "test" for _, _, split in texts]
    given = [
        (0.2 if model.version == 2 and "wrong" in text else 0.9) if was else None
        for (text, _, _), was in zip(texts, seen, strict=True)
    ]
    other = [
        ("joy" if label == "sorrow" else "sorrow") if was else None
        for (_, label, _), was in zip(texts, seen, strict=True)
    ]
    likely = [None if one is None else 1 - one for one in given]
    for name, values, kind in (
        ("given", given, pyarrow.float32()),
        ("suggested", other, pyarrow.string()),
        ("likely", likely, pyarrow.float32()),
    ):
        table = table.append_column(name, pyarrow.array(values, kind))
    buffer = BytesIO()
    pyarrow.parquet.write_table(table, buffer)
    content, key = buffer.getvalue(), f"projects/{model.project.public_id}/findings/{model.pk}.parquet"
    get_bucket().save(key, BytesIO(content))
    Findings.objects.create(
        project=model.project,
        model=model,
        dataset=dataset,
        key=key,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


@pytest.fixture
def work_off() -> Callable[[], None]:
    """Do all evaluations that wait, as a worker does."""

    def run() -> None:
        while (evaluation := EvaluationAttempt.claim_next(worker="w", queue="batches")) is not None:
            EvaluationAttempt(evaluation).carry_out()

    return run


@pytest.fixture
def claimed(project: Project) -> Evaluation:
    """An evaluation of version 1 that a worker has begun."""
    from evaluations.services import evaluate_version

    work = transitions.claim(evaluate_version(project=project, version=1, author=None), worker="w")
    assert work is not None
    return work
