"""What periodic tasks do for networks: fetch those of FURTHER_NETWORKS, and sweep what killed fetches left."""

import shutil

from django.conf import settings

from core.periodic import for_each

from ..engine.catalogue import get_architecture
from ..engine.specs.strategies import FROZEN
from .facts import is_offline
from .files import delete_unpinned, fetches_folder
from .models import HubNetwork, NetworkFetch
from .services import fetch_network, note_network


def fetch_networks_of_environment() -> int:
    """Add networks of FURTHER_NETWORKS whose weights are not at hand, and have them fetched, once each.

    What fails then is told on the admin's page. Returns how many there were.
    """
    if is_offline():
        return 0
    added = set(HubNetwork.objects.values_list("name", flat=True))
    wanted = [
        name for name in settings.TRAINYARD["FURTHER_NETWORKS"] if name not in added and _is_missing(name)
    ]
    return for_each(wanted, lambda name: bool(fetch_network(network=note_network(name=name))))


def _is_missing(name: str) -> bool:
    """Tell whether a network has weights on the hub, and none here."""
    has_weights = name.startswith("hf/") or "." in name
    return has_weights and bool(get_architecture(name).unavailable_because(FROZEN))


def sweep_fetches() -> int:
    """Delete what fetches that have ended left on this machine and in the bucket; returns how many there were."""
    unfinished = {str(pk) for pk in NetworkFetch.objects.unfinished().values_list("pk", flat=True)}
    left = [path for path in fetches_folder().glob("*") if path.name not in unfinished]
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
    for network in HubNetwork.objects.filter(fetched_at=None, fetches__isnull=False).distinct():
        delete_unpinned(network)
    return len(left)
