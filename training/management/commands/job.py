"""Look after one job from a shell: how far it is, wait for its end, cancel it."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.exceptions import TrainyardError
from training.management.watching import describe, fail_unless_succeeded, progress_line, watch

from ...jobs.models import TrainingJob
from ...jobs.services import cancel_job


class Command(BaseCommand):
    """`manage.py job TOKEN [--wait | --cancel] [--json]`."""

    help = "Show a job's state, wait for its end, or cancel it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("token")
        what = parser.add_mutually_exclusive_group()
        what.add_argument(
            "--wait", action="store_true", help="until the job has ended; exit 1 when it failed"
        )
        what.add_argument("--cancel", action="store_true", help="end the job")
        parser.add_argument("--timeout", type=float, default=3600, help="seconds to wait (default: 3600)")
        parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")

    def handle(self, *args: object, **options: Any) -> None:
        job = TrainingJob.objects.select_related("registered_model").filter(token=options["token"]).first()
        if job is None:
            raise CommandError("There is no job with this token.")
        try:
            if options["cancel"]:
                cancel_job(job=job)
        except TrainyardError as error:
            raise CommandError(str(error)) from error
        if options["wait"]:
            job = watch(job, timeout=options["timeout"], stdout=self.stdout, stderr=self.stderr)
        self.stdout.write(f"{job.name}: {job.state if job.is_final else progress_line(job)}")
        if options["json"]:
            self.stdout.write(json.dumps(describe(job)))
        if options["wait"]:
            fail_unless_succeeded(job)
