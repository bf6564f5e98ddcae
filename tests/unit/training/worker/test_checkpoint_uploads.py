import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from bucket.factory import get_bucket
from bucket.folder import FolderBucket
from core.exceptions import BucketError
from devtools import servers
from documents.drift import check_documents
from tests.factories import TrainingJobFactory
from training.jobs.files import checkpoint_prefix, delete_checkpoints
from training.jobs.models import TrainingJob
from training.worker.checkpoint_uploads import CheckpointKeeper, Manifest, UnusableCheckpoint

pytestmark = pytest.mark.django_db

PATIENCE = 20.0  # seconds


@pytest.fixture(autouse=True)
def no_pauses(settings: Any) -> None:
    set_pause(settings, 0.01)


def set_pause(settings: Any, seconds: float) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "CHECKPOINT_EVERY": timedelta(seconds=seconds)}


def wait_until(holds: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def keeper_of(attempt: int, folder: Path, job: TrainingJob) -> CheckpointKeeper:
    job.attempt = attempt
    keeper = CheckpointKeeper(job, folder / str(attempt))
    keeper.fetch()
    return keeper


def write(keeper: CheckpointKeeper, epoch: int, content: str = "") -> None:
    for name in ("checkpoint.json", "checkpoint-2.npz"):
        (keeper.local / name).unlink(missing_ok=True)
        (keeper.local / name).write_text(content or f"epoch {epoch}")
    keeper.take(["checkpoint.json", "checkpoint-2.npz"], epoch)


def stored(bucket: Path, job: TrainingJob) -> list[str]:
    """What lies in the bucket, as attempt/name, with the digests in front of the names left out."""
    folder = bucket / checkpoint_prefix(job)
    files = [path for path in folder.rglob("*") if path.is_file()]
    return sorted(f"{path.parent.name}/{path.name.partition('-')[2] or path.name}" for path in files)


def file_of(folder: Path, name: str) -> Path:
    [path] = folder.glob(f"*-{name}")
    return path


def test_checkpoint_goes_from_one_attempt_to_the_next(tmp_path: Path, bucket: Path) -> None:
    job = TrainingJobFactory()
    first = keeper_of(1, tmp_path, job)
    write(first, 3)
    first.flush(PATIENCE)
    assert first.kept_epoch == 3
    first.close()
    second = keeper_of(2, tmp_path, job)
    assert second.kept_epoch == 3
    assert {path.name: path.read_text() for path in second.local.iterdir()} == {
        "checkpoint.json": "epoch 3",
        "checkpoint-2.npz": "epoch 3",
    }


def test_only_the_newest_checkpoint_stays(tmp_path: Path, bucket: Path) -> None:
    job = TrainingJobFactory()
    first = keeper_of(1, tmp_path, job)
    for epoch in (1, 2):
        write(first, epoch)
        wait_until(lambda epoch=epoch: first.kept_epoch == epoch)
    first.close()
    assert stored(bucket, job) == ["1/2.json", "1/checkpoint-2.npz", "1/checkpoint.json"]
    second = keeper_of(2, tmp_path, job)
    write(second, 5)
    second.flush(PATIENCE)
    second.close()
    assert stored(bucket, job) == ["2/1.json", "2/checkpoint-2.npz", "2/checkpoint.json"]


def test_what_has_not_changed_is_not_uploaded_again(
    tmp_path: Path, bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, save, saved = TrainingJobFactory(), FolderBucket.save, []

    def note(bucket: FolderBucket, key: str, source: BinaryIO) -> None:
        saved.append(key.rpartition("/")[2].partition("-")[2])
        save(bucket, key, source)

    monkeypatch.setattr(FolderBucket, "save", note)
    keeper = keeper_of(1, tmp_path, job)
    (keeper.local / "checkpoint-large.npz").write_text("the same")
    for epoch in (1, 2):
        draft = keeper.local / "draft"
        draft.write_text(f"epoch {epoch}")
        draft.replace(keeper.local / "checkpoint.json")
        keeper.take(["checkpoint.json", "checkpoint-large.npz"], epoch)
        wait_until(lambda epoch=epoch: keeper.kept_epoch == epoch)
    keeper.close()
    assert saved.count("checkpoint-large.npz") == 1
    assert saved.count("checkpoint.json") == 2
    second = keeper_of(2, tmp_path, job)
    assert (second.local / "checkpoint-large.npz").read_text() == "the same"
    assert (second.local / "checkpoint.json").read_text() == "epoch 2"


def test_latest_wins_when_epochs_are_faster_than_uploads(tmp_path: Path, bucket: Path, settings: Any) -> None:
    set_pause(settings, 60)
    job = TrainingJobFactory()
    keeper = keeper_of(1, tmp_path, job)
    for epoch in range(1, 30):
        write(keeper, epoch)
    assert stored(bucket, job) == []
    keeper.flush(PATIENCE)
    assert keeper.kept_epoch == 29
    assert len(stored(bucket, job)) == 3


def test_files_that_the_trainer_replaces_meanwhile_are_kept_as_they_were(
    tmp_path: Path, settings: Any
) -> None:
    set_pause(settings, 60)
    job = TrainingJobFactory()
    keeper = keeper_of(1, tmp_path, job)
    write(keeper, 1)
    draft = keeper.local / "draft"
    draft.write_text("half of epoch 2")
    draft.replace(keeper.local / "checkpoint.json")
    keeper.flush(PATIENCE)
    assert (keeper_of(2, tmp_path, job).local / "checkpoint.json").read_text() == "epoch 1"


def damage_manifest(folder: Path) -> None:
    (folder / "1.json").write_text("{")


def forget_manifest(folder: Path) -> None:
    (folder / "1.json").unlink()


def change_file(folder: Path) -> None:
    file_of(folder, "checkpoint.json").write_text("epoch 7")


def lengthen_file(folder: Path) -> None:
    file_of(folder, "checkpoint.json").write_text("epoch 2 and much more")


def lose_file(folder: Path) -> None:
    file_of(folder, "checkpoint-2.npz").unlink()


def name_outside(folder: Path) -> None:
    manifest = json.loads((folder / "1.json").read_text())
    manifest["files"][0]["name"] = "../../checkpoint.json"
    (folder / "1.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    "harm", [damage_manifest, forget_manifest, change_file, lengthen_file, lose_file, name_outside]
)
def test_checkpoint_that_is_not_whole_gives_way_to_an_older_one(
    tmp_path: Path, bucket: Path, harm: Callable[[Path], None]
) -> None:
    job = TrainingJobFactory()
    for attempt, epoch in ((1, 1), (2, 2)):
        job.attempt = attempt
        keeper = CheckpointKeeper(job, tmp_path / str(attempt))
        keeper.local.mkdir(parents=True)
        write(keeper, epoch)
        keeper.flush(PATIENCE)
    harm(bucket / checkpoint_prefix(job) / "2")
    third = keeper_of(3, tmp_path, job)
    assert third.kept_epoch == 1
    assert (third.local / "checkpoint.json").read_text() == "epoch 1"


def test_without_a_whole_checkpoint_the_folder_is_empty(tmp_path: Path, bucket: Path) -> None:
    job = TrainingJobFactory()
    keeper = keeper_of(1, tmp_path, job)
    write(keeper, 1)
    keeper.flush(PATIENCE)
    change_file(bucket / checkpoint_prefix(job) / "1")
    second = keeper_of(2, tmp_path, job)
    assert second.kept_epoch is None
    assert list(second.local.iterdir()) == []


def test_bucket_that_fails_costs_one_checkpoint_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job, save, refused = TrainingJobFactory(), FolderBucket.save, []

    def refuse_once(bucket: FolderBucket, key: str, source: BinaryIO) -> None:
        if not refused:
            refused.append(key)
            raise BucketError("no space left")
        save(bucket, key, source)

    monkeypatch.setattr(FolderBucket, "save", refuse_once)
    keeper = keeper_of(1, tmp_path, job)
    write(keeper, 1)
    wait_until(lambda: refused)
    write(keeper, 2)
    keeper.flush(PATIENCE)
    assert keeper.kept_epoch == 2


def test_names_that_no_trainer_writes_are_not_taken(tmp_path: Path, bucket: Path) -> None:
    job = TrainingJobFactory()
    keeper = keeper_of(1, tmp_path, job)
    for name in ("../checkpoint.json", "model.pt", "checkpoint.pkl", "checkpoint.json/.."):
        keeper.take([name], 1)
    keeper.take(["checkpoint.json"], 1)  # is not there
    keeper.flush(PATIENCE)
    assert keeper.kept_epoch is None


def test_close_gives_up_what_waits(tmp_path: Path, bucket: Path, settings: Any) -> None:
    set_pause(settings, 60)
    job = TrainingJobFactory()
    keeper = keeper_of(1, tmp_path, job)
    write(keeper, 1)
    keeper.close()
    assert stored(bucket, job) == []


def test_delete_leaves_nothing(tmp_path: Path, bucket: Path) -> None:
    job = TrainingJobFactory()
    keeper = keeper_of(1, tmp_path, job)
    write(keeper, 1)
    keeper.flush(PATIENCE)
    assert delete_checkpoints(job) == 3
    assert not (bucket / "training" / "jobs" / job.token).exists()


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"epoch": 1, "files": []}', b'{"epoch": "x", "files": []}']
)
def test_manifest_that_cannot_be_read_says_so(content: bytes) -> None:
    with pytest.raises(UnusableCheckpoint, match="manifest"):
        Manifest.from_bytes(content)


def test_checkpoints_of_jobs_that_go_on_are_known_and_others_are_not(tmp_path: Path) -> None:
    job, other = TrainingJobFactory(attempt=1, swept_attempt=1), TrainingJobFactory()
    for one in (job, other):
        keeper = keeper_of(1, tmp_path / one.token, one)
        write(keeper, 1)
        keeper.flush(PATIENCE)
    problems = " ".join(problem for drift in check_documents() for problem in drift.problems)
    assert other.token in problems
    assert job.token not in problems


@pytest.fixture
def s3_bucket(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the bucket be one on a real S3 server."""
    with servers.s3_server() as server:
        for name, value in server.env.items():
            monkeypatch.setenv(name, value)
        settings.S3_BUCKET, settings.S3_ENDPOINT_URL = server.bucket, server.endpoint
        get_bucket.cache_clear()
        yield
        get_bucket.cache_clear()


@pytest.mark.servers
@pytest.mark.usefixtures("s3_bucket")
def test_checkpoint_travels_through_s3(tmp_path: Path) -> None:
    job = TrainingJobFactory()
    first = keeper_of(1, tmp_path, job)
    for epoch in (1, 2):
        write(first, epoch)
        wait_until(lambda epoch=epoch: first.kept_epoch == epoch)
    first.close()
    second = keeper_of(2, tmp_path, job)
    assert second.kept_epoch == 2
    assert (second.local / "checkpoint-2.npz").read_text() == "epoch 2"
    write(second, 3)
    second.flush(PATIENCE)
    assert keeper_of(3, tmp_path, job).kept_epoch == 3
    assert delete_checkpoints(job) == 3
    assert keeper_of(4, tmp_path, job).kept_epoch is None
