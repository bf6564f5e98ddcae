"""Reads of batches for pages and the REST API."""

from django.shortcuts import get_object_or_404

from core.queue.app import why_unheard

from .models import Batch


def find_batch(token: str, identifier: str) -> Batch:
    """Return a batch, with its model. Raises `Http404` unless both the model's token and the identifier are right."""
    batches = Batch.objects.select_related("model").defer("model__metrics", "model__accuracy_plot")
    return get_object_or_404(batches, model__token=token, identifier=identifier)


def why_waiting(batch: Batch) -> str:
    """Return why no worker has heard of a queued batch; "" for one that was announced, or has started."""
    return why_unheard(batch.announced_at) if batch.state == Batch.State.QUEUED else ""
