"""Delete expired models; cron runs this.

Honours cleanup.json as it lies in the bucket: deletes only when its status is exactly `active`.
Exits 1 when the document is unreadable, when the bucket fails, or when a file could not be deleted.
"""

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.template.defaultfilters import filesizeformat

from core.exceptions import BucketError
from models_registry.retention import clean_up


class Command(BaseCommand):
    """`manage.py cleanup [--dry-run] [--json]`."""

    help = "Delete the models whose time is over, as cleanup.json and the policy allow."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say what would be deleted")
        parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")

    def handle(self, *args: object, **options: Any) -> None:
        dry_run = options["dry_run"]
        try:
            report = clean_up(dry_run=dry_run)
        except BucketError as error:
            raise CommandError(str(error)) from error
        if report.reason:
            self.stdout.write(f"Nothing deleted: {report.reason}.")
        else:
            verb = "Would delete" if dry_run else "Deleted"
            size = filesizeformat(report.bytes).replace("\xa0", " ")
            self.stdout.write(f"{verb} {len(report.deleted)} models, {size}.")
        if report.pinned:
            self.stdout.write(
                f"{report.pinned} models are past their time and kept, because they are pinned."
            )
        for token, reason in report.failed.items():
            self.stderr.write(f"{token}: {reason}")
        if options["json"]:
            self.stdout.write(json.dumps({"dry_run": dry_run, **asdict(report)}))
        if report.failed:
            raise CommandError(f"{len(report.failed)} models could not be deleted; the next run tries again.")
