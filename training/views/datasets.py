"""Pages of data sets: what was uploaded, what was found in it, train on it again, delete."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from core.exceptions import InvalidRequest
from core.paging import BoundedPaginator

from ..datasets.services import delete_dataset
from ..forms import DatasetSearch
from ..models import Dataset
from ..reports import summarise

PAGE_SIZE = 25
JOBS_SHOWN = 20


@login_required
@never_cache
@require_GET
def dataset_list(request: HttpRequest) -> HttpResponse:
    """Show a person's data sets, newest first."""
    search = DatasetSearch(request.GET)
    datasets = search.narrow(Dataset.objects.filter(owner_id=request.user.pk)).defer("report")
    datasets = datasets.annotate(uses=Count("jobs")).order_by("-created_at")
    page = BoundedPaginator(datasets, PAGE_SIZE).get_page(request.GET.get("page"))
    return render(request, "training/datasets.html", {"page": page, "search": search})


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
    }
    return render(request, "training/dataset.html", context)


@login_required
@require_POST
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete a data set that no job was made of."""
    dataset: Dataset = get_object_or_404(Dataset.objects.owned_by(request.user), pk=pk)
    try:
        delete_dataset(dataset=dataset)
    except InvalidRequest as error:
        messages.error(request, str(error))
        return redirect("training:dataset", pk=pk)
    messages.success(request, f"{dataset.name} is deleted.")
    return redirect("training:datasets")
