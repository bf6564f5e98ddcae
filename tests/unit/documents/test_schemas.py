import json

import jsonschema
import pytest
from pydantic import ValidationError

from docs.write_schemas import DOCUMENTS, ROOT, render
from documents.schemas import CleanupDocument, InferenceDocument, StatusDocument, TrainingDocument

IMAGE = {
    "task_type": "imageclassification",
    "model_filename": "imageclassification/t.pt",
    "model_filename_onnx": "imageclassification/t.onnx",
    "classes": ["lemon", "pizza"],
    "downloadable": True,
    "accuracy": 96.67,
    "accuracy_plot": "/9j/4AAQ",
    "created": "10-01-21 18:13",
}
TEXT = {
    "task_type": "textclassification",
    "model_filename": "textclassification/t.pt",
    "metadata_filename": "textclassification/t_metadata.pkl",
    "downloadable": False,
    "accuracy": 0.6666666865348816,
    "accuracy_plot": "/9j/4AAQ",
    "created": "10-01-21 19:22",
}
TRAINING = {
    "token": "t",
    "task_type": "imageclassification",
    "num_classes": 10,
    "optimizer": "sgd",
    "learning_rate": 0.01,
    "batch_size": 128,
    "epochs": 20,
    "data_split": "70 : 30",
    "dataset": {"pizza": ["YGRo"]},
    "model": "mobilenet v2",
    "pretrain_dataset": "imagenet",
    "reduce_lr_on_plateau": {"factor": 0.1, "patience": 5, "min_lr": 1e-5},
    "step_lr": {"step_size": 4, "gamma": 0.1},
}


def test_inference_accepts_both_kinds_of_entries() -> None:
    document = InferenceDocument.model_validate({"a": IMAGE, "b": TEXT})
    assert document.root["a"].classes == ["lemon", "pizza"]
    assert document.model_dump(exclude_unset=True) == {"a": IMAGE, "b": TEXT}


@pytest.mark.parametrize("key", sorted(IMAGE))
def test_inference_image_entry_needs_every_key(key: str) -> None:
    with pytest.raises(ValidationError):
        InferenceDocument.model_validate({"a": {name: value for name, value in IMAGE.items() if name != key}})


@pytest.mark.parametrize(
    "wrong",
    [{"accuracy": 101}, {"accuracy": -1}, {"created": "2021-01-10"}, {"classes": []}, {"task_type": "x"}],
)
def test_inference_refuses_wrong_values(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        InferenceDocument.model_validate({"a": IMAGE | wrong})


def test_unknown_keys_are_kept() -> None:
    document = StatusDocument.model_validate(
        {"status": "sleeping", "token": "", "task_type": "", "dev_mode": False, "theirs": [1]}
    )
    assert document.model_dump()["theirs"] == [1]


@pytest.mark.parametrize("dev_mode", ["false", 0, None])
def test_status_dev_mode_is_a_boolean(dev_mode: object) -> None:
    with pytest.raises(ValidationError):
        StatusDocument.model_validate(
            {"status": "sleeping", "token": "", "task_type": "", "dev_mode": dev_mode}
        )


@pytest.mark.parametrize("status", ["Active", "", "off"])
def test_cleanup_knows_two_words(status: str) -> None:
    with pytest.raises(ValidationError):
        CleanupDocument.model_validate({"status": status})


def test_training_schedulers_may_be_false_and_the_data_set_a_reference() -> None:
    reference = {"$ref": "training/datasets/1/dataset.zip", "sha256": "0" * 64, "bytes": 5}
    changed = TRAINING | {"step_lr": False, "reduce_lr_on_plateau": False, "dataset": reference}
    assert TrainingDocument.model_validate(TRAINING)
    assert TrainingDocument.model_validate(changed)


@pytest.mark.parametrize("name", list(DOCUMENTS))
def test_published_schema_is_current_and_accepts_the_sample(name: str) -> None:
    published = (ROOT / "docs" / "schemas" / f"{name}.schema.json").read_text()
    assert published == render(name), "run `make schemas`"
    sample = json.loads((ROOT / "tests" / "seed" / f"{name}.json").read_text())
    jsonschema.validate(sample, json.loads(published))
    wrong = {"theirs": {}} if name == "inference" else {**sample, "status": 1, "epochs": "many"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, json.loads(published))
