from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict
from pytest_django.fixtures import Settings

from tests.form_values import untouched
from training.forms import NewModelForm


def fill(filename: str = "d.csv", content: bytes = b"input,label\n", **changes: Any) -> NewModelForm:
    """The form as a browser sends it when only the required fields were touched, with changes."""
    values = {
        **untouched(NewModelForm()),
        "task_type": "textclassification",
        "name": "My flowers",
        **changes,
    }
    data = QueryDict(mutable=True)
    data.update({field: value for field, value in values.items() if value is not None})
    files = MultiValueDict({"file": [SimpleUploadedFile(filename, content)]} if filename else {})
    return NewModelForm(data, files)


def test_defaults_are_a_whole_job() -> None:
    form = fill()
    assert form.is_valid(), form.errors
    choice = form.job_settings
    assert (choice.architecture, choice.strategy, choice.data_split) == ("minilm", "frozen", "70 : 30")
    assert (choice.downloadable, choice.seed) == (True, 0)
    assert choice.more == {
        "optimizer": "adam",
        "learning_rate": 0.001,
        "batch_size": 32,
        "epochs": 10,
        "reduce_lr_on_plateau": None,
        "step_lr": None,
    }
    assert form.columns == {"input": "input", "label": "label"}


def test_images_have_no_columns_and_their_own_network() -> None:
    form = fill("photos.ZIP", b"PK", task_type="imageclassification")
    assert form.is_valid(), form.errors
    assert form.columns is None
    assert form.job_settings.architecture == "efficientnet lite0"


def test_schedules_are_given_as_the_documents_name_them() -> None:
    form = fill(use_plateau="on", plateau_factor="0.5", use_step="on", step_size="7")
    assert form.is_valid(), form.errors
    more = form.job_settings.more
    assert more["reduce_lr_on_plateau"] == {"factor": 0.5, "patience": 5, "min_lr": 1e-5}
    assert more["step_lr"] == {"step_size": 7, "gamma": 0.1}


def test_unticked_downloadable_is_kept_as_no() -> None:
    form = fill(downloadable=None)
    assert form.is_valid(), form.errors
    assert form.job_settings.downloadable is False


def test_columns_are_named_by_the_person() -> None:
    form = fill(input_column="sentence", label_column="")
    assert form.is_valid(), form.errors
    assert form.columns == {"input": "sentence", "label": "label"}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"task_type": "audio"}, "task_type"),
        ({"name": "a/b"}, "name"),
        ({"name": "<b>"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": " "}, "name"),
        ({"strategy": "magic"}, "strategy"),
        ({"text_model": "gpt"}, "text_model"),
        ({"train_percent": "9"}, "train_percent"),
        ({"train_percent": "96"}, "train_percent"),
        ({"seed": "-1"}, "seed"),
        ({"optimizer": "rmsprop"}, "optimizer"),
        ({"learning_rate": "nan"}, "learning_rate"),
        ({"learning_rate": "inf"}, "learning_rate"),
        ({"learning_rate": "2.1"}, "learning_rate"),
        ({"batch_size": "0"}, "batch_size"),
        ({"epochs": "501"}, "epochs"),
        ({"use_plateau": "on", "plateau_factor": "0"}, "plateau_factor"),
        ({"use_plateau": "on", "plateau_patience": None}, "plateau_patience"),
        ({"use_step": "on", "step_gamma": ""}, "step_gamma"),
        ({"input_column": "label"}, "label_column"),
    ],
)
def test_what_cannot_be_used_is_named_at_its_field(changes: dict[str, Any], field: str) -> None:
    form = fill(**changes)
    assert not form.is_valid()
    assert list(form.errors) == [field]
    if field not in ("task_type", "strategy"):
        assert "is-invalid" in str(form[field])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("", b"", "Choose the file with your data."),
        ("d.csv", b"", "The submitted file is empty."),
        ("d.zip", b"PK", "d.zip is not a CSV file."),
        ("d.csv", b"x" * 11, "d.csv is larger than the 10"),
    ],
)
def test_file_that_cannot_be_used(settings: Settings, name: str, content: bytes, message: str) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "MAX_DATASET_BYTES": 10}
    form = fill(name, content)
    assert not form.is_valid()
    assert form.errors["file"][0].replace("\xa0", " ").startswith(message)
