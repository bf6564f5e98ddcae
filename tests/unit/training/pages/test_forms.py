from typing import Any

import pytest
from crispy_forms.templatetags.crispy_forms_filters import as_crispy_field
from django.core.files.uploadedfile import SimpleUploadedFile
from django.forms import IntegerField
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict
from pytest_django.fixtures import Settings

from tests.factories import TrainingJobFactory
from tests.form_values import untouched
from training.engine.catalogue import Architecture, available
from training.pages.forms import DataForm, NewModelForm, name_of

pytestmark = pytest.mark.django_db  # forms offer the networks that were fetched


def fill(task_type: str = "textclassification", **changes: Any) -> NewModelForm:
    """The form as a browser sends it when only the required fields were touched, with changes."""
    values = {**untouched(NewModelForm(task_type=task_type)), "name": "My flowers", **changes}
    data = QueryDict(mutable=True)
    data.update({field: value for field, value in values.items() if value is not None})
    return NewModelForm(data, task_type=task_type)


def hand_in(filename: str = "d.csv", content: bytes = b"input,label\n", **columns: str) -> DataForm:
    """The form of the data as a browser sends it."""
    data = QueryDict(mutable=True)
    data.update({"input_column": "", "label_column": "", **columns})
    files = MultiValueDict({"file": [SimpleUploadedFile(filename, content)]} if filename else {})
    return DataForm(data, files)


def test_defaults_are_a_whole_job() -> None:
    form = fill()
    assert form.is_valid(), form.errors
    choice = form.job_settings
    assert (choice.architecture, choice.strategy, choice.data_split) == (None, "frozen", "70 : 30")
    assert (choice.downloadable, choice.seed) == (True, 0)
    assert choice.more == {
        "optimizer": "",
        "learning_rate": None,
        "batch_size": None,
        "epochs": None,
        "advanced": {},
        "reduce_lr_on_plateau": None,
        "step_lr": None,
    }


def test_network_is_one_of_the_task() -> None:
    form = fill("imageclassification", network="efficientnet lite0")
    assert form.is_valid(), form.errors
    assert form.job_settings.architecture == "efficientnet lite0"
    assert list(fill(network="efficientnet lite0").errors) == ["network"]


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


def test_file_says_what_it_is_for() -> None:
    form = hand_in("photos.ZIP", b"PK")
    assert form.is_valid(), form.errors
    assert (form.task, form.columns) == ("", {})
    form = hand_in("table.jsonl", b"{}", input_column="sentence")
    assert form.is_valid(), form.errors
    assert (form.task, form.columns) == ("", {"input": "sentence"})


@pytest.mark.parametrize(
    ("filename", "said", "task"),
    [
        ("data.zip", "textclassification", "textclassification"),
        ("data.parquet", "imageclassification", "imageclassification"),
        ("data.csv", "imageclassification", ""),
    ],
)
def test_task_that_was_said_counts_where_the_ending_allows_it(filename: str, said: str, task: str) -> None:
    form = hand_in(filename, b"PK", task_type=said)
    assert form.is_valid(), form.errors
    assert form.task == task


def test_columns_that_were_found_are_chosen_from() -> None:
    shown = str(DataForm(found=["sentence", "<kind>"])["input_column"])
    assert '<option value="sentence">sentence</option>' in shown
    assert "&lt;kind&gt;" in shown


def test_one_column_cannot_be_both() -> None:
    assert list(hand_in(input_column="text", label_column="text").errors) == ["label_column"]


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("my_flowers.zip", "My flowers"),
        ("Größe & Co.csv", "Größe & Co"),
        ("\u202e\u200b.csv", "Untitled"),
        ("a" * 200 + ".zip", "A" + "a" * 99),
    ],
)
def test_name_to_begin_with_is_one_that_the_form_takes(filename: str, name: str) -> None:
    assert name_of(filename) == name
    assert fill(name=name).is_valid()


def test_further_settings_are_kept_where_something_was_chosen() -> None:
    form = fill(
        one_cycle="off",
        early_stopping="3",
        class_weights="on",
        augmentation="strong",
        label_smoothing="0",
        trainable="last",
        strategy="finetune",
    )
    assert form.is_valid(), form.errors
    assert form.job_settings.strategy == "finetune"
    assert form.job_settings.more["advanced"] == {
        "one_cycle": False,
        "early_stopping": 3,
        "class_weights": True,
        "augmentation": "strong",
        "label_smoothing": 0.0,
        "trainable": "last",
    }


def test_every_number_states_its_range_to_browsers_and_people() -> None:
    form = NewModelForm(task_type="textclassification")
    for name, field in form.fields.items():
        if isinstance(field, IntegerField):
            widget = str(form[name])
            assert 'min="' in widget, name
            assert 'max="' in widget, name
            assert " to " in field.help_text, name


def test_network_that_is_not_here_is_shown_and_cannot_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Architecture, "unavailable_because", lambda self, strategy="": "Its weights are away."
    )
    shown = str(NewModelForm(task_type="imageclassification")["network"])
    assert "EfficientNet-Lite0 (not available here)" in shown
    assert "Its weights are away." in shown
    assert shown.count("disabled") == len(available("imageclassification"))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "a\x00b"}, "name"),
        ({"name": "a\u202eb"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": " "}, "name"),
        ({"strategy": "magic"}, "strategy"),
        ({"network": "gpt"}, "network"),
        ({"train_percent": "9"}, "train_percent"),
        ({"train_percent": "96"}, "train_percent"),
        ({"seed": "-1"}, "seed"),
        ({"optimizer": "rmsprop"}, "optimizer"),
        ({"learning_rate": "nan"}, "learning_rate"),
        ({"learning_rate": "inf"}, "learning_rate"),
        ({"learning_rate": "2.1"}, "learning_rate"),
        ({"batch_size": "0"}, "batch_size"),
        ({"epochs": "501"}, "epochs"),
        ({"early_stopping": "0"}, "early_stopping"),
        ({"gradient_clipping": "nan"}, "gradient_clipping"),
        ({"label_smoothing": "0.6"}, "label_smoothing"),
        ({"augmentation": "wild"}, "augmentation"),
        ({"trainable": "some"}, "trainable"),
        ({"mixed_precision": "maybe"}, "mixed_precision"),
        ({"one_cycle": "on", "use_step": "on"}, "one_cycle"),
        ({"use_plateau": "on", "plateau_factor": "0"}, "plateau_factor"),
        ({"use_plateau": "on", "plateau_patience": None}, "plateau_patience"),
        ({"use_step": "on", "step_gamma": ""}, "step_gamma"),
    ],
)
def test_what_cannot_be_used_is_named_at_its_field(changes: dict[str, Any], field: str) -> None:
    form = fill(**changes)
    assert not form.is_valid()
    assert list(form.errors) == [field]
    if field != "strategy":
        assert "is-invalid" in as_crispy_field(form[field])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("", b"", "Choose the file with your data."),
        ("d.csv", b"", "The submitted file is empty."),
        ("d.pdf", b"PK", "d.pdf is not a .zip or .tar"),
        ("d.csv", b"x" * 11, "d.csv is larger than the 10"),
    ],
)
def test_file_that_cannot_be_used(settings: Settings, name: str, content: bytes, message: str) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "MAX_DATASET_BYTES": 10}
    form = hand_in(name, content)
    assert not form.is_valid()
    assert form.errors["file"][0].replace("\xa0", " ").startswith(message)


@pytest.mark.django_db
def test_form_of_a_job_asks_for_the_same_job_again() -> None:
    job = TrainingJobFactory(
        task_type="textclassification",
        architecture="lstm",
        strategy="finetune",
        data_split="80 : 20",
        downloadable=False,
        seed=3,
        optimizer="sgd",
        epochs=4,
        advanced={"one_cycle": False, "augmentation": "light", "label_smoothing": 0.1},
        step_lr={"step_size": 2, "gamma": 0.5},
    )
    values = NewModelForm.values_of(job)
    form = fill(**{name: value for name, value in values.items() if value is not False})
    form.data = form.data.copy()
    form.data.pop("downloadable", None)
    assert form.is_valid(), form.errors
    again = form.job_settings
    assert (again.architecture, again.strategy, again.data_split) == ("lstm", "finetune", "80 : 20")
    assert (again.downloadable, again.seed) == (False, 3)
    assert again.more == {
        "optimizer": "sgd",
        "learning_rate": None,
        "batch_size": None,
        "epochs": 4,
        "advanced": job.advanced,
        "reduce_lr_on_plateau": None,
        "step_lr": job.step_lr,
    }


@pytest.mark.django_db
def test_form_of_a_job_leaves_the_usual_network_to_the_preset() -> None:
    job = TrainingJobFactory(strategy="frozen", architecture="efficientnet lite0")
    assert NewModelForm.values_of(job)["network"] == ""
