"""Run a worker: a Celery worker with the options that this platform's promises rest on.

Threads, because trainers are child processes of their own and a prefork child may not start any;
one job a slot; no chatter between workers, which filesystem brokers cannot carry.
"""

import os
import socket
import sys
import warnings
from typing import Any

from celery.exceptions import SecurityWarning
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from core.queue.app import app

from ...worker.devices import visible_gpus


class Command(BaseCommand):
    """`manage.py worker [--queues cpu,gpu] [--slots N]`."""

    help = "Run jobs until stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--queues", help="comma-separated (default: cpu, and gpu where there is one)")
        parser.add_argument("--slots", type=int, help="jobs at a time (default: as many as GPUs allow, or 1)")

    def handle(self, *args: object, **options: Any) -> None:
        gpus = visible_gpus()
        queues = options["queues"] or ("cpu,gpu" if gpus else "cpu")
        slots = options["slots"] or max(1, gpus // settings.TRAINYARD["GPUS_PER_JOB"])
        warnings.simplefilter("ignore", SecurityWarning)  # it is about pickle, and we take JSON alone
        sys.__stdout__ = None  # type: ignore[misc] # where Celery says, past every log, how it ends
        app.worker_main(
            [
                "--quiet",  # no banner
                "worker",
                "--pool=threads",
                f"--concurrency={slots}",
                f"--queues={queues}",
                f"--hostname=worker-{os.getpid()}@{socket.gethostname()}",
                "--without-gossip",
                "--without-mingle",
                "--without-heartbeat",
                "--loglevel=WARNING",
            ]
        )
