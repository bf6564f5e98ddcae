"""Where files of networks lie: on the way on a worker's machine, and in the bucket."""

from pathlib import Path

from django.conf import settings

from bucket.factory import get_bucket

from ..engine.weights_files import stored_prefix
from .models import PREFIX, HubNetwork, NetworkFetch


def delete_files(network: HubNetwork, *, keep: frozenset[str] = frozenset()) -> None:
    """Delete what lies in the bucket of a network, except files called so."""
    bucket, beginning = get_bucket(), stored_prefix(network.repository)
    names = [key.removeprefix(PREFIX) for key, _ in bucket.list(PREFIX)]
    for name in names:
        if name.startswith(beginning) and name not in keep:
            bucket.delete(f"{PREFIX}{name}")


def delete_unpinned(network: HubNetwork) -> None:
    """Delete what fetches that were not finished left in the bucket, unless another one is under way."""
    if not NetworkFetch.objects.unfinished().filter(network=network).exists():
        delete_files(network, keep=frozenset(network.stored_files))


def partial_folder(fetch: NetworkFetch) -> Path:
    """Return where on this machine lies what has arrived."""
    return fetches_folder() / str(fetch.pk)


def fetches_folder() -> Path:
    """Return where partial files lie."""
    return Path(settings.HOME) / "fetches"
