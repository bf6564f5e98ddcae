"""Pages of models: list, view, try, download, keep, retire, restore.

Who has a live model's token may look and predict. Everything else is for its owner and for operators;
to others, and for tokens that are unknown or over, there is nothing: the same 404.
"""

from copy import copy
from datetime import timedelta

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from core.exceptions import TrainyardError
from core.http.admission import admits
from core.http.errors import status_of
from core.http.throttles import client_of, require_rate
from core.pages.error_messages import errors_as_messages
from core.pages.requests import PageRequest
from models_registry.artifacts.views import NETWORK, NETWORK_AND_NGRAMS, NGRAMS
from models_registry.inputs import TAR_SUFFIXES
from models_registry.models import Artifact, RegisteredModel, TaskType
from models_registry.services import change_model, keep_model, restore_model, retire_model

from ..access import may_have, may_manage, shown_models, visible_model
from ..batches.sources import ImageSource, TextSource
from ..downloads import download_name, find_download, send_file
from ..predict.admission import before_form
from ..predict.lookup import UnknownModel, answers_in_eight_bits
from ..usage.statistics import usage_of
from .forms import DescribeForm, try_form
from .model_card import card_of, reading_of
from .snippets import Snippet, snippets_for
from .try_it import try_inputs

KEEP_FOR = timedelta(hours=24)
PLOT_TYPES = {"/9j/": "image/jpeg"}  # how the base64 of a JPEG begins; anything else is a PNG
FILE_ORDER: tuple[str, ...] = (
    Artifact.Kind.ONNX,
    Artifact.Kind.ONNX_INT8,
    Artifact.Kind.TORCHSCRIPT,
    Artifact.Kind.METADATA,
    Artifact.Kind.EVALUATION,
)


@never_cache
@require_GET
def model_page(request: HttpRequest, token: str) -> HttpResponse:
    """Show a model; its token is the permission."""
    model = _visible_model(request, token)
    return render(request, "inference/model.html", _page_context(request, model))


@admits(before_form)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def try_model(request: PageRequest, token: str) -> HttpResponse:
    """Classify what was put into the page's form; the answer is a fragment for htmx, else the page."""
    if request.method != "POST":
        return redirect("inference:model", token=token)
    model = _visible_model(request, token)
    form = try_form(model.task_type, request.POST, request.FILES)
    context: dict[str, object] = {"model": model, "form": form}
    status = 200
    try:
        require_rate("predict-address", client_of(request))
        require_rate("predict-token", token)
        context |= try_inputs(model, form)
    except TrainyardError as error:
        if isinstance(error, UnknownModel) and not request.htmx:
            raise
        context["problem"], status = str(error), status_of(error)
    if request.htmx:
        return render(request, "inference/predictions.html", context, status=status)
    return render(
        request, "inference/model.html", {**_page_context(request, model), **context}, status=status
    )


@never_cache
@require_GET
def download(request: HttpRequest, token: str, kind: str) -> HttpResponseBase:
    """Return a file of a model as a download."""
    return send_file(request, find_download(request.user, token, kind))


@login_required
@require_POST
def keep(request: HttpRequest, token: str) -> HttpResponse:
    """Let a model live longer."""
    model = _own_model(request, token)
    with errors_as_messages(request):
        keep_model(model=model, extra=KEEP_FOR)
        messages.success(request, f"{model.name} is kept 24 hours longer.")
    return redirect("inference:model", token=token)


@login_required
@require_POST
def retire(request: HttpRequest, token: str) -> HttpResponse:
    """Retire a model; its page offers to restore it."""
    model = _own_model(request, token)
    with errors_as_messages(request):
        retire_model(model=model)
    return redirect("inference:model", token=token)


@login_required
@require_POST
def restore(request: HttpRequest, token: str) -> HttpResponse:
    """Restore a retired model."""
    model = _own_model(request, token)
    with errors_as_messages(request):
        restore_model(model=model)
        messages.success(request, f"{model.name} is live again.")
    return redirect("inference:model", token=token)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def describe(request: HttpRequest, token: str) -> HttpResponse:
    """Change the description on a model's card."""
    model = _own_model(request, token)
    form = DescribeForm(request.POST or None, instance=copy(model))
    if request.method == "POST" and form.is_valid():
        with errors_as_messages(request):
            change_model(model=model, changes=form.cleaned_data)
            messages.success(request, "The card is changed.")
        return redirect("inference:model", token=token)
    status = 400 if request.method == "POST" else 200
    return render(request, "inference/describe.html", {"model": model, "form": form}, status=status)


def _visible_model(request: HttpRequest, token: str) -> RegisteredModel:
    """Return what `access.visible_model` does, with its files and its job."""
    models = shown_models().prefetch_related("artifacts").select_related("training_job", "project")
    models = models.defer("training_job__progress", "training_job__log_tail")
    return visible_model(request.user, token, among=models)


def _own_model(request: HttpRequest, token: str) -> RegisteredModel:
    """Return a model that this user manages. Raises `Http404`."""
    model = _visible_model(request, token)
    if not may_manage(request.user, model):
        raise Http404
    return model


def _page_context(request: HttpRequest, model: RegisteredModel) -> dict[str, object]:
    manages = may_manage(request.user, model)
    files = [file for file in model.artifacts.all() if may_have(file.kind, model, manages=manages)]
    files.sort(key=lambda file: FILE_ORDER.index(file.kind))
    plot = model.accuracy_plot
    has_smaller = any(file.kind == Artifact.Kind.ONNX_INT8 for file in model.artifacts.all())
    kind = next((kind for start, kind in PLOT_TYPES.items() if plot.startswith(start)), "image/png")
    return {
        "model": model,
        "manages": manages,
        "form": try_form(model.task_type),
        "is_image": model.task_type == TaskType.IMAGE,
        "has_smaller": has_smaller,
        "answers_in_eight_bits": has_smaller
        and model.task_type == TaskType.IMAGE
        and answers_in_eight_bits(),
        "card": card_of(model.metrics or {}, model.classes),
        "plot": f"data:{kind};base64,{plot}" if plot else "",
        "files": files,
        "kinds": dict(Artifact.Kind.choices),
        "page_address": request.build_absolute_uri(reverse("inference:model", args=[model.shown_token])),
        "snippets": own_snippets(request, model, files),
        "training_job": getattr(model, "training_job", None) if manages else None,
        "max_inputs": settings.TRAINYARD["MAX_PREDICT_INPUTS"],
        "max_bytes": settings.TRAINYARD["MAX_PREDICT_BYTES"],
        "usage": usage_of(model) if manages else None,
        "max_batch_inputs": settings.TRAINYARD["MAX_BATCH_INPUTS"],
        "max_batch_bytes": settings.TRAINYARD["MAX_BATCH_BYTES"],
        "batch_suffixes": (*ImageSource.suffixes, *TAR_SUFFIXES)
        if model.task_type == TaskType.IMAGE
        else TextSource.suffixes,
    }


def own_snippets(request: HttpRequest, model: RegisteredModel, files: list[Artifact]) -> list[Snippet]:
    """Return programs to copy; one that runs the file itself only where the file describes itself."""
    view, reading = model.metrics.get("view", NETWORK), reading_of(model.metrics)
    own = files if model.origin == RegisteredModel.Origin.TRAINED else []
    names = [download_name(model, file) for file in own if file.kind == Artifact.Kind.ONNX]
    return snippets_for(
        is_image=model.task_type == TaskType.IMAGE,
        address=request.build_absolute_uri(reverse("api-predict", args=[model.shown_token])),
        file=next(iter(names), ""),
        reads_tokens=view != NGRAMS,
        reads_windows=reading is not None and reading.windows > 1,
        reads_ngrams=view in (NGRAMS, NETWORK_AND_NGRAMS),
    )
