"""Pages of data sets: what was uploaded, what was found in it, train on it again, delete."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import HttpResponseClientRefresh

from control.selectors import is_halted
from core.pages.error_messages import errors_as_messages
from core.pages.lists import list_context
from work.models import State as WorkState

from ..datasets.deletion import delete_dataset
from ..datasets.models import Dataset, DatasetValidation
from ..jobs.selectors import a_worker_is_alive
from .dataset_report import summarise
from .forms import DatasetSearch

PAGE_SIZE = 25
JOBS_SHOWN = 20


@login_required
@never_cache
@require_GET
def dataset_list(request: HttpRequest) -> HttpResponse:
    """Show a person's data sets, newest first."""
    datasets = Dataset.objects.defer("report").annotate(uses=Count("jobs")).order_by("-created_at")
    context = list_context(
        request, datasets, noun="data sets", page_size=PAGE_SIZE, search=DatasetSearch, for_operators=False
    )
    return render(request, "training/datasets.html", context)


@login_required
@never_cache
@require_GET
def dataset_page(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what was found in a data set, and what it was used for."""
    dataset: Dataset = get_object_or_404(Dataset.objects.owned_by(request.user), pk=pk)
    jobs = dataset.jobs.select_related("registered_model").defer(
        "log_tail", "progress", "registered_model__metrics", "registered_model__accuracy_plot"
    )
    context = {
        "dataset": dataset,
        "report": summarise(dataset.report, dataset.classes),
        "jobs": jobs[:JOBS_SHOWN],
        "in_use": dataset.jobs.unfinished().exists(),
        "project": dataset.learnt_by,
        **checking_context(dataset),
    }
    return render(request, "training/dataset.html", context)


@login_required
@never_cache
@require_GET
def progress(request: HttpRequest, pk: int) -> HttpResponse:
    """Answer a page's question for news of a data set; when there are no more, the page is loaded anew."""
    dataset = Dataset.objects.owned_by(request.user).filter(pk=pk).first()
    if dataset is None:
        return HttpResponse(status=404, headers={"HX-Refresh": "true"})
    if dataset.state != Dataset.State.VALIDATING:
        return HttpResponseClientRefresh()
    return render(request, "training/checking.html", {"dataset": dataset, **checking_context(dataset)})


def checking_context(dataset: Dataset) -> dict[str, object]:
    """Return how far a worker is with a data set, and why it is not further; nothing when none looks at it."""
    if dataset.state != Dataset.State.VALIDATING:
        return {}
    validation = dataset.validation
    ahead = DatasetValidation.objects.queued().filter(queued_at__lt=validation.queued_at).count()
    return {
        "checking": validation,
        "ahead": ahead if validation.state == WorkState.QUEUED else 0,
        "halted": is_halted(),
        "worker_alive": a_worker_is_alive(validation.queue),
    }


@login_required
@require_POST
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete a data set; one that jobs were made of keeps its page."""
    dataset: Dataset = get_object_or_404(Dataset.objects.owned_by(request.user), pk=pk)
    with errors_as_messages(request):
        delete_dataset(dataset=dataset)
        if not Dataset.objects.filter(pk=pk).exists():
            messages.success(request, f"{dataset.name} is deleted.")
            return redirect("training:datasets")
        messages.success(request, f"The file of {dataset.name} is deleted.")
    return redirect("training:dataset", pk=pk)
