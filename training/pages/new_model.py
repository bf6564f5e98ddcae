"""The page of a new model: data, then model, then review and start.

The data comes first and on its own: it is uploaded, looked at and reported on before anything is
queued, and stays chosen by its address (`/new/?dataset=7`) whatever happens to the rest of the form.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.files import File
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect, replace_url

from accounts.quota import require_room
from accounts.requests import account_of
from control.selectors import is_halted, require_operation
from core.exceptions import TrainyardError
from core.http.admission import admits, claimed_by_file, require_sign_in
from core.http.errors import status_of
from core.http.throttles import peek, require_rate
from core.pages.requests import PageRequest
from core.templatetags.durations import about
from models_registry.inputs import UnclearColumns
from models_registry.projects.selectors import own_project

from ..datasets.language import language_of
from ..datasets.models import Dataset
from ..datasets.samples import samples_here
from ..datasets.services import SUFFIXES, UnusableData, accept_dataset, create_dataset
from ..engine.catalogue import Architecture
from ..engine.specs.strategies import DEFAULT_STRATEGY, STRATEGIES, USUAL_BUDGET, StrategySpec
from ..jobs.models import TrainingJob
from ..jobs.presets import suitable_among, why_this_network
from ..jobs.selectors import recent_estimates
from ..jobs.services import submit_job
from ..networks.selectors import usable_networks
from .dataset_report import summarise
from .datasets import checking_context
from .forms import DataForm, NewModelForm, name_of, why_models_are_missing, why_presets_are_missing

REFUSED = 400
CHOSEN_AGAIN = 20  # data sets that are offered once more
WITHOUT_REPORT = ("pk", "name", "task_type", "examples", "created_at")


@dataclass(frozen=True)
class OfferedPreset:
    """A strategy as a data set's owner sees it: how long it takes, or why it cannot be had."""

    preset: StrategySpec
    expected: str
    missing: str
    defaults: str  # JSON: what it works with when nothing else is chosen
    network: str  # which network it takes for texts that are not English, and why


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def new_model(request: PageRequest) -> HttpResponse:
    """Show the three steps; take what was filled in, and go to the job's page."""
    if request.method == "POST":
        return _start(request)
    if "from" in request.GET:
        job = get_object_or_404(
            TrainingJob.objects.owned_by(request.user).select_related("dataset", "project"),
            pk=_number(request.GET["from"]),
        )
        form = NewModelForm(task_type=job.task_type, initial=NewModelForm.values_of(job))
        return _show_dataset(request, job.dataset, form)
    if "dataset" in request.GET:
        return _show_dataset(request, _dataset_of(request, request.GET["dataset"]))
    return _show_data(request, DataForm())


def _before_upload(request: HttpRequest) -> HttpResponseBase | None:
    """Look at an upload before it is read."""
    refused = require_sign_in(request)
    if refused is None:
        require_operation()
        peek("upload", str(request.user.pk))
        require_room(account_of(request.user), claimed_by_file(request))
    return refused


@admits(_before_upload)
@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def upload(request: PageRequest) -> HttpResponse:
    """Take a data set, and show what was found in it, next to the other steps when it can be used.

    At a large one a worker looks, and the page shows how far it is.
    """
    if request.method != "POST":
        return redirect("training:new")
    form = DataForm(request.POST, request.FILES)
    if not form.is_valid():
        return _show_data(request, form, status=REFUSED)
    values = form.cleaned_data
    try:
        require_rate("upload", str(request.user.pk))
        dataset = accept_dataset(
            owner=account_of(request.user),
            name=name_of(values["file"].name),
            task_type=form.task,
            file=values["file"],
            columns=form.columns,
            corrections=values["corrections"],
        )
    except TrainyardError as error:
        return _refuse_data(request, form, error)
    address = f"{reverse('training:new')}?dataset={dataset.pk}"
    if not request.htmx:
        return redirect(address)
    return replace_url(_show_dataset(request, dataset), address)


@login_required
@require_POST
def use_sample(request: PageRequest) -> HttpResponse:
    """Take one of the data sets that come with the platform, and go on with it."""
    sample = next((one for one in samples_here() if one.key == request.POST.get("sample")), None)
    if sample is None:
        raise Http404
    ready = Dataset.objects.filter(owner_id=request.user.pk, state=Dataset.State.READY)
    dataset = ready.filter(original_name=sample.file, name=sample.label).only("pk").first()
    if dataset is None:
        try:
            require_rate("upload", str(request.user.pk))
            with sample.path.open("rb") as file:
                dataset = create_dataset(
                    owner=account_of(request.user),
                    name=sample.label,
                    task_type=sample.task_type,
                    file=File(file, name=sample.file),
                )
        except TrainyardError as error:
            return _refuse_data(request, DataForm(), error)
    return redirect(f"{reverse('training:new')}?dataset={dataset.pk}")


def _refuse_data(request: PageRequest, form: DataForm, error: TrainyardError) -> HttpResponse:
    """Say what to mend; where columns have to be named, offer those that there are."""
    if isinstance(error, UnusableData):
        found = error.report
        more = {"problems": found.problems, "refused": summarise(found.to_json(), list(found.classes))}
        return _show_data(request, form, status=REFUSED, **more)
    cause = error.__cause__
    if isinstance(cause, UnclearColumns):
        asked = DataForm(request.POST, request.FILES, found=cause.found)
        return _show_data(request, asked, status=REFUSED, problems=[str(error)], ask_columns=True)
    return _show_data(request, form, status=status_of(error), problems=[str(error)])


def _start(request: PageRequest) -> HttpResponse:
    if not request.POST.get("dataset"):
        return _show_data(request, DataForm(), status=REFUSED, problems=["Choose your data first."])
    dataset = _dataset_of(request, request.POST["dataset"])
    if not dataset.is_ready:
        return _show_dataset(request, dataset, status=REFUSED)
    form = NewModelForm(request.POST, task_type=dataset.task_type)
    if not form.is_valid():
        return _show_model(request, dataset, form, status=REFUSED)
    named = form.cleaned_data["project"]
    project = own_project(request.user, named) if named else None
    try:
        job = submit_job(
            owner=account_of(request.user),
            dataset=dataset,
            name=form.cleaned_data["name"],
            choice=form.job_settings,
            project=project,
        )
    except TrainyardError as error:
        form.add_error(None, str(error))
        return _show_model(request, dataset, form, status=status_of(error))
    address = reverse("training:job", args=[job.pk])
    return HttpResponseClientRedirect(address) if request.htmx else redirect(address)


def _dataset_of(request: HttpRequest, given: str) -> Dataset:
    """Return a data set that this person may use; anybody else's does not exist for them."""
    dataset: Dataset = get_object_or_404(Dataset.objects.owned_by(request.user), pk=_number(given))
    return dataset


def _number(text: str) -> int:
    """Return a row's number; 0, which no row has, for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0


def _untouched(dataset: Dataset) -> NewModelForm:
    networks = usable_networks(dataset.task_type)
    missing = why_presets_are_missing(networks)
    usable = (name for name in STRATEGIES if name not in missing)
    initial = {"name": name_of(dataset.name), "strategy": next(usable, DEFAULT_STRATEGY)}
    return NewModelForm(task_type=dataset.task_type, networks=networks, initial=initial)


def _show_data(request: PageRequest, form: DataForm, *, status: int = 200, **more: object) -> HttpResponse:
    """Show the first step alone, with the data sets that are here already."""
    ready = Dataset.objects.filter(owner_id=request.user.pk, state=Dataset.State.READY)
    context = {
        "data_form": form,
        "own": ready.only(*WITHOUT_REPORT)[:CHOSEN_AGAIN],
        "max_bytes": settings.TRAINYARD["MAX_DATASET_BYTES"],
        "suffixes": SUFFIXES,
        "samples": samples_here(),
        "halted": is_halted(),
        **more,
    }
    return _render(request, context, status)


def _show_dataset(
    request: PageRequest, dataset: Dataset, form: NewModelForm | None = None, *, status: int = 200
) -> HttpResponse:
    """Show what there is to do with a data set: wait for its check, mend it, or train on it."""
    if dataset.state == Dataset.State.VALIDATING:
        return _render(request, {"dataset": dataset, **checking_context(dataset)}, status)
    if dataset.state == Dataset.State.UNUSABLE:
        return _show_data(request, DataForm(), status=status, **_why_unusable(dataset))
    return _show_model(request, dataset, form or _untouched(dataset), status=status)


def _why_unusable(dataset: Dataset) -> dict[str, object]:
    """Return what to mend, and what was found where it could be read."""
    if not dataset.report:
        return {"problems": [f"{dataset.original_name} cannot be trained on. {dataset.reason}"]}
    found = summarise(dataset.report, dataset.classes)
    return {"problems": found.problems, "refused": found, "unusable": dataset}


def _show_model(
    request: PageRequest, dataset: Dataset, form: NewModelForm, *, status: int = 200
) -> HttpResponse:
    """Show what was found in the data, and the steps after it."""
    context = {
        "dataset": dataset,
        "report": summarise(dataset.report, dataset.classes),
        "form": form,
        "presets": _presets_for(dataset, form.networks),
        "missing_models": why_models_are_missing(form.networks),
        "halted": is_halted(),
    }
    return _render(request, context, status)


def _render(request: PageRequest, context: dict[str, object], status: int) -> HttpResponse:
    template = "training/new_flow.html" if request.htmx else "training/new.html"
    return render(request, template, context, status=status)


def _presets_for(dataset: Dataset, networks: Sequence[Architecture]) -> list[OfferedPreset]:
    estimates, missing = recent_estimates(), why_presets_are_missing(networks)
    language = language_of(dataset.report)
    offered = []
    for preset in STRATEGIES.values():
        seconds = estimates.seconds(dataset.task_type, preset.name, dataset.examples)
        network = suitable_among(networks, preset.name, language)
        offered.append(
            OfferedPreset(
                preset=preset,
                expected="" if seconds is None else about(seconds),
                missing=missing.get(preset.name, ""),
                defaults=json.dumps(_defaults(network, preset)),
                network=why_this_network(network, preset, language),
            )
        )
    return offered


def _defaults(network: Architecture, strategy: StrategySpec) -> dict[str, object]:
    """Return what a strategy chooses for the network that suits it."""
    config = strategy.config(network.kind)
    shown = {name: getattr(config, name) for name in ("optimizer", "learning_rate", "batch_size", "epochs")}
    return {**shown, "budget_minutes": USUAL_BUDGET}
