"""Others write into inference.json, and the registry follows."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from control.models import PlatformStatus
from core.exceptions import InvalidRequest
from documents import keys
from documents.drift import check_documents, repair_documents
from documents.models import Document, OutboxEntry, OverruledChange, PublishedEntry
from documents.publish import publish_waiting
from inference.predict.services import predict
from models_registry.artifacts import Predictor
from models_registry.checks import check_imported_models
from models_registry.models import Artifact, RegisteredModel
from models_registry.retention import clean_up
from models_registry.services import restore_model, retire_model
from tests.factories import ArtifactFactory, RegisteredModelFactory
from tests.tiny_models import COLOURS, colour_model, picture, undescribed_colour_model

pytestmark = pytest.mark.django_db(transaction=True)

SEED = Path(__file__).parents[3] / "tests" / "seed"
STATES = RegisteredModel.State


def read(bucket: Path, key: str = keys.INFERENCE) -> Any:
    return json.loads((bucket / key).read_bytes())


def write(bucket: Path, document: Any, key: str = keys.INFERENCE) -> None:
    (bucket / key).parent.mkdir(parents=True, exist_ok=True)
    (bucket / key).write_text(json.dumps(document))


def entry(token: str, **changes: Any) -> dict[str, Any]:
    return {
        "task_type": "imageclassification",
        "model_filename": f"imageclassification/{token}.pt",
        "model_filename_onnx": f"imageclassification/{token}.onnx",
        "classes": ["red", "green", "blue"],
        "downloadable": True,
        "accuracy": 91.5,
        "accuracy_plot": "iVBORw0KGgo=",
        "created": "10-01-21 18:13",
        **changes,
    }


def put_files(bucket: Path, token: str, onnx: bytes) -> None:
    (bucket / "imageclassification").mkdir(exist_ok=True)
    (bucket / f"imageclassification/{token}.pt").write_bytes(b"torchscript")
    (bucket / f"imageclassification/{token}.onnx").write_bytes(onnx)


def add(bucket: Path, token: str, **changes: Any) -> RegisteredModel:
    publish_waiting()
    write(bucket, {**read(bucket), token: entry(token, **changes)})
    publish_waiting()
    return RegisteredModel.objects.get(token=token)


def test_seed_samples_in_an_empty_bucket_come_back_as_they_were(bucket: Path) -> None:
    samples = {key: json.loads((SEED / Path(key).name).read_text()) for key in keys.ALL}
    for key, document in samples.items():
        write(bucket, document, key)
    publish_waiting()
    assert {key: read(bucket, key) for key in samples} == samples
    image, text = RegisteredModel.objects.order_by("task_type")
    assert image.classes == ["birdhouse", "hourglass", "lemon", "pizza", "seashore", "stopwatch"]
    assert (image.name, image.accuracy, image.downloadable) == ("tinyimgnet-demo", 96.67, True)
    assert image.live_at == datetime(2021, 1, 10, 18, 13, tzinfo=UTC)
    assert (text.accuracy, text.downloadable, text.is_live) == (66.67, False, True)
    assert text.expires_at is None, "what others made does not expire"
    assert Document.objects.get(key=keys.TRAINING).rejected_because, "its photos are cut short"
    for model in (image, text):
        model.save()
    PlatformStatus.load().save()
    for key in (keys.STATUS, keys.CLEANUP, keys.INFERENCE):
        (bucket / key).unlink()
    publish_waiting()
    assert {key: read(bucket, key) for key in samples} == samples
    repair_documents()
    assert {key: read(bucket, key) for key in samples} == samples
    assert not any(drift.problems for drift in check_documents())


def test_model_of_others_predicts_once_its_files_were_looked_at(bucket: Path) -> None:
    put_files(bucket, "theirs", colour_model())
    model = add(bucket, "theirs")
    assert model.origin == RegisteredModel.Origin.IMPORTED
    with pytest.raises(InvalidRequest, match="not been looked at"):
        predict(token="theirs", inputs=[picture("red")])
    assert check_imported_models() == 1
    assert predict(token="theirs", inputs=[picture("red")]).predictions[0].label == "red"
    onnx = Artifact.objects.get(model=model, kind="onnx")
    assert onnx.size == len(colour_model())
    assert not any(drift.problems for drift in check_documents())


def test_model_that_does_not_describe_itself_predicts_by_flashs_contract(bucket: Path) -> None:
    put_files(bucket, "theirs", undescribed_colour_model())
    add(bucket, "theirs", classes=["blood", "leaf", "sky"])
    assert check_imported_models() == 1
    answer = predict(token="theirs", inputs=[picture("red"), picture("blue")])
    assert [found.label for found in answer.predictions] == ["blood", "sky"]
    assert sum(chance for _, chance in answer.predictions[0].top) == pytest.approx(1, abs=1e-5)
    document = read(bucket)
    document["theirs"]["classes"] = ["crimson", "lime", "azure"]
    write(bucket, document)
    publish_waiting()
    assert check_imported_models() == 1
    assert predict(token="theirs", inputs=[picture("red")]).predictions[0].label == "crimson"


@pytest.mark.parametrize(
    ("onnx", "classes", "reason"),
    [
        (None, COLOURS, "is not in the bucket"),
        (b"no model", COLOURS, "no ONNX file"),
        (b"", COLOURS, "no ONNX"),
        (colour_model(), ["blue", "green", "red"], "other classes than its entry"),
        (undescribed_colour_model(), ["a", "b"], "2 classes"),
    ],
)
def test_model_whose_files_cannot_be_used_is_flagged_and_kept(
    bucket: Path, client: Client, onnx: bytes | None, classes: Sequence[str], reason: str
) -> None:
    if onnx is not None:
        put_files(bucket, "theirs", onnx)
    model = add(bucket, "theirs", classes=list(classes))
    assert check_imported_models() == 0
    model.refresh_from_db()
    assert reason in model.unusable_because
    assert model.is_live
    assert "theirs" in read(bucket)
    with pytest.raises(InvalidRequest, match="cannot be used"):
        predict(token="theirs", inputs=[picture("red")])
    page = client.get("/models/theirs/").content.decode()
    assert "cannot predict" in page
    assert "Not usable" in page
    assert "Classify" not in page
    assert "0 bytes" not in page.replace("\xa0", " ")


def test_model_whose_files_come_later_becomes_usable(bucket: Path) -> None:
    add(bucket, "theirs")
    assert check_imported_models() == 0
    put_files(bucket, "theirs", colour_model())
    assert check_imported_models() == 0, "not at every minute"
    RegisteredModel.objects.update(checked_at=timezone.now() - timedelta(hours=1))
    assert check_imported_models() == 1


def test_onnx_with_weights_in_other_files_is_refused(bucket: Path) -> None:
    import onnx

    model = onnx.load_model_from_string(colour_model())
    tensor = model.graph.initializer.add()
    tensor.CopyFrom(onnx.helper.make_tensor("stolen", onnx.TensorProto.FLOAT, [1], [1.0]))
    tensor.data_location = onnx.TensorProto.EXTERNAL
    put_files(bucket, "theirs", model.SerializeToString())
    imported = add(bucket, "theirs")
    check_imported_models()
    imported.refresh_from_db()
    assert "other files" in imported.unusable_because


@pytest.mark.parametrize(
    "changes",
    [
        {"task_type": "audio"},
        {"accuracy": 300},
        {"classes": []},
        {"created": "yesterday"},
        {"created": "99-99-21 10:00"},
        {"model_filename_onnx": "training/datasets/1/dataset.zip"},
        {"model_filename_onnx": "imageclassification/../status.json"},
        {"model_filename_onnx": "/etc/passwd"},
        {"model_filename_onnx": "imageclassification/theirs.pt"},
        {"model_filename_onnx": "imageclassification/\ud800.onnx"},
        {"classes": ["nul\x00", "b"]},
        {"accuracy_plot": "\udc00"},
        {"task_type": ["imageclassification"]},
    ],
)
def test_entry_that_cannot_be_a_model_stays_with_the_reason(bucket: Path, changes: dict[str, Any]) -> None:
    publish_waiting()
    document = {"theirs": entry("theirs", **changes)}
    write(bucket, document)
    publish_waiting()
    assert not RegisteredModel.objects.exists()
    assert PublishedEntry.objects.get().problem
    ours = RegisteredModelFactory()
    assert read(bucket) == {**document, ours.token: read(bucket)[ours.token]}
    write(bucket, {"theirs": entry("theirs")})
    publish_waiting()
    assert RegisteredModel.objects.filter(token="theirs").exists(), "mended, it is taken in"


def test_entry_that_names_a_file_of_another_model_is_not_taken_in(bucket: Path) -> None:
    artifact = ArtifactFactory()
    write(bucket, {**read(bucket), "thief": entry("thief", model_filename_onnx=artifact.key)})
    publish_waiting()
    assert not RegisteredModel.objects.filter(token="thief").exists()
    assert "another model" in PublishedEntry.objects.get(name="thief").problem


def test_edit_of_others_reaches_the_model(bucket: Path) -> None:
    model = RegisteredModelFactory(downloadable=True)
    document = read(bucket)
    document[model.token] |= {"downloadable": False, "accuracy": 12.5, "note": "theirs"}
    write(bucket, document)
    publish_waiting()
    model.refresh_from_db()
    assert (model.downloadable, model.accuracy) == (False, 12.5)
    assert read(bucket) == document
    assert not OutboxEntry.objects.exists()
    assert not OverruledChange.objects.exists()


def test_edit_that_cannot_be_stored_is_undone(bucket: Path) -> None:
    model = RegisteredModelFactory()
    before = read(bucket)
    edited = {**before[model.token], "accuracy_plot": "nul\x00"}
    write(bucket, {model.token: edited})
    publish_waiting()
    assert read(bucket) == before
    model.refresh_from_db()
    assert model.is_live


def test_edit_of_others_and_one_of_ours_in_the_same_model_both_stay(bucket: Path) -> None:
    model = RegisteredModelFactory(downloadable=True, accuracy=90)
    document = read(bucket)
    document[model.token]["downloadable"] = False
    write(bucket, document)
    model.accuracy = 95
    model.save()
    model.refresh_from_db()
    assert (model.downloadable, model.accuracy) == (False, 95)
    found = read(bucket)[model.token]
    assert (found["downloadable"], found["accuracy"]) == (False, 95)


def test_removed_entry_retires_the_model_which_can_be_restored(bucket: Path) -> None:
    model, other = RegisteredModelFactory(), RegisteredModelFactory()
    document = read(bucket)
    del document[model.token]
    write(bucket, document)
    publish_waiting()
    model.refresh_from_db()
    assert (model.state, model.retired_by_document) == (STATES.RETIRED, True)
    assert clean_up().deleted == [], "it may have been removed by mistake"
    restore_model(model=model)
    assert set(read(bucket)) == {model.token, other.token}
    assert RegisteredModel.objects.get(pk=model.pk).retired_by_document is False


def test_removed_entry_that_comes_back_brings_its_model_back(bucket: Path) -> None:
    model = RegisteredModelFactory()
    document = read(bucket)
    write(bucket, {})
    publish_waiting()
    write(bucket, document)
    publish_waiting()
    model.refresh_from_db()
    assert model.is_live
    assert read(bucket) == document


def test_entry_that_others_give_another_token_takes_its_files_along(bucket: Path) -> None:
    put_files(bucket, "theirs", colour_model())
    add(bucket, "theirs")
    document = read(bucket)
    write(bucket, {"renamed": document["theirs"]})
    publish_waiting()
    assert check_imported_models() == 1
    assert predict(token="renamed", inputs=[picture("red")]).predictions[0].label == "red"
    RegisteredModel.objects.filter(token="theirs").update(retired_at=timezone.now() - timedelta(days=2))
    assert clean_up().deleted == ["theirs"]
    assert predict(token="renamed", inputs=[picture("blue")]).predictions[0].label == "blue"
    assert (bucket / "imageclassification/theirs.onnx").exists()


def test_model_removed_by_others_goes_after_a_day(bucket: Path) -> None:
    model = RegisteredModelFactory()
    write(bucket, {})
    publish_waiting()
    RegisteredModel.objects.update(retired_at=timezone.now() - timedelta(hours=25))
    assert clean_up().deleted == [model.token]


def test_entry_of_a_model_deleted_here_does_not_come_back(bucket: Path) -> None:
    model = RegisteredModelFactory()
    stale = read(bucket)
    retire_model(model=model)
    write(bucket, stale)
    publish_waiting()
    assert read(bucket) == {}
    model.refresh_from_db()
    assert model.state == STATES.RETIRED


def test_deleting_an_imported_model_removes_its_entry(bucket: Path) -> None:
    put_files(bucket, "theirs", colour_model())
    model = add(bucket, "theirs")
    retire_model(model=model)
    assert read(bucket) == {}
    assert clean_up().deleted == ["theirs"]
    assert not list((bucket / "imageclassification").glob("theirs*"))
    put_files(bucket, "theirs", colour_model())
    model = add(bucket, "theirs")
    assert model.is_live, "others may bring their model again"


def test_repair_undoes_edits_and_removals_of_others_and_still_takes_their_models(bucket: Path) -> None:
    edited, removed = RegisteredModelFactory(downloadable=True), RegisteredModelFactory()
    document = read(bucket)
    document[edited.token]["downloadable"] = False
    del document[removed.token]
    document["theirs"] = entry("theirs")
    write(bucket, document)
    repair_documents()
    found = read(bucket)
    assert found[edited.token]["downloadable"] is True
    assert removed.token in found
    assert RegisteredModel.objects.filter(token="theirs").exists()


def test_looking_at_documents_in_step_takes_the_same_queries_for_any_number_of_models(
    bucket: Path, django_assert_max_num_queries: Any
) -> None:
    for _ in range(20):
        RegisteredModelFactory()
    publish_waiting()
    with django_assert_max_num_queries(45):
        publish_waiting()
    assert len(read(bucket)) == 20


def test_undescribed_model_of_a_fixed_batch_takes_many_images() -> None:
    predictor = Predictor.from_bytes(undescribed_colour_model(batch=1), image_classes=COLOURS)
    found = predictor.predict([picture("red"), picture("blue")])
    assert [one.label for one in found] == ["red", "blue"]
