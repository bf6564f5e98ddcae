"""Submit a job from a shell, and with --wait watch it until its model is live."""

import json
from pathlib import Path
from typing import Any, BinaryIO

from django.core.files import File
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import User
from core.exceptions import TrainyardError
from models_registry.inputs import Corrections
from models_registry.models import TaskType
from models_registry.projects.selectors import find_project
from training.management.corrections import add_corrections, corrections_of, plan_lines, report_lines
from training.management.watching import describe, fail_unless_succeeded, watch

from ...datasets.dry_run import PlanUpload, plan_upload
from ...engine.data.plan import DataPlan
from ...engine.specs.hyperparameters import OPTIONS
from ...engine.specs.strategies import DEFAULT_STRATEGY, STRATEGIES, strategy_of
from ...jobs.models import TrainingJob
from ...jobs.services import JobSettings, settings_by_field
from ...jobs.submissions import Submission, submit_upload

SETTABLE = ("seed", "priority", *OPTIONS)


class Command(BaseCommand):
    """`manage.py submit --task … --data … --name … [--dry-run] [--preset …] [--set FIELD=VALUE] [--wait] [--json]`."""

    help = "Upload a data set and train a model on it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--task", required=True, choices=TaskType.values)
        parser.add_argument(
            "--data", required=True, type=Path, help="a zip with a folder per class, or a table"
        )
        parser.add_argument("--name", help="of the model; a dry run needs none")
        parser.add_argument(
            "--dry-run", action="store_true", help="print what would become of the data, and keep nothing"
        )
        add_corrections(parser)
        parser.add_argument(
            "--owner", help="a user's name (default: nobody's, for operators alone to manage)"
        )
        parser.add_argument(
            "--project", metavar="ID", help="whose next version the model becomes (default: a new project)"
        )
        _add_settings(parser)
        parser.add_argument(
            "--wait", action="store_true", help="until the job has ended; exit 1 when it failed"
        )
        parser.add_argument("--timeout", type=float, default=3600, help="seconds to wait (default: 3600)")
        parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")

    def handle(self, *args: object, **options: Any) -> None:
        if not options["name"] and not options["dry_run"]:
            raise CommandError("Name the model: --name.")
        corrections = corrections_of(options)
        try:
            plan = self._plan(options, corrections)
            if options["dry_run"]:
                return self._end_dry_run(plan, as_json=options["json"])
            job = self._submit(options, corrections)
        except TrainyardError as error:
            raise CommandError(str(error)) from error
        report = job.dataset.report
        for words in report_lines(report):
            self.stderr.write(words, style_func=str)
        self.stdout.write(f"Queued {job.name} as {job.token}")
        if options["wait"]:
            job = watch(job, timeout=options["timeout"], stdout=self.stdout, stderr=self.stderr)
        if options["json"]:
            data = {key: report.get(key) for key in ("classes", "warnings", "unreadable")}
            self.stdout.write(json.dumps({**describe(job), "plan": plan.to_json(), **data}))
        fail_unless_succeeded(job)
        return None

    def _plan(self, options: dict[str, Any], corrections: Corrections) -> DataPlan:
        """Return what would become of the data, and print it where errors go."""
        with _opened(options["data"]) as file:
            plan = plan_upload(
                PlanUpload(
                    name=options["data"].name,
                    task_type=options["task"],
                    file=File(file, name=options["data"].name),
                    corrections=corrections,
                )
            )
        for words in plan_lines(plan):
            self.stderr.write(words, style_func=str)
        return plan

    def _end_dry_run(self, plan: DataPlan, *, as_json: bool) -> None:
        """Print the plan for a program; fail when nothing could be trained."""
        if as_json:
            self.stdout.write(json.dumps(plan.to_json()))
        if plan.problem:
            raise CommandError(plan.problem)

    def _submit(self, options: dict[str, Any], corrections: Corrections) -> TrainingJob:
        owner = None
        if options["owner"]:
            owner = User.objects.filter(username=options["owner"]).first()
            if owner is None:
                raise CommandError(f"There is no user {options['owner']!r}.")
        more = dict(_assignment(text) for text in options["set"])
        choice = JobSettings(
            architecture=options["model"],
            strategy=strategy_of(options["preset"]) if options["preset"] else options["strategy"],
            data_split=options["data_split"],
            downloadable=not options["not_downloadable"],
            seed=more.pop("seed", 0),
            more=settings_by_field(more),
        )
        with _opened(options["data"]) as file:
            submission = Submission(
                name=options["name"],
                task_type=options["task"],
                file=File(file, name=options["data"].name),
                columns=None,
                corrections=corrections,
                choice=choice,
                origin=TrainingJob.Origin.SHELL,
                project=find_project(options["project"]) if options["project"] else None,
            )
            return submit_upload(owner=owner, submission=submission)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise CommandError(f"Cannot read {path}: {error.strerror}.") from error


def _add_settings(parser: CommandParser) -> None:
    """Add the options that say how to train."""
    parser.add_argument("--model", help="architecture (default: the task's own)")
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--preset",
        choices=[spec.preset for spec in STRATEGIES.values()],
        help=f"how to train (default: {STRATEGIES[DEFAULT_STRATEGY].preset})",
    )
    how.add_argument(
        "--strategy", choices=STRATEGIES, default=DEFAULT_STRATEGY, help="the same in other words"
    )
    parser.add_argument(
        "--data-split", default="70 : 30", help='"training : validation" (default: "70 : 30")'
    )
    parser.add_argument("--not-downloadable", action="store_true")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help=", ".join(SETTABLE))


def _assignment(text: str) -> tuple[str, Any]:
    """Parse FIELD=VALUE into a setting and its value: JSON where it is some, else a word."""
    field, found, value = text.partition("=")
    if not found or field not in SETTABLE:
        raise CommandError(f"--set {text}: write FIELD=VALUE with one of {', '.join(SETTABLE)}.")
    try:
        return field, json.loads(value)
    except ValueError:
        return field, value
