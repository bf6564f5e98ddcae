"""Adding networks of the hub, having them fetched, and removing them."""

from typing import Any, TypedDict

import structlog
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from core.exceptions import InvalidRequest
from work import transitions
from work.queue import announce

from ..engine.catalogue import ARCHITECTURES, HUB_NAME, TIMM_NAME, get_architecture
from ..engine.curated import find_curated
from .facts import HubAway, HubFacts, HubFile, HubRefusal, is_offline
from .files import delete_files
from .models import HubNetwork, NetworkFetch
from .signals import network_removing

logger = structlog.get_logger(__name__)

WEIGHTS, CONFIG, TOKENIZER = "model.safetensors", "config.json", "tokenizer.json"


def full_name(name: str) -> str:
    """Return what a network is called: "resnet18" of the catalogue is "timm/resnet18.a1_in1k" on the hub.

    Raises `InvalidRequest` for what can be no network of the hub.
    """
    spelled = name.strip()
    if (known := ARCHITECTURES.get(" ".join(spelled.lower().split()))) is not None:
        if not known.repository:
            raise InvalidRequest(f"{known.label} comes with the platform: there is nothing to fetch.")
        return known.repository
    if TIMM_NAME.fullmatch(spelled) or HUB_NAME.fullmatch(spelled):
        return spelled
    raise InvalidRequest(
        f"{spelled!r} is no network of the hub. Write timm/<network>.<tag>, as timm/resnet50.a1_in1k, or "
        "hf/<owner>/<encoder>, as hf/intfloat/multilingual-e5-small."
    )


def add_network(*, name: str, revision: str = "main", by: Any = None) -> HubNetwork:
    """Add a network of the hub, without fetching it; one that is there already is returned as it is.

    What the curated list does not know is asked of the hub; a hub that cannot be reached tells it with the fetch.
    Raises `InvalidRequest`.
    """
    spelled = full_name(name)
    found = HubNetwork.objects.filter(name=spelled).first()
    if found is not None:
        return found
    revision = revision.strip() or "main"
    facts = _curated_facts(spelled) or _facts_of_hub(spelled, revision)
    return _add(spelled, facts, wanted_revision=revision, added_by=by)


def note_network(*, name: str) -> HubNetwork:
    """Add a network without asking the hub, which tells its facts with the fetch. Raises `InvalidRequest`."""
    spelled = full_name(name)
    return _add(spelled, _curated_facts(spelled))


class NetworkFacts(TypedDict, total=False):
    """What is known of a network before it is fetched; `size` in bytes."""

    license: str
    size: int
    knows: str


def _add(name: str, facts: NetworkFacts, **more: Any) -> HubNetwork:
    network = HubNetwork(name=name, task_type=get_architecture(name).task_type, **facts, **more)
    try:
        network.full_clean()
        with transaction.atomic():
            network.save()
    except (ValidationError, IntegrityError) as error:
        raise InvalidRequest(f"{name} cannot be added: {error}") from error
    logger.info("network.added", network=name)
    return network


def _curated_facts(name: str) -> NetworkFacts:
    """Return licence, size and what a network knows as the curated list has them; nothing for any other network."""
    curated = find_curated(name)
    return {"license": curated.license, "size": curated.bytes, "knows": curated.knows} if curated else {}


def _facts_of_hub(name: str, revision: str) -> NetworkFacts:
    """Return licence, size and what a network knows as the hub tells it; nothing where it cannot be asked now."""
    if is_offline():
        return {}
    from .hub import look_up  # the hub's client, which web processes load when somebody adds a network

    try:
        facts = look_up(HubNetwork(name=name).repository, revision)
        files = needed_files(name, facts)
    except HubAway:
        return {}
    except HubRefusal as error:
        raise InvalidRequest(str(error)) from error
    size = sum(file.size for file in files)
    return {"license": facts.license[:100], "size": size, "knows": facts.knows}


def needed_files(name: str, facts: HubFacts) -> list[HubFile]:
    """Return the files of a repository that are fetched, small ones first. Raises `HubRefusal`."""
    encoder = name.startswith("hf/")
    wanted = [CONFIG, *([TOKENIZER] if encoder else []), WEIGHTS]
    for missing in (name for name in wanted if name not in facts.files or not facts.files[name].size):
        others = ", ".join(sorted(facts.files)[:8]) or "nothing"
        reason = {
            WEIGHTS: "Weights are read from safetensors files only, since other formats can hold programs",
            TOKENIZER: "Its texts cannot be cut into tokens without it",
            CONFIG: "What the network looks like is not said without it",
        }[missing]
        raise HubRefusal(
            f"{facts.repository} has no {missing} (it has: {others}). {reason}. Choose another network."
        )
    return [facts.files[name] for name in wanted]


def fetch_network(*, network: HubNetwork, by: Any = None) -> NetworkFetch:
    """Let a worker fetch a network; a fetch that has not ended goes on. Raises `InvalidRequest`."""
    if network.is_ready:
        raise InvalidRequest(f"{network.name} is here already. Remove it first to fetch another revision.")
    try:
        with transaction.atomic():
            fetch = NetworkFetch.objects.create(network=network, requested_by=by, total=network.size)
    except IntegrityError:
        return NetworkFetch.objects.unfinished().get(network=network)
    logger.info("network.fetch_requested", network=network.name)
    transaction.on_commit(lambda: announce(fetch))
    return fetch


def cancel_fetch(*, network: HubNetwork) -> None:
    """End the fetch of a network; what has arrived is deleted. Raises `InvalidRequest` when there is none."""
    fetch = NetworkFetch.objects.unfinished().filter(network=network).first()
    if fetch is None or not transitions.cancel(fetch):
        raise InvalidRequest(f"{network.name} is not being fetched.")


def remove_network(*, network: HubNetwork) -> None:
    """Forget a network and delete its files in the bucket; models that were trained with it keep all they need.

    Raises `InvalidRequest` while it is being fetched, or unfinished jobs train it.
    """
    if NetworkFetch.objects.unfinished().filter(network=network).exists():
        raise InvalidRequest(f"{network.name} is being fetched. Cancel that first.")
    network_removing.send(sender=HubNetwork, network=network)
    delete_files(network)
    network.delete()
    logger.info("network.removed", network=network.name)
