"""The data of a project: look at its examples, mend them, take that back, train again."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.http import require_GET, require_POST

from core.exceptions import BucketError, InvalidRequest, TrainyardError
from core.pages.error_messages import errors_as_messages
from core.pages.requests import PageRequest
from models_registry.artifacts import InvalidInput
from models_registry.models import Project, TaskType
from models_registry.projects.selectors import own_project

from ..examples import edits
from ..examples.findings import are_awaited
from ..examples.models import Edit, Example
from ..examples.responses import download_response
from ..examples.revisions import newest_revision, pending_edits
from ..examples.selectors import (
    ACROSS,
    PAGE,
    SHOW,
    SOURCES,
    Page,
    Wanted,
    authors_of,
    count_examples,
    further_copies,
    page_of_examples,
)
from ..examples.similar import Similar, similar_to
from ..jobs.models import TrainingJob
from ..jobs.services import train_again
from .additions import additions_context
from .example_notes import notes_of

THUMBNAIL = 192  # pixels of the longer side
KEEP_PHOTOS = 7 * 24 * 3600  # seconds, in the browser of whom it was shown to
EDITS_SHOWN = 8
KEYS = 9  # classes that have a key, 1 to 9

ACTIONS = {
    "exclude": edits.exclude,
    "restore": edits.restore,
    "test": edits.move_to_test_set,
    "keep": edits.confirm,
    "take": edits.take_suggestions,
}


@login_required
@never_cache
@require_GET
def data_page(request: PageRequest, public_id: UUID) -> HttpResponse:
    """Show a page of a project's examples; to htmx the part with the examples alone."""
    return _shown(request, own_project(request.user, public_id), request.GET.get("after", ""))


@login_required
@require_POST
def edit_data(request: PageRequest, public_id: UUID) -> HttpResponse:
    """Do to the chosen examples what the pressed button says."""
    project = own_project(request.user, public_id)
    with errors_as_messages(request):
        messages.success(request, _words(_edit(request, project)))
    if request.htmx:
        return _shown(request, project, request.POST.get("after", ""))
    return redirect(_address(project, Wanted.of(request.GET.dict()), request.POST.get("after", "")))


@login_required
@require_GET
def download_data(request: HttpRequest, public_id: UUID) -> StreamingHttpResponse:
    """Send the examples that are shown: a table, or with `format=zip` the photos in a folder for each class."""
    project = own_project(request.user, public_id)
    return download_response(
        project, Wanted.of(request.GET.dict()), as_zip=request.GET.get("format") == "zip"
    )


@login_required
@require_POST
def train(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Train the examples as they are now; shows the job."""
    project = own_project(request.user, public_id)
    with errors_as_messages(request, TrainyardError):
        job = train_again(project=project, author=_author(request))
        return redirect("training:job", pk=job.pk)
    return redirect("training:project-data", public_id=public_id)


@login_required
@cache_control(private=True, max_age=KEEP_PHOTOS, immutable=True)
@require_GET
def photo(request: HttpRequest, public_id: UUID, pk: int) -> HttpResponse:
    """Return a photo, small."""
    from ..examples.photos import small_photo

    rows = Example.objects.filter(project=own_project(request.user, public_id)).select_related("shard")
    example = get_object_or_404(rows.defer("shard__report"), pk=pk)
    try:
        content = small_photo(example, THUMBNAIL)
    except (BucketError, InvalidInput):
        return HttpResponse(status=404)
    return HttpResponse(content, content_type="image/jpeg")


def _author(request: HttpRequest) -> Any:
    return request.user


def _edit(request: HttpRequest, project: Project) -> edits.Outcome:
    """Carry out what a form says. Raises `InvalidRequest`."""
    given, author = request.POST, _author(request)
    action = given.get("action", "")
    wanted = Wanted.of(request.GET.dict())
    if action == "undo":
        return edits.undo(project=project, author=author, number=_whole(given.get("edit")))
    if action == "rename":
        return edits.rename_class(
            project=project, author=author, old=given.get("old", ""), new=given.get("new", "")
        )
    seen = _whole(given.get("seen"))
    if action == "take-all":
        least = _share(given.get("least", ""))
        if wanted.show == "near_copy":
            chosen = further_copies(project, wanted).filter(likeness__gte=least)
            return edits.exclude(project=project, author=author, chosen=chosen, seen=seen)
        chosen = Wanted(label=wanted.label, split=wanted.split, show="doubt").filter(project)
        chosen = chosen.filter(doubt__gte=least)
        return edits.take_suggestions(project=project, author=author, chosen=chosen, seen=seen)
    chosen = wanted.filter(project)
    if not given.get("everything"):
        ids = [pk for pk in map(_whole, given.getlist("example")) if pk is not None]
        if not ids:
            raise InvalidRequest("No example is chosen. Tick those that are meant.")
        chosen = Example.objects.filter(pk__in=ids)
    if action == "relabel":
        return edits.relabel(
            project=project, author=author, chosen=chosen, label=given.get("label", ""), seen=seen
        )
    if action not in ACTIONS:
        raise InvalidRequest(f"There is no action {action[:20]!r}. Use the buttons of the page.")
    return ACTIONS[action](project=project, author=author, chosen=chosen, seen=seen)


def _words(outcome: edits.Outcome) -> str:
    said = f"{outcome.edit.summary}." if outcome.edit else "Nothing was to change."
    if outcome.overtaken and outcome.edit and outcome.edit.kind == Edit.Kind.UNDO:
        said += f" {outcome.overtaken:,} left as they are: they were edited again since."
    elif outcome.overtaken:
        said += (
            f" {outcome.overtaken:,} left as they are: somebody has edited them since this page was shown."
            " Look at them again."
        )
    return said


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and len(text) < 18 else None


def _share(text: str) -> float:
    try:
        share = float(text.replace(",", ".")) / 100
    except ValueError:
        share = -1
    if not 0 <= share <= 1:
        raise InvalidRequest(f"{text[:20]!r} is no certainty. Give a number from 0 to 100.")
    return share


def _address(project: Project, wanted: Wanted, after: str = "") -> str:
    query = urlencode({**wanted.parameters(), **({"after": after} if after else {})})
    return reverse("training:project-data", args=[project.public_id]) + (f"?{query}" if query else "")


def _page_of_similar(request: HttpRequest, project: Project, pk: int) -> tuple[Page, dict[int, float]]:
    """Return an example with those most like it, and how alike each is; why there are none is a message."""
    example = get_object_or_404(Example.objects.filter(project=project), pk=pk)
    found: Sequence[Similar] = ()
    with errors_as_messages(request, TrainyardError):
        found = similar_to(example, PAGE)
    others = [one.example for one in found]
    return Page([example, *others], ""), {one.example.pk: one.likeness for one in found}


def _shown(request: PageRequest, project: Project, after: str) -> HttpResponse:
    wanted = Wanted.of(request.GET.dict())
    like = _whole(request.GET.get("like"))
    page, alike = (
        (page_of_examples(project, wanted, after), None)
        if like is None
        else _page_of_similar(request, project, like)
    )
    counts = count_examples(project)
    labels = list(counts.classes)
    is_sought = not page.examples and (wanted.is_of_findings or not counts.total)
    running = TrainingJob.objects.unfinished().filter(project=project).only("pk").order_by("pk").first()
    query = urlencode(wanted.parameters())
    context = {
        "project": project,
        "is_image": project.task_type == TaskType.IMAGE,
        "wanted": wanted,
        "query": f"?{query}" if query else "?",
        "page": page,
        "rows": list(zip(page.examples, notes_of(wanted.show, page.examples, alike), strict=True)),
        "is_similar": alike is not None,
        "across": ACROSS.items(),
        "after": after,
        "next": _address(project, wanted, page.after) if page.after else "",
        "first": _address(project, wanted) if after else "",
        "counts": counts,
        "labels": labels,
        "keys": {label: number for number, label in enumerate(labels[:KEYS], start=1)},
        "splits": [(value, name) for value, name in Example.Split.choices if value],
        "shows": SHOW.items(),
        "sources": SOURCES.items(),
        "authors": authors_of(project),
        "edits": Edit.objects.filter(project=project)
        .select_related("author", "undone_by")
        .defer("changes")[:EDITS_SHOWN],
        "seen": edits.newest_edit(project),
        "pending": pending_edits(project),
        "revision": newest_revision(project),
        "running": running,
        "are_awaited": is_sought and are_awaited(project),
        **additions_context(project),
    }
    template = "training/data_examples.html" if request.htmx else "training/data.html"
    return render(request, template, context)
