"""Look after networks of the hub from a shell: what there is, add, fetch, remove.

Fetching is a worker's work; the command waits for it. With `--here` it does that work itself, as before the first
start of a worker or where a shell alone has a way to the hub.
"""

import json
import os
import socket
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.exceptions import TrainyardError
from work import transitions

from ...engine.curated import CURATED, seed_networks
from ...networks.models import HubNetwork, NetworkFetch
from ...networks.selectors import known_networks
from ...networks.services import add_network, cancel_fetch, fetch_network, full_name, remove_network

POLL = 0.5  # seconds


class Command(BaseCommand):
    """`manage.py networks list | add NAME | fetch [NAME … | --seed] | cancel NAME | remove NAME`."""

    help = "Show, add, fetch and remove networks of the Hugging Face hub."

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_subparsers(dest="what", required=True)
        shown = what.add_parser("list", help="networks that were added, and those of the curated list")
        shown.add_argument("--json", action="store_true", help="print one JSON array")
        added = what.add_parser("add", help="add a network without fetching it")
        added.add_argument("name", help="timm/<network>.<tag> or hf/<owner>/<encoder>")
        added.add_argument("--revision", default="main", help="a branch, tag or commit (default: main)")
        fetched = what.add_parser("fetch", help="fetch networks, which are added first if need be")
        fetched.add_argument("name", nargs="*")
        fetched.add_argument(
            "--seed",
            action="store_true",
            help="what the form of older clients expects: resnet18, resnet34 and mobilenet v2 with pretrained weights",
        )
        fetched.add_argument("--here", action="store_true", help="fetch in this process, without a worker")
        fetched.add_argument("--no-wait", action="store_true", help="leave it to a worker")
        fetched.add_argument("--timeout", type=float, default=3600, help="seconds to wait (default: 3600)")
        for verb, words in (("cancel", "end a fetch"), ("remove", "forget a network and delete its files")):
            what.add_parser(verb, help=words).add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['what']}")(options)
        except TrainyardError as error:
            raise CommandError(str(error)) from error

    def _list(self, options: dict[str, Any]) -> None:
        rows = known_networks()
        if options["json"]:
            self.stdout.write(json.dumps(rows))
            return
        for row in rows:
            size = f"{row['bytes'] / 1e6:,.0f} MB" if row["bytes"] else "size not known"
            self.stdout.write(
                f"{row['name']}: {row['state']}; {size}, {row['license'] or 'licence not known'}; {row['knows']}"
            )

    def _add(self, options: dict[str, Any]) -> None:
        network = add_network(name=options["name"], revision=options["revision"])
        self.stdout.write(f"{network.name} is added. Fetch it: manage.py networks fetch {network.name}")

    def _fetch(self, options: dict[str, Any]) -> None:
        names = [*options["name"], *(one.name for one in seed_networks() if options["seed"])]
        if not names:
            listed = ", ".join(one.name for one in CURATED)
            raise CommandError(f"Name a network, or say --seed. Known: {listed}.")
        failed = [name for name in names if not self._fetch_one(name, options)]
        if failed:
            raise CommandError(f"Not fetched: {', '.join(failed)}.")

    def _fetch_one(self, name: str, options: dict[str, Any]) -> bool:
        network = add_network(name=name)
        if network.is_ready:
            self.stdout.write(f"{network.name} is here already.")
            return True
        fetch = fetch_network(network=network)
        if options["here"]:
            self._carry_out(fetch)
        elif options["no_wait"]:
            self.stdout.write(f"{network.name} waits for a worker.")
            return True
        return self._watch(fetch, network, options["timeout"])

    @staticmethod
    def _carry_out(fetch: NetworkFetch) -> None:
        """Do a worker's work in this process, unless a worker was faster."""
        from ...networks.attempts import FetchAttempt

        claimed = transitions.claim(fetch, worker=f"shell@{socket.gethostname()}:{os.getpid()}")
        if claimed is not None:
            FetchAttempt(claimed).carry_out()

    def _watch(self, fetch: NetworkFetch, network: HubNetwork, timeout: float) -> bool:
        """Tell progress until a fetch has ended; returns whether it succeeded."""
        deadline, said = time.monotonic() + timeout, ""
        while True:
            fetch.refresh_from_db()
            line = f"{network.name}: {fetch.get_state_display()}, {fetch.percent} %"
            if fetch.is_final:
                break
            if line != said:
                self.stderr.write(said := line)
            if time.monotonic() > deadline:
                raise CommandError(
                    f"{network.name} is not fetched after {timeout:.0f} seconds; it goes on. Is a worker running?"
                )
            time.sleep(POLL)
        self.stdout.write(f"{network.name}: {fetch.get_state_display()}. {fetch.message}".rstrip())
        return fetch.state == NetworkFetch.State.SUCCEEDED

    def _cancel(self, options: dict[str, Any]) -> None:
        cancel_fetch(network=_network(options["name"]))
        self.stdout.write("Cancelled.")

    def _remove(self, options: dict[str, Any]) -> None:
        remove_network(network=_network(options["name"]))
        self.stdout.write("Removed.")


def _network(name: str) -> HubNetwork:
    found = HubNetwork.objects.filter(name=full_name(name)).first()
    if found is None:
        raise CommandError(f"{name} was not added. `manage.py networks list` shows what there is.")
    return found
