"""What the tests of several rooms use: prepared backbones, and a project with examples in three classes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from models_registry.models import Project
from tests.factories import DatasetFactory, ProjectFactory
from training.examples.models import Example, Revision

MakeProject = Callable[..., Project]


@pytest.fixture(scope="session")
def cache_dir(pytestconfig: pytest.Config) -> Path:
    """Where prepared backbones stay from run to run; safe for several processes at a time."""
    assert pytestconfig.cache is not None
    return pytestconfig.cache.mkdir("backbones")


@pytest.fixture
def make_project(db: None) -> MakeProject:
    """Return a project with some examples of each class, whose first revision lists them."""

    def make(each: int = 4, task_type: str = "textclassification", **fields: object) -> Project:
        project = ProjectFactory(task_type=task_type, **fields)
        shard = DatasetFactory(
            owner=project.owner, task_type=task_type, sha256=f"{project.pk:064x}", columns={"input": "input"}
        )
        splits = ("train", "train", "validation", "train")
        Example.objects.bulk_create(
            Example(
                project=project,
                shard=shard,
                place=str(number * each + one),
                sha256=f"{number * each + one:064x}",
                label=label,
                split=splits[one % 4],
                text=f"Text {one} of {label}",
                given=0.1,
                suggested="iris",
                likely=0.8,
                doubt=0.9 - one / 100 if label == "rose" and one < 2 else None,
            )
            for number, label in enumerate(("rose", "iris", "lily"))
            for one in range(each)
        )
        Revision.objects.create(
            project=project,
            number=1,
            key=f"projects/{project.public_id}/1.parquet",
            size=1,
            sha256="0" * 64,
            examples=3 * each,
            summary="As it was uploaded",
        )
        return project

    return make
