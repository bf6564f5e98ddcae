"""Which networks can be used on this platform: those of the catalogue, and those that administrators allow."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.conf import settings

from ..engine.catalogue import ARCHITECTURES, Architecture, available, get_architecture
from ..engine.curated import CURATED
from .models import HubNetwork

CATALOGUED = {architecture.repository for architecture in ARCHITECTURES.values() if architecture.repository}


def usable_networks(task_type: str) -> list[Architecture]:
    """Return the networks for a task, the default one first; those that were fetched need not lie on this machine."""
    ready = dict(HubNetwork.objects.ready().filter(task_type=task_type).values_list("name", "fetched_at"))
    further = [name for name in ready if get_architecture(name).repository not in CATALOGUED]
    allowed = dict.fromkeys([*settings.TRAINYARD["FURTHER_NETWORKS"], *further])
    repositories = {get_architecture(name).repository for name in ready}
    return [_shared(found, found.repository in repositories) for found in available(task_type, list(allowed))]


def find_network(name: str) -> Architecture:
    """Return a network by name, as it can be used on this platform. Raises ValueError that lists the known ones."""
    found = get_architecture(name)
    if not found.repository:
        return found
    return _shared(found, ready_network(found) is not None)


def is_allowed(name: str) -> bool:
    """Tell whether people may train a network: one of the catalogue, of FURTHER_NETWORKS, or one that was fetched."""
    if name in ARCHITECTURES or name in settings.TRAINYARD["FURTHER_NETWORKS"]:
        return True
    return HubNetwork.objects.ready().filter(name=name).exists()


def ready_network(architecture: Architecture) -> HubNetwork | None:
    """Return the row of a network whose files the platform has fetched; None for any other."""
    if not architecture.repository:
        return None
    return HubNetwork.objects.ready().filter(name__in=names_of(architecture.repository)).first()


def names_of(repository: str) -> tuple[str, str]:
    """Return what networks of a repository of the hub may be called."""
    return repository, f"hf/{repository}"


def served_names(network: HubNetwork) -> list[str]:
    """Return the names of the catalogue's networks that the files of a row are for, and its own."""
    repository = network.repository
    catalogued: Mapping[str, Architecture] = ARCHITECTURES
    return [network.name, *(name for name, one in catalogued.items() if one.repository == repository)]


def _shared(architecture: Architecture, is_shared: bool) -> Architecture:
    return replace(architecture, is_shared=True) if is_shared else architecture


def known_networks() -> list[dict[str, Any]]:
    """Return what was added and what the curated list has, as plain data."""
    rows: dict[str, Any] = {network.name: network for network in HubNetwork.objects.with_last_fetch()}
    curated = {network.name: network for network in CURATED}
    listed = []
    for name in dict.fromkeys([*curated, *rows]):
        row, known = rows.get(name), curated.get(name)
        listed.append(
            {
                "name": name,
                "state": row.state if row else "not added",
                "arrived": (row.fetch_done or 0) if row else 0,
                "bytes": (row.size if row else 0) or (known.bytes if known else 0),
                "license": (row.license if row else "") or (known.license if known else ""),
                "knows": (row.knows if row else "") or (known.knows if known else ""),
                "revision": row.revision if row else "",
            }
        )
    return listed
