"""The forms of a new model: the data, then what may be asked for, in which range, and why.

Ranges hold what older clients of the platform offer and more. The browser is told the same ranges;
what counts is what is checked here.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.template.defaultfilters import filesizeformat

from core.http.json_text import parse_json
from core.names import NAME_HELP, validate_name, without_refused
from core.pages.search import ListSearch, choice
from models_registry.inputs import Corrections, DataError
from models_registry.models import TaskType

from ..datasets.language import language_of
from ..datasets.services import suffixes_of, task_of, why_no_data
from ..engine.catalogue import Architecture
from ..engine.specs.hyperparameters import (
    ADVANCED,
    IN_DOCUMENTS,
    OPTIONS,
    SEED,
    TRAIN_PERCENT,
    contradiction,
)
from ..engine.specs.options import Choice, Group, Number, Option, Switch
from ..engine.specs.strategies import BEST, DEFAULT_STRATEGY, STRATEGIES
from ..jobs.models import TrainingJob
from ..jobs.presets import suitable_network, why_not_at_all
from ..jobs.services import JobSettings
from ..networks.selectors import usable_networks

OPEN = "Default"
SWITCH = (("", OPEN), ("on", "On"), ("off", "Off"))
# How the form's fields are called whose hyperparameters are set together: a switch, and a field for each value.
GROUPS = {name: option for name, option in OPTIONS.items() if isinstance(option, Group)}
BUDGETED = "budget_minutes"  # for the strategy Best alone
SWITCHES = {"reduce_lr_on_plateau": "use_plateau", "step_lr": "use_step"}
GROUP_FIELDS = {
    "reduce_lr_on_plateau": {
        "factor": "plateau_factor",
        "patience": "plateau_patience",
        "min_lr": "plateau_min_lr",
    },
    "step_lr": {"step_size": "step_size", "gamma": "step_gamma"},
}


class NetworkSelect(forms.Select):
    """Shows networks that cannot be used here as disabled, and says which strategies each one has."""

    def __init__(self, networks: Sequence[Architecture]) -> None:
        super().__init__()
        self._by_name = {network.name: network for network in networks}

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Mark one network."""
        option: dict[str, Any] = super().create_option(name, value, *args, **kwargs)
        network = self._by_name.get(str(value))
        if network is not None:
            reasons = {strategy: network.unavailable_because(strategy) for strategy in STRATEGIES}
            missing = {strategy: reason for strategy, reason in reasons.items() if reason}
            option["attrs"]["data-not-for"] = json.dumps(missing)
            if len(missing) == len(STRATEGIES):
                option["attrs"]["disabled"] = True
                option["label"] = f"{network.label} (not available here)"
        return option


def models_of(networks: Sequence[Architecture]) -> list[tuple[str, str]]:
    """Return networks as choices, after the one that leaves it open."""
    return [("", OPEN), *((network.name, network.label) for network in networks)]


def why_models_are_missing(networks: Sequence[Architecture]) -> list[tuple[str, str, str]]:
    """Return networks that cannot be trained here in every way: label, for which presets, the reason."""
    found = []
    for network in networks:
        presets: dict[str, list[str]] = {}
        for strategy in STRATEGIES.values():
            if reason := network.unavailable_because(strategy.name):
                presets.setdefault(reason, []).append(strategy.label)
        found += [(network.label, " and ".join(labels), reason) for reason, labels in presets.items()]
    return found


def why_presets_are_missing(networks: Sequence[Architecture]) -> dict[str, str]:
    """Return the strategies that no network of a task can be trained by here, with the reason."""
    reasons = {strategy: why_not_at_all(networks, strategy) for strategy in STRATEGIES}
    return {strategy: reason for strategy, reason in reasons.items() if reason}


def number_field(number: Number, *, required: bool = False) -> forms.Field:
    """Return a field for a number, which states its range and why."""
    stated: dict[str, Any] = {
        "label": number.label,
        "initial": number.default,
        "required": required,
        "help_text": f"{number.span}. {number.why}",
    }
    field: forms.Field
    if number.whole:
        field = forms.IntegerField(min_value=int(number.least), max_value=int(number.most), **stated)
    else:
        field = forms.FloatField(min_value=number.least, max_value=number.most, **stated)
    field.widget.attrs["step"] = "1" if number.whole else "any"
    if number.default is None:
        field.widget.attrs["placeholder"] = OPEN
    return field


def option_field(option: Option) -> forms.Field:
    """Return a field for a hyperparameter, empty for the preset's choice; for a group its switch."""
    stated: dict[str, Any] = {"label": option.label, "required": False, "help_text": option.why}
    if isinstance(option, Number):
        return number_field(option)
    if isinstance(option, Choice):
        return forms.ChoiceField(choices=[("", OPEN), *option.words.items()], **stated)
    if isinstance(option, Switch):
        return forms.TypedChoiceField(
            choices=SWITCH, coerce=lambda word: word == "on", empty_value=None, **stated
        )
    return forms.BooleanField(**stated)


class DataForm(forms.Form):
    """A data set to upload: the file says by its ending which task it is for."""

    file = forms.FileField(label="File", error_messages={"required": "Choose the file with your data."})
    input_column = forms.CharField(label="Column of the sentences", max_length=100, required=False)
    label_column = forms.CharField(label="Column of the labels", max_length=100, required=False)
    # What the page's script knows from the plan: JSON, and the task of a zip, which may hold photos or a table.
    corrections = forms.CharField(required=False, widget=forms.HiddenInput)
    task_type = forms.ChoiceField(choices=TaskType.choices, required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, found: Sequence[str] = (), **kwargs: Any) -> None:
        """`found` are the columns of a table that was sent before: one chooses among them."""
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)
        for name in ("input_column", "label_column"):
            if found:
                choices = [("", "Choose a column"), *((column, column) for column in found)]
                self.fields[name].widget = forms.Select(choices=choices)
            else:
                self.fields[name].widget.attrs["placeholder"] = "Recognised by its name"

    def clean_file(self) -> UploadedFile:
        """Refuse what no reader takes, and what is too large."""
        file: UploadedFile = self.cleaned_data["file"]
        limit = settings.TRAINYARD["MAX_DATASET_BYTES"]
        if (file.size or 0) > limit:
            raise forms.ValidationError(
                f"{file.name} is larger than the {filesizeformat(limit)} that a data set may have."
            )
        if task_of(file.name or "") is None:
            raise forms.ValidationError(why_no_data(file.name or ""))
        return file

    def clean_corrections(self) -> Corrections:
        """Read what was said against the guess on the page, where scripts run."""
        text = self.cleaned_data["corrections"]
        try:
            return Corrections.from_json(parse_json(text.encode()) if text else None)
        except (DataError, ValueError) as error:
            raise forms.ValidationError(str(error)) from error

    def clean(self) -> dict[str, Any]:
        """Check what concerns both columns."""
        values = super().clean() or self.cleaned_data
        column = values.get("input_column")
        if column and column == values.get("label_column"):
            self.add_error("label_column", f"The sentences and the labels cannot both be in “{column}”.")
        return values

    @property
    def task(self) -> str:
        """What was said that the file is for, where its ending allows that; "" leaves it to the file."""
        name, said = self.cleaned_data["file"].name, self.cleaned_data["task_type"]
        return said if said and name.lower().endswith(suffixes_of(TaskType(said))) else ""

    @property
    def columns(self) -> dict[str, str]:
        """Which column of a text table is which, where somebody said so."""
        given = {role: self.cleaned_data[f"{role}_column"] for role in ("input", "label")}
        return {role: column for role, column in given.items() if column}


def name_of(filename: str) -> str:
    """Return a name to begin with, in words: "my_flowers-2.zip" is "My flowers-2"."""
    stem = Path(filename).stem.removesuffix(".tar")
    words = without_refused(stem.replace("_", " "))[:100].strip()
    return words[:1].upper() + words[1:] or "Untitled"


class NewModelForm(forms.Form):
    """Name, preset and settings of one training job on a data set that has been looked at."""

    name = forms.CharField(
        label="Name of the model",
        max_length=100,
        validators=[validate_name],
        help_text=NAME_HELP,
    )
    strategy = forms.ChoiceField(
        label="How to train",
        choices=[(spec.name, spec.label) for spec in STRATEGIES.values()],
        initial=DEFAULT_STRATEGY,
        widget=forms.RadioSelect,
    )
    project = forms.UUIDField(required=False, widget=forms.HiddenInput)
    network = forms.ChoiceField(label="Network", required=False)
    train_percent = number_field(TRAIN_PERCENT, required=True)
    seed = number_field(SEED, required=True)
    downloadable = forms.BooleanField(
        label="Anyone with the token may download the files",
        required=False,
        initial=True,
        help_text="Off: others can only predict. You can always download your own model.",
    )

    def __init__(
        self, *args: Any, task_type: str, networks: Sequence[Architecture] | None = None, **kwargs: Any
    ) -> None:
        """`networks` are those of the task where the caller has looked them up already."""
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)
        for name, option in OPTIONS.items():
            self.fields[SWITCHES.get(name, name)] = option_field(option)
            for key, member in GROUP_FIELDS.get(name, {}).items():
                self.fields[member] = number_field(GROUPS[name].options[key])
        network = cast("forms.ChoiceField", self.fields["network"])
        self.networks = usable_networks(task_type) if networks is None else networks
        network.widget = NetworkSelect(self.networks)
        network.choices = models_of(self.networks)
        self.fields["name"].widget.attrs["autocomplete"] = "off"

    def clean_name(self) -> str:
        """Drop the space around a name."""
        return str(self.cleaned_data["name"]).strip()

    def clean(self) -> dict[str, Any]:
        """Check what concerns several fields."""
        values = super().clean() or self.cleaned_data
        for name, group in GROUPS.items():
            for field in GROUP_FIELDS[name].values() if values.get(SWITCHES[name]) else ():
                if field not in self.errors and values.get(field) is None:
                    self.add_error(field, f"Give a value, or switch off “{group.label}”.")
        if problem := contradiction({name: values.get(SWITCHES.get(name, name)) for name in OPTIONS}):
            self.add_error("one_cycle", problem)
        return values

    @property
    def setting_pairs(self) -> list[list[forms.BoundField]]:
        """The hyperparameters that are set one by one, two a row; the budget stands beside its preset."""
        shown = [self[name] for name in OPTIONS if name not in GROUPS and name != BUDGETED]
        return [shown[place : place + 2] for place in range(0, len(shown), 2)]

    @property
    def setting_groups(self) -> list[tuple[forms.BoundField, list[forms.BoundField]]]:
        """The hyperparameters that are set together: each switch with its fields."""
        return [
            (self[SWITCHES[name]], [self[field] for field in GROUP_FIELDS[name].values()]) for name in GROUPS
        ]

    @property
    def job_settings(self) -> JobSettings:
        """The choices as the service takes them."""
        values = self.cleaned_data
        more = {name: self._group(name) if name in GROUPS else values[name] for name in IN_DOCUMENTS}
        left_out = (
            () if values["strategy"] == BEST else (BUDGETED,)
        )  # filled in before another preset was chosen
        given = {name: values[name] for name in ADVANCED if values[name] not in (None, "")}
        more["advanced"] = {name: value for name, value in given.items() if name not in left_out}
        return JobSettings(
            architecture=values["network"] or None,
            strategy=values["strategy"],
            data_split=f"{values['train_percent']} : {100 - values['train_percent']}",
            downloadable=values["downloadable"],
            seed=values["seed"],
            more=more,
        )

    @classmethod
    def values_of(cls, job: TrainingJob) -> dict[str, Any]:
        """Return what the form would have to hold for a job like this one."""
        language = language_of(job.dataset.report)
        suitable = suitable_network(job.task_type, job.strategy, language).name
        values: dict[str, Any] = {
            "name": job.name,
            "project": job.project.public_id if job.project.deleted_at is None else None,
            "strategy": job.strategy,
            "network": "" if job.architecture == suitable else job.architecture,
            "train_percent": int(job.data_split.split(" : ")[0]),
            "seed": job.seed,
            "downloadable": job.downloadable,
            **{name: getattr(job, name) for name in IN_DOCUMENTS if name not in GROUPS},
        }
        for name, value in job.advanced.items():
            values[name] = ("on" if value else "off") if isinstance(value, bool) else value
        for name in GROUPS:
            group = getattr(job, name) or {}
            values[SWITCHES[name]] = bool(group)
            values |= {field: group[key] for key, field in GROUP_FIELDS[name].items() if key in group}
        return values

    def _group(self, name: str) -> dict[str, Any] | None:
        values = self.cleaned_data
        if not values[SWITCHES[name]]:
            return None
        return {key: values[field] for key, field in GROUP_FIELDS[name].items()}


class DatasetSearch(ListSearch):
    """By what data sets can be searched for."""

    task_type = choice("Kind", TaskType.choices, everything="Images and texts")


class JobSearch(DatasetSearch):
    """By what jobs can be searched for."""

    state = choice(
        "State",
        [(state.value, str(state.label).capitalize()) for state in TrainingJob.State],
        everything="Any state",
    )
