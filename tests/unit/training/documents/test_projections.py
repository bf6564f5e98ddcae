import base64
import hashlib
import json
import tracemalloc
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files import File

from core.exceptions import BucketError
from documents import keys
from documents.drift import check_documents
from documents.models import Document
from documents.publish import Outcome, publish, publish_waiting
from documents.schemas import TrainingDocument
from tests.factories import UserFactory
from tests.unit.training.engine.data.test_images import archive, picture, two_classes
from training.datasets.models import Dataset
from training.datasets.services import create_dataset
from training.documents.projections import TrainingProjection
from training.engine.data.manifest import Manifest
from training.examples.models import Example
from training.examples.revisions import write_revision
from training.jobs.models import TrainingJob
from training.jobs.services import JobSettings, submit_job
from work import transitions

pytestmark = pytest.mark.django_db(transaction=True)

TABLE = b"text,intent\nhello,x\nbye,y\nhi,x\nciao,y\n"


def start(task_type: str, name: str, content: bytes, columns: dict[str, str] | None = None) -> TrainingJob:
    file = File(BytesIO(content), name=name)
    owner = UserFactory()
    dataset = create_dataset(owner=owner, name="Mine", task_type=task_type, file=file, columns=columns)
    job = submit_job(owner=owner, dataset=dataset, name="Mine", choice=JobSettings())
    claimed = transitions.claim(job, worker="w1")
    assert claimed is not None
    return claimed


def start_texts() -> TrainingJob:
    return start("textclassification", "d.csv", TABLE, {"input": "text", "label": "intent"})


def read(bucket: Path) -> Any:
    return json.loads((bucket / keys.TRAINING).read_bytes())


def test_image_job_is_written_as_the_format_says(bucket: Path, tmp_path: Path) -> None:
    files = two_classes()
    job = start("imageclassification", "d.zip", archive(tmp_path, files).read_bytes())
    publish(keys.TRAINING)
    document = read(bucket)
    TrainingDocument.model_validate(document)
    assert document["token"] == job.token
    assert (document["num_classes"], document["data_split"], document["step_lr"]) == (2, "70 : 30", False)
    assert document["pretrain_dataset"] == "imagenet"
    assert {label: len(images) for label, images in document["dataset"].items()} == {"a": 3, "b": 3}
    assert base64.b64decode(document["dataset"]["a"][0]) == files["a/0.png"]


def test_text_job_is_written_with_the_formats_columns(bucket: Path) -> None:
    start_texts()
    publish(keys.TRAINING)
    document = read(bucket)
    TrainingDocument.model_validate(document)
    assert base64.b64decode(document["dataset"]).decode().splitlines()[:2] == ["input,label", "hello,x"]


def with_revision(
    job: TrainingJob, labels: list[str], places: list[str], contents: list[bytes]
) -> TrainingJob:
    """Let a job train a revision in which the last example but one is excluded, and the last one for tests."""
    digests = [hashlib.sha256(content).hexdigest() for content in contents]
    splits = ["train"] * (len(labels) - 1) + ["test"]
    manifest = Manifest.of_upload(job.dataset.sha256, places, digests, labels, splits)
    manifest.excluded[-2] = True
    Example.objects.create(project=job.project, shard=job.dataset, place=places[0])
    job.revision = write_revision(job.project, [manifest], author=None, parent=None, summary="Mended")
    job.save(update_fields=["revision"])
    return job


def test_mended_photos_are_written_with_the_labels_of_the_revision(bucket: Path, tmp_path: Path) -> None:
    files = two_classes()
    job = start("imageclassification", "d.zip", archive(tmp_path, files).read_bytes())
    with_revision(job, ["b", "a", "c", "d", "e"], list(files)[:5], list(files.values())[:5])
    publish(keys.TRAINING)
    document = read(bucket)
    TrainingDocument.model_validate(document)
    assert document["num_classes"] == 3
    written = {
        label: [base64.b64decode(one) for one in images] for label, images in document["dataset"].items()
    }
    contents = list(files.values())
    assert written == {"a": [contents[1]], "b": [contents[0]], "c": [contents[2]]}


@pytest.mark.parametrize("most", [10, 1_000])
def test_mended_texts_are_written_or_their_list_is_named(bucket: Path, settings: Any, most: int) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "MAX_INLINE_BYTES": most}
    texts = [b"hello", b"bye", b"hi", b"ciao"]
    job = with_revision(start_texts(), ["new", "y", "x", "y"], ["0", "1", "2", "3"], texts)
    publish(keys.TRAINING)
    document = read(bucket)
    TrainingDocument.model_validate(document)
    assert job.revision is not None
    if most == 10:
        assert document["dataset"]["$ref"] == job.revision.key
        assert document["dataset"]["uploads"][0]["$ref"] == job.dataset.key
    else:
        assert base64.b64decode(document["dataset"]).decode().split() == ["input,label", "hello,new", "bye,y"]


def test_document_goes_when_the_job_ends(bucket: Path) -> None:
    job = start_texts()
    publish(keys.TRAINING)
    transitions.fail(job, reason="no")
    publish(keys.TRAINING)
    assert not (bucket / keys.TRAINING).exists()


def test_document_shows_the_next_job_when_the_first_ends(bucket: Path) -> None:
    first, second = start_texts(), start_texts()
    publish(keys.TRAINING)
    assert read(bucket)["token"] == first.token
    transitions.fail(first, reason="no")
    publish(keys.TRAINING)
    assert read(bucket)["token"] == second.token


def test_document_that_somebody_else_put_there_is_left(bucket: Path) -> None:
    (bucket / keys.TRAINING).parent.mkdir(parents=True, exist_ok=True)
    (bucket / keys.TRAINING).write_text("{}")
    publish_waiting()
    assert (bucket / keys.TRAINING).read_text() == "{}"


def test_large_data_set_is_named_instead_of_written_out(bucket: Path, settings: Any) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "MAX_INLINE_BYTES": 10}
    job = start_texts()
    publish(keys.TRAINING)
    document = read(bucket)
    TrainingDocument.model_validate(document)
    assert document["dataset"] == {
        "$ref": job.dataset.key,
        "sha256": job.dataset.sha256,
        "bytes": len(TABLE),
        "columns": {"input": "text", "label": "intent"},
    }


def test_reconcile_publishes_what_a_dead_worker_did_not(bucket: Path) -> None:
    publish_waiting()
    start_texts()
    assert {drift.key for drift in check_documents() if drift.problems} == {keys.TRAINING}
    publish_waiting()
    assert not any(drift.problems for drift in check_documents())


def test_chunks_are_small() -> None:
    start_texts()
    projection = TrainingProjection()
    version = projection.version()
    assert version is not None
    assert max(map(len, projection.chunks(version))) < 10_000


def test_classes_that_take_turns_in_the_zip_appear_once(tmp_path: Path, bucket: Path) -> None:
    files = {f"{'ab'[number % 2]}/{number}.png": picture(number) for number in range(8)}
    start("imageclassification", "d.zip", archive(tmp_path, files).read_bytes())
    publish(keys.TRAINING)
    text = (bucket / keys.TRAINING).read_text()
    assert (text.count('"a":'), text.count('"b":')) == (1, 1)
    assert [base64.b64decode(image) for image in json.loads(text)["dataset"]["b"]] == [
        files[f"b/{number}.png"] for number in (1, 3, 5, 7)
    ]


@pytest.mark.parametrize("broken", [2, 60])
def test_files_that_cannot_be_read_are_left_out(tmp_path: Path, bucket: Path, broken: int) -> None:
    files = two_classes() | {f"a/broken{number}.png": b"no image" for number in range(broken)}
    job = start("imageclassification", "d.zip", archive(tmp_path, files).read_bytes())
    assert job.dataset.report["unreadable_count"] == broken
    publish(keys.TRAINING)
    assert {label: len(images) for label, images in read(bucket)["dataset"].items()} == {"a": 3, "b": 3}


def test_data_set_that_has_changed_makes_no_document(bucket: Path) -> None:
    job = start_texts()
    (bucket / job.dataset.key).write_bytes(TABLE.replace(b"hello", b"hallo"))
    assert publish(keys.TRAINING) is Outcome.FAILED
    assert not (bucket / keys.TRAINING).exists()
    assert "SHA-256" in Document.objects.get(key=keys.TRAINING).last_error


def test_file_that_is_damaged_ends_the_document_with_an_error(bucket: Path, tmp_path: Path) -> None:
    job = start("imageclassification", "d.zip", archive(tmp_path, two_classes()).read_bytes())
    path = bucket / job.dataset.key
    content = bytearray(path.read_bytes())
    content[content.rindex(b"IDAT") + 6] ^= 255  # in the last image
    path.write_bytes(bytes(content))
    Dataset.objects.update(sha256=hashlib.sha256(content).hexdigest())
    projection = TrainingProjection()
    version = projection.version()
    assert version is not None
    pieces = []
    with pytest.raises(BucketError, match="cannot be written out"):
        for piece in projection.chunks(version):
            pieces.append(piece)
    with pytest.raises(ValueError):
        json.loads(b"".join(pieces))
    assert publish(keys.TRAINING) is Outcome.FAILED
    assert not (bucket / keys.TRAINING).exists()


def test_nothing_is_left_on_this_machines_disk(tmp_path: Path, settings: Any) -> None:
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "temporary"
    settings.FILE_UPLOAD_TEMP_DIR.mkdir()
    start_texts()
    publish(keys.TRAINING)
    chunks = TrainingProjection().chunks(str(TrainingProjection().version()))
    while b'"dataset"' not in next(chunks):
        pass
    next(chunks)
    assert list(settings.FILE_UPLOAD_TEMP_DIR.iterdir())
    chunks.close()  # type: ignore[attr-defined]
    assert not list(settings.FILE_UPLOAD_TEMP_DIR.iterdir())


def test_memory_does_not_grow_with_the_data_set(tmp_path: Path) -> None:
    files = {
        f"{label}/{number}.png": picture(number) + bytes(4 << 20) for label in "ab" for number in range(6)
    }
    start("imageclassification", "d.zip", archive(tmp_path, files).read_bytes())
    projection = TrainingProjection()
    tracemalloc.start()
    length = sum(len(chunk) for chunk in projection.chunks(str(projection.version())))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert length > 48 << 20
    assert most < 4 << 20
