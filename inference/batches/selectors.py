"""Reads of batches for pages and the REST API."""

from django.db.models import Q
from django.shortcuts import get_object_or_404

from core.queue.app import why_unheard

from .models import Batch


def find_batch(token: str, identifier: str) -> Batch:
    """Return a batch, with its model. Raises `Http404` unless both the token and the identifier are right.

    The token is the model's, or its project's, whichever version is in production by now.
    """
    batches = Batch.objects.select_related("model").defer("model__metrics", "model__accuracy_plot")
    named = Q(model__token=token) | Q(model__project__token=token)
    batch: Batch = get_object_or_404(batches, named, identifier=identifier)
    batch.model.under(token)
    return batch


def why_waiting(batch: Batch) -> str:
    """Return why no worker has heard of a queued batch; "" for one that was announced, or has started."""
    return why_unheard(batch.announced_at) if batch.state == Batch.State.QUEUED else ""
