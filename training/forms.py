"""The form of a new model: what may be asked for, in which range, and why.

Ranges hold what older clients of the platform offer and more. The browser is told the same ranges;
what counts is what is checked here.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.validators import RegexValidator
from django.template.defaultfilters import filesizeformat

from models_registry.models import TaskType

from .catalogue import available
from .models import TrainingJob
from .services import SUFFIXES, JobSettings

NAME_RULE = "Use letters, digits, spaces, hyphens and underscores."


@dataclass(frozen=True)
class Preset:
    """A way to train under a name that says what it is good for."""

    strategy: str
    label: str
    promise: str


PRESETS = (
    Preset(
        strategy=TrainingJob.Strategy.FROZEN,
        label="Fast",
        promise="Keeps a pretrained network as it is and fits a new last layer to your classes. "
        "Done in seconds, and good with few examples.",
    ),
)


def models_of(task_type: str) -> list[tuple[str, str]]:
    """Return the networks of a task as choices, the task's own first."""
    return [(architecture.name, architecture.label) for architecture in available(task_type)]


class NewModelForm(forms.Form):
    """Data, model and settings of one training job."""

    task_type = forms.ChoiceField(
        label="What do you want to classify?",
        choices=TaskType.choices,
        initial=TaskType.IMAGE,
        widget=forms.RadioSelect,
    )
    name = forms.CharField(
        label="Name of the model",
        max_length=100,
        validators=[RegexValidator(r"^[\w -]+$", NAME_RULE)],
        help_text=NAME_RULE,
    )
    file = forms.FileField(label="File", error_messages={"required": "Choose the file with your data."})
    input_column = forms.CharField(
        label="Column of the sentences", max_length=100, required=False, initial="input"
    )
    label_column = forms.CharField(
        label="Column of the labels", max_length=100, required=False, initial="label"
    )

    strategy = forms.ChoiceField(
        label="How to train",
        choices=[(preset.strategy, preset.label) for preset in PRESETS],
        initial=PRESETS[0].strategy,
        widget=forms.RadioSelect,
    )
    image_model = forms.ChoiceField(
        label="Pretrained network", choices=partial(models_of, TaskType.IMAGE), required=False
    )
    text_model = forms.ChoiceField(
        label="Pretrained network", choices=partial(models_of, TaskType.TEXT), required=False
    )
    train_percent = forms.IntegerField(
        label="Share for training, in percent",
        min_value=10,
        max_value=95,
        initial=70,
        help_text="10 to 95. The rest is the validation part: the model never learns from it, and its accuracy is "
        "measured there. 70 suits most data; take more when examples are few.",
    )
    seed = forms.IntegerField(
        label="Seed",
        min_value=0,
        max_value=2**31 - 1,
        initial=0,
        help_text="0 to 2,147,483,647. Decides the split: the same data and seed give the same model again.",
    )
    downloadable = forms.BooleanField(
        label="Whoever has the token may download the files",
        required=False,
        initial=True,
        help_text="Off: others can only predict. You can always download your own model.",
    )

    optimizer = forms.ChoiceField(
        label="Optimizer",
        choices=TrainingJob.Optimizer.choices,
        initial=TrainingJob.Optimizer.ADAM,
        help_text="Adam finds its own step sizes; SGD often ends a little better when the learning rate is right.",
    )
    learning_rate = forms.FloatField(
        label="Learning rate",
        min_value=1e-5,
        max_value=2,
        initial=0.001,
        help_text="0.00001 to 2. Too large does not settle, too small takes for ever. 0.001 for Adam, 0.01 for SGD.",
    )
    batch_size = forms.IntegerField(
        label="Batch size",
        min_value=1,
        max_value=1024,
        initial=32,
        help_text="1 to 1,024 examples a step. Larger is faster and needs more memory.",
    )
    epochs = forms.IntegerField(
        label="Epochs",
        min_value=1,
        max_value=500,
        initial=10,
        help_text="1 to 500 passes over the training part.",
    )
    use_plateau = forms.BooleanField(
        label="Reduce the learning rate on a plateau",
        required=False,
        help_text="Takes smaller steps once the validation loss has stopped falling.",
    )
    plateau_factor = forms.FloatField(
        label="Factor",
        min_value=0.01,
        max_value=0.9,
        initial=0.1,
        required=False,
        help_text="0.01 to 0.9. The learning rate is multiplied by it.",
    )
    plateau_patience = forms.IntegerField(
        label="Patience",
        min_value=1,
        max_value=100,
        initial=5,
        required=False,
        help_text="1 to 100 epochs without progress before that.",
    )
    plateau_min_lr = forms.FloatField(
        label="Smallest learning rate",
        min_value=1e-5,
        max_value=2,
        initial=1e-5,
        required=False,
        help_text="0.00001 to 2. It never falls below this.",
    )
    use_step = forms.BooleanField(
        label="Lower the learning rate in steps",
        required=False,
        help_text="Takes smaller steps after a fixed number of epochs, whatever the loss does.",
    )
    step_size = forms.IntegerField(
        label="Step size", min_value=1, max_value=100, initial=4, required=False, help_text="1 to 100 epochs."
    )
    step_gamma = forms.FloatField(
        label="Gamma",
        min_value=0.01,
        max_value=0.99,
        initial=0.1,
        required=False,
        help_text="0.01 to 0.99. The learning rate is multiplied by it after each step.",
    )

    GROUPS = {
        "use_plateau": {
            "factor": "plateau_factor",
            "patience": "plateau_patience",
            "min_lr": "plateau_min_lr",
        },
        "use_step": {"step_size": "step_size", "gamma": "step_gamma"},
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)
        self.fields["file"].widget.attrs["data-max-bytes"] = settings.TRAINYARD["MAX_DATASET_BYTES"]
        self.fields["name"].widget.attrs.update(autocomplete="off", placeholder="Flowers of my garden")
        for name in ("learning_rate", "plateau_factor", "plateau_min_lr", "step_gamma"):
            self.fields[name].widget.attrs["step"] = "any"
        for field in self.fields.values():
            _dress(field.widget)

    def full_clean(self) -> None:
        """Mark the fields that have errors for the eye as well."""
        super().full_clean()
        for name in self.errors:
            if name in self.fields:
                widget = self.fields[name].widget
                widget.attrs["class"] = f"{widget.attrs.get('class', '')} is-invalid".strip()

    def clean_name(self) -> str:
        """Drop the space around a name."""
        return str(self.cleaned_data["name"]).strip()

    def clean(self) -> dict[str, Any]:
        """Check what concerns several fields."""
        values = super().clean() or self.cleaned_data
        self._clean_file(values)
        for switch, group in self.GROUPS.items():
            for name in group.values() if values.get(switch) else ():
                if name not in self.errors and values.get(name) is None:
                    self.add_error(name, f"Give a value, or switch off “{self.fields[switch].label}”.")
        if values.get("task_type") == TaskType.TEXT:
            columns = [values.get("input_column") or "input", values.get("label_column") or "label"]
            if columns[0] == columns[1]:
                self.add_error(
                    "label_column", f"The sentences and the labels cannot both be in “{columns[0]}”."
                )
        return values

    def _clean_file(self, values: dict[str, Any]) -> None:
        file: UploadedFile | None = values.get("file")
        task = values.get("task_type")
        if file is None:
            return
        limit = settings.TRAINYARD["MAX_DATASET_BYTES"]
        if (file.size or 0) > limit:
            self.add_error(
                "file", f"{file.name} is larger than the {filesizeformat(limit)} that a data set may have."
            )
        suffix = Path(file.name or "").suffix.lower()
        if task and suffix not in SUFFIXES[TaskType(task)]:
            what = "a zip with a folder for each class" if task == TaskType.IMAGE else "a CSV file"
            self.add_error("file", f"{file.name} is not {what}.")

    @property
    def columns(self) -> dict[str, str] | None:
        """Which column of a text table is which; None for images."""
        values = self.cleaned_data
        if values["task_type"] != TaskType.TEXT:
            return None
        return {"input": values["input_column"] or "input", "label": values["label_column"] or "label"}

    @property
    def job_settings(self) -> JobSettings:
        """The choices as the service takes them."""
        values = self.cleaned_data
        chosen = values["image_model" if values["task_type"] == TaskType.IMAGE else "text_model"]
        more = {name: values[name] for name in ("optimizer", "learning_rate", "batch_size", "epochs")}
        more["reduce_lr_on_plateau"] = self._group("use_plateau")
        more["step_lr"] = self._group("use_step")
        return JobSettings(
            architecture=chosen or None,
            strategy=values["strategy"],
            data_split=f"{values['train_percent']} : {100 - values['train_percent']}",
            downloadable=values["downloadable"],
            seed=values["seed"],
            more=more,
        )

    def _group(self, switch: str) -> dict[str, Any] | None:
        values = self.cleaned_data
        if not values[switch]:
            return None
        return {key: values[name] for key, name in self.GROUPS[switch].items()}


def _dress(widget: forms.Widget) -> None:
    """Give a widget Bootstrap's class."""
    if isinstance(widget, forms.CheckboxInput):
        widget.attrs["class"] = "form-check-input"
    elif isinstance(widget, forms.RadioSelect):
        return
    elif isinstance(widget, forms.Select):
        widget.attrs["class"] = "form-select"
    else:
        widget.attrs["class"] = "form-control"
