from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from accounts.quota import storage_of
from bucket.factory import get_bucket
from documents.drift import check_documents
from models_registry.models import Project
from tests.factories import ProjectFactory
from training.examples.models import FeatureFile
from training.examples.stored_features import mark_used, store_features, trim_features

pytestmark = pytest.mark.django_db


def store(project: Project, folder: Path, size: int = 10) -> FeatureFile | None:
    path = folder / "features.npy"
    path.write_bytes(b"x" * size)
    return store_features(
        project=project, backbone="efficientnet-lite0", fingerprint="f" * 64, path=path, examples=2
    )


def bounded(settings: Any, **bounds: int) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, **bounds}


def is_there(row: FeatureFile | None) -> bool:
    assert row is not None
    assert (get_bucket().size(row.key) is not None) == FeatureFile.objects.filter(pk=row.pk).exists()
    return FeatureFile.objects.filter(pk=row.pk).exists()


def test_files_used_longest_ago_give_way_within_a_project(
    bucket: Path, tmp_path: Path, settings: Any
) -> None:
    bounded(settings, FEATURES_BYTES_PER_PROJECT=25)
    project, other = ProjectFactory(), ProjectFactory()
    first, second = store(project, tmp_path), store(project, tmp_path)
    assert first is not None
    apart = store(other, tmp_path)
    mark_used([first])
    third = store(project, tmp_path)
    assert [is_there(row) for row in (first, second, third, apart)] == [True, False, True, True]
    assert store(project, tmp_path, size=26) is None


def test_platform_keeps_what_was_used_last(bucket: Path, tmp_path: Path, settings: Any) -> None:
    rows = [store(ProjectFactory(), tmp_path) for _ in range(3)]
    FeatureFile.objects.filter(pk=rows[1].pk).update(used_at=timezone.now() - timedelta(days=1))  # type: ignore[union-attr]
    bounded(settings, FEATURES_BYTES=20)
    assert trim_features() == 1
    assert [is_there(row) for row in rows] == [True, False, True]
    assert trim_features() == 0


def test_features_go_with_their_project(bucket: Path, tmp_path: Path) -> None:
    project, other = ProjectFactory(), ProjectFactory()
    gone, stays = store(project, tmp_path), store(other, tmp_path)
    Project.objects.filter(pk=project.pk).update(deleted_at=timezone.now())
    assert trim_features() == 1
    assert (is_there(gone), is_there(stays)) == (False, True)


def test_features_count_and_refuse_nobody_an_upload(bucket: Path, tmp_path: Path, settings: Any) -> None:
    project = ProjectFactory()
    bounded(settings, MAX_BYTES_PER_USER=15)
    store(project, tmp_path)
    storage = storage_of(project.owner_id)
    assert (storage.taken, storage.left) == (10, 15)


def test_missing_file_is_no_drift(bucket: Path, tmp_path: Path) -> None:
    row = store(ProjectFactory(), tmp_path)
    assert row is not None
    assert not any(row.key in problem for problem in check_documents()[-1].problems)
    get_bucket().delete(row.key)
    assert not any(row.key in problem for problem in check_documents()[-1].problems)


def test_file_that_cannot_be_stored_leaves_no_row(
    bucket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.exceptions import BucketError
    from training.examples import stored_features

    def away(*_: object) -> str:
        raise BucketError("The bucket is away.")

    monkeypatch.setattr(stored_features, "upload", away)
    with pytest.raises(BucketError):
        store(ProjectFactory(), tmp_path)
    assert not FeatureFile.objects.exists()
