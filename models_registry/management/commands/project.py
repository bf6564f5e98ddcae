"""Projects from a shell: list them, show their versions, put one into production, roll back."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.exceptions import TrainyardError
from models_registry.models import Project, RegisteredModel
from models_registry.projects.selectors import find_project
from models_registry.projects.versions import promote_version, roll_back
from models_registry.selectors import production_of


class Command(BaseCommand):
    """`manage.py project list | show ID | promote ID VERSION [--expected N] | rollback ID [--expected N]`."""

    help = "List projects and their versions, and choose the version in production."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON")
        calls = parser.add_subparsers(dest="call", required=True)
        calls.add_parser("list", help="all projects, newest first")
        show = calls.add_parser("show", help="a project and its versions")
        promote = calls.add_parser("promote", help="put a version into production")
        back = calls.add_parser("rollback", help="put the version before into production again")
        for call in (show, promote, back):
            call.add_argument("project", help="its identifier or its token")
        promote.add_argument("version", type=int)
        for call in (promote, back):
            call.add_argument(
                "--expected", type=int, help="fail when another version is in production by now"
            )
            call.add_argument("--why", default="", help="a note for the history")

    def handle(self, *args: object, **options: Any) -> None:
        if options["call"] == "list":
            self._print([_described(one) for one in Project.objects.current()], as_json=options["json"])
            return
        try:
            project = find_project(options["project"])
            expected, why = options.get("expected"), options.get("why") or ""
            if options["call"] == "promote":
                promote_version(project=project, version=options["version"], expected=expected, why=why)
            elif options["call"] == "rollback":
                roll_back(project=project, expected=expected, why=why)
        except TrainyardError as error:
            raise CommandError(str(error)) from error
        versions = project.versions.exclude(state=RegisteredModel.State.DELETED).order_by("-version")
        told = [_described(project), *(_of_version(one) for one in versions.prefetch_related("aliases"))]
        self._print(told, as_json=options["json"])

    def _print(self, rows: list[dict[str, object]], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(rows, ensure_ascii=False))
            return
        for row in rows:
            self.stdout.write(
                "  ".join(f"{name} {value}" for name, value in row.items() if value not in ("", None))
            )


def _described(project: Project) -> dict[str, object]:
    production = production_of(project)
    return {
        "id": str(project.public_id),
        "name": project.name,
        "task_type": project.task_type,
        "production": production.version if production else None,
        "token": project.token,
    }


def _of_version(model: RegisteredModel) -> dict[str, object]:
    return {
        "version": model.version,
        "aliases": ", ".join(alias.name for alias in model.aliases.all()),
        "state": model.state,
        "accuracy": round(model.accuracy, 2),
        "token": model.token,
    }
