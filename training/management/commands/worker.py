"""Run a worker: a Celery worker with the options that this platform's promises rest on.

Threads, because trainers are child processes of their own and a prefork child may not start any;
one job a slot; no chatter between workers, which filesystem brokers cannot carry.
"""

import os
import socket
from typing import Any

from celery import current_app
from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    """`manage.py worker [--queues cpu,gpu] [--slots 1]`."""

    help = "Run jobs until stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--queues", default="cpu,gpu", help="comma-separated (default: cpu,gpu)")
        parser.add_argument(
            "--slots", type=int, default=1, help="jobs at a time; one for each GPU (default: 1)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        current_app.worker_main(
            [
                "worker",
                "--pool=threads",
                f"--concurrency={options['slots']}",
                f"--queues={options['queues']}",
                f"--hostname=worker-{os.getpid()}@{socket.gethostname()}",
                "--without-gossip",
                "--without-mingle",
                "--without-heartbeat",
                "--loglevel=WARNING",
            ]
        )
