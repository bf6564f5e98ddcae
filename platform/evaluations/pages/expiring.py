"""One page says what will be deleted when."""

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.models import User
from control.models import CleanupPolicy
from core.pages.error_messages import errors_as_messages
from models_registry.models import RegisteredModel
from models_registry.services import keep_model

from ..expiring import LONGER, expiring_batches, expiring_versions


@login_required
@never_cache
@require_GET
def expiring(request: HttpRequest) -> HttpResponse:
    """Show what of this person's will go, and when."""
    owner = cast(User, request.user)
    context = {
        "versions": expiring_versions(owner),
        "batches": expiring_batches(owner),
        "cleanup": CleanupPolicy.load(),
        "longer": LONGER.days,
    }
    return render(request, "evaluations/expiring.html", context)


@login_required
@require_POST
def keep(request: HttpRequest, pk: int) -> HttpResponse:
    """Let a version live longer."""
    model = get_object_or_404(RegisteredModel.objects.owned_by(request.user), pk=pk)
    with errors_as_messages(request):
        keep_model(model=model, extra=LONGER)
        messages.success(request, f"Version {model.version} of {model.project.name} is kept longer.")
    return redirect("evaluations:expiring")
