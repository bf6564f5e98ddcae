"""Compare the four documents and the files in the bucket with the database, and repair them.

Exits 1 on any difference, so that cron and scripts notice.
"""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.exceptions import BucketError
from documents.drift import check_documents, repair_documents
from documents.publish import publish_waiting

from ...bucket_check import check_bucket


class Command(BaseCommand):
    """`manage.py sync_documents [--check | --repair] [--json]`."""

    help = "Publish what is waiting; with --check only compare, with --repair write every document anew."

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--check", action="store_true", help="compare only, change nothing")
        what.add_argument("--repair", action="store_true", help="write what differs anew from the database")
        parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")

    def handle(self, *args: object, **options: Any) -> None:
        try:
            if options["repair"]:
                repair_documents()
            elif not options["check"]:
                publish_waiting()
            bucket = check_bucket(anew=True)
            drifts = check_documents()
        except BucketError as error:
            raise CommandError(str(error)) from error
        if not bucket.enforced:
            self.stderr.write(self.style.WARNING(bucket.message))
        for drift in drifts:
            self.stdout.write(f"{drift.key}: {'; '.join(drift.problems) or 'in step'}")
        wrong = {drift.key: drift.problems for drift in drifts if drift.problems}
        if options["json"]:
            self.stdout.write(json.dumps({"documents": wrong or "ok"}))
        if wrong:
            raise CommandError(
                f"The bucket differs from the database: {', '.join(wrong)}. --repair writes the documents anew."
            )
