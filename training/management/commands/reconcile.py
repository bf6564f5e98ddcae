"""Rescue jobs of dead workers, announce forgotten ones, sweep left files, publish documents.

Cron runs it every minute; running it twice at once does no harm. Exits 1 when a document could not
be published.
"""

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.exceptions import BucketError
from training.reconcile import reconcile


class Command(BaseCommand):
    """`manage.py reconcile [--json]`."""

    help = "Make whole again what a crash left half done."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            report = reconcile()
        except BucketError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{len(report.rescued)} jobs rescued, {report.announced} announced, {report.swept} files swept."
        )
        if options["json"]:
            self.stdout.write(json.dumps(asdict(report)))
        failed = [key for key, outcome in report.documents.items() if outcome == "failed"]
        if failed:
            raise CommandError(f"Could not publish {', '.join(failed)}; the admin's Documents page says why.")
