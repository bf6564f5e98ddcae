"""One attempt of a worker at fetching a network: from the hub, through this machine, into the bucket."""

import contextlib
import shutil
from pathlib import Path

import structlog
from django.db import close_old_connections, transaction
from django.utils import timezone

from bucket.files import upload
from work import transitions
from work.attempt import Attempt, HopelessAttempt

from ..engine.weights_files import stored_name
from . import hub
from .facts import HubFacts, HubFile, HubRefusal
from .files import delete_unpinned, partial_folder
from .models import PREFIX, HubNetwork, NetworkFetch
from .services import needed_files

logger = structlog.get_logger(__name__)

ROOM = 3  # times the size of what is fetched: it lies here, in a bucket that is a folder, and is read back


class FetchAttempt(Attempt[NetworkFetch]):
    """Fetches a network's files, pins their revision and SHA-256, and shares them through the bucket.

    What has arrived stays in `partial_folder` until the work has ended: the next attempt on this machine goes on there.
    """

    kind = NetworkFetch
    hopeless = (HubRefusal,)

    def run(self) -> None:
        """Fetch, check, share; then the row says that the network can be used."""
        network = HubNetwork.objects.get(pk=self.work.network_id)
        if network.is_ready:
            transitions.succeed(self.work)
            return
        facts = hub.look_up(network.repository, network.revision or network.wanted_revision)
        files = needed_files(network.name, facts)
        folder = partial_folder(self.work)
        folder.mkdir(parents=True, exist_ok=True)
        self._make_sure_of_room(folder, sum(file.size for file in files))
        found = self._fetch(network, facts, files, folder)
        for name, file in found.items():
            self.heartbeat.check()
            upload(folder / name, f"{PREFIX}{stored_name(network.repository, name, str(file['sha256']))}")
        self.heartbeat.check()
        size = sum(file.size for file in files)
        with transaction.atomic():
            HubNetwork.objects.filter(pk=network.pk).update(
                revision=facts.commit,
                files=found,
                size=size,
                license=network.license or facts.license[:100],
                knows=network.knows or facts.knows,
                fetched_at=timezone.now(),
                updated_at=timezone.now(),
            )
            transitions.succeed(self.work, done=size, total=size)
        logger.info("network.fetched", network=network.name, revision=facts.commit)

    def _fetch(
        self, network: HubNetwork, facts: HubFacts, files: list[HubFile], folder: Path
    ) -> dict[str, dict[str, str | int]]:
        """Copy the files into a folder; returns what is pinned of each."""
        total, before = sum(file.size for file in files), 0
        found: dict[str, dict[str, str | int]] = {}
        for file in files:

            def tell(arrived: int, before: int = before) -> None:
                self.heartbeat.tell(done=before + arrived, total=total)
                self.heartbeat.check()

            pinned = network.digests.get(file.name, "")
            sha256 = hub.download(facts, file, folder / file.name, tell=tell, sha256=pinned)
            found[file.name] = {"sha256": sha256, "size": file.size}
            before += file.size
        return found

    @staticmethod
    def _make_sure_of_room(folder: Path, size: int) -> None:
        free = shutil.disk_usage(folder).free
        if free < ROOM * size:
            raise HopelessAttempt(
                f"Fetching {size / 1e6:,.0f} MB needs {ROOM * size / 1e6:,.0f} MB of disk on the worker, and "
                f"{free / 1e6:,.0f} MB are free. Make room, then fetch again."
            )

    def tidy(self) -> None:
        """Leave nothing half-made once the work has ended; reconcile sweeps what this cannot reach."""
        close_old_connections()
        with contextlib.suppress(Exception):
            row = NetworkFetch.objects.filter(pk=self.work.pk).select_related("network").first()
            if row is None or row.is_final:
                shutil.rmtree(partial_folder(self.work), ignore_errors=True)
            if row is not None and row.is_final:
                delete_unpinned(row.network)
