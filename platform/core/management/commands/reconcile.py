"""Run every periodic task once: rescue jobs, bring documents into step, sweep files, check models.

Cron runs it every minute; running it twice at once does no harm. A task that fails keeps none of the
others from running, and makes the command exit 1.
"""

import json
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.periodic import Runner

PATIENCE = timedelta(minutes=10)  # that one task may take before it is left behind and counts as failed


class Command(BaseCommand):
    """`manage.py reconcile [--json]`."""

    help = "Make whole again what a crash left half done."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")

    def handle(self, *args: object, **options: Any) -> None:
        runs = Runner(patience=PATIENCE).run_due()
        for run in runs:
            did = "" if run.did is None else f": {run.did}"
            said = (
                f"FAILED: {run.error}"
                if run.error
                else f"skipped: {run.skipped}"
                if run.skipped
                else f"ok{did}"
            )
            self.stdout.write(f"{run.name}: {said}")
        if options["json"]:
            self.stdout.write(json.dumps({run.name: run.as_dict() for run in runs}))
        failed = [run.name for run in runs if not run.is_well]
        if failed:
            raise CommandError(f"These tasks failed, and were left for the next time: {', '.join(failed)}.")
