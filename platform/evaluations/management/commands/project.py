"""Projects from a shell: their examples, their versions measured and compared, the one in production."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from django.core.files import File
from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.exceptions import TrainyardError
from evaluations.comparison import compare, standing_of
from evaluations.models import Evaluation
from evaluations.selectors import find_file
from evaluations.services import compare_versions, evaluate_on_upload, evaluate_version
from models_registry.models import Project, RegisteredModel
from models_registry.projects.aliases import note_on_version, remove_alias, set_alias
from models_registry.projects.selectors import find_project
from models_registry.projects.services import change_project
from models_registry.projects.versions import promote_version, roll_back
from models_registry.selectors import production_of
from training.management import examples

LOOK = 0.2  # seconds between two looks at what a worker does


class Command(BaseCommand):
    """`manage.py project list | show | examples | promote | …`; `--help` lists the calls and what each takes."""

    help = "List projects, mend their examples, measure and compare their versions, choose the one in production."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON")
        calls = parser.add_subparsers(dest="call", required=True)
        calls.add_parser("list", help="all projects, newest first")
        show = calls.add_parser("show", help="a project and its versions")
        promote = calls.add_parser("promote", help="put a version into production")
        back = calls.add_parser("rollback", help="put the version before into production again")
        evaluate = calls.add_parser("evaluate", help="measure a version; waits for the figures")
        keep = calls.add_parser("keep", help="choose how long versions that are not in production are kept")
        alias = calls.add_parser("alias", help="let a name stand for a version; 0 takes it off")
        note = calls.add_parser("note", help="note what is new in a version")
        policy = calls.add_parser("policy", help="choose who promotes new versions")
        compare = calls.add_parser("compare", help="measure what is missing, and compare versions")
        examples.add_calls(calls.add_parser("examples", help="list, mend, add and download its examples"))
        for call in (show, promote, back, evaluate, compare, policy, alias, note, keep):
            call.add_argument("project", help="its identifier or its token")
        alias.add_argument("name")
        for call in (promote, evaluate, alias, note):
            call.add_argument("version", type=int)
        note.add_argument("notes")
        keep.add_argument(
            "days", type=int, help="after their last use; 0: as long as the platform keeps them"
        )
        policy.add_argument("policy", choices=Project.Policy.values)
        compare.add_argument("versions", type=int, nargs="+", metavar="version")
        evaluate.add_argument(
            "--file", type=Path, help="a labelled zip or table; else the project's own examples"
        )
        compare.add_argument("--file-id", type=int, help="a labelled file that an evaluation has brought")
        for call in (evaluate, compare):
            call.add_argument("--timeout", type=float, default=600, help="seconds to wait for a worker")
        for call in (promote, back, alias):
            call.add_argument("--expected", type=int, help="fail when another version has the name by now")
            call.add_argument("--why", default="", help="a note for the history")

    def handle(self, *args: object, **options: Any) -> None:
        if options["call"] == "list":
            self._print([_described(one) for one in Project.objects.current()], as_json=options["json"])
            return
        try:
            project = find_project(options["project"])
            if options["call"] == "examples":
                self._print(examples.carry_out(project, options), as_json=options["json"])
                return
            if options["call"] == "evaluate":
                self._evaluate(project, options)
                return
            if options["call"] == "compare":
                self._compare(project, options)
                return
            if options["call"] in CHANGES:
                CHANGES[options["call"]](project, options)
        except (TrainyardError, OSError) as error:
            raise CommandError(str(error)) from error
        versions = project.versions.exclude(state=RegisteredModel.State.DELETED).order_by("-version")
        told = [_described(project), *(_of_version(one) for one in versions.prefetch_related("aliases"))]
        self._print(told, as_json=options["json"])

    def _evaluate(self, project: Project, options: dict[str, Any]) -> None:
        """Measure a version, and print its figures."""
        path, version = options["file"], options["version"]
        if path is None:
            found = evaluate_version(project=project, version=version, author=None)
        else:
            with open_upload(path) as source:
                file = File(source, path.name)
                found = evaluate_on_upload(project=project, version=version, author=None, file=file)
        _wait([found], options["timeout"])
        if found.state != Evaluation.State.SUCCEEDED:
            raise CommandError(f"Version {options['version']} could not be measured: {found.message}")
        self._print([_of_evaluation(found)], as_json=options["json"])

    def _compare(self, project: Project, options: dict[str, Any]) -> None:
        """Measure what is missing, and print the comparison."""
        file = find_file(project, options["file_id"])
        versions = options["versions"]
        _wait(
            compare_versions(project=project, versions=versions, author=None, file=file), options["timeout"]
        )
        standing = standing_of(project, versions, file)
        for failed in standing.failed:
            raise CommandError(f"Version {failed.model.version} could not be measured: {failed.message}")
        found = compare(standing)
        rows = [_of_figures(version, figures) for version, figures in found.figures.items()]
        if options["json"]:
            pairs = [
                {
                    "first": pair.first,
                    "second": pair.second,
                    "p": pair.difference.p,
                    "better": pair.better,
                    "beyond_chance": pair.difference.is_beyond_chance,
                }
                for pair in found.pairs
            ]
            told = {
                "basis": str(standing.basis),
                "examples": found.examples,
                "versions": rows,
                "pairs": pairs,
            }
            self.stdout.write(json.dumps(told, ensure_ascii=False))
            return
        self.stdout.write(f"On {found.examples:,} examples ({Evaluation.Basis(standing.basis).label}):")
        self._print(rows, as_json=False)
        for pair in found.pairs:
            self.stdout.write(pair.words)

    def _print(self, rows: list[dict[str, object]], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(rows, ensure_ascii=False))
            return
        for row in rows:
            self.stdout.write(
                "  ".join(f"{name} {value}" for name, value in row.items() if value not in ("", None))
            )


def _promote(project: Project, options: dict[str, Any]) -> None:
    version, expected = options["version"], options["expected"]
    promote_version(project=project, version=version, expected=expected, why=options["why"])


def _roll_back(project: Project, options: dict[str, Any]) -> None:
    roll_back(project=project, expected=options["expected"], why=options["why"])


def _name(project: Project, options: dict[str, Any]) -> None:
    name, version, why = options["name"], options["version"], options["why"]
    if version:
        set_alias(project=project, name=name, version=version, expected=options["expected"], why=why)
    else:
        remove_alias(project=project, name=name, why=why)


def _note(project: Project, options: dict[str, Any]) -> None:
    note_on_version(project=project, version=options["version"], notes=options["notes"])


def _keep(project: Project, options: dict[str, Any]) -> None:
    change_project(project=project, changes={"retention_days": options["days"] or None})


def _choose_policy(project: Project, options: dict[str, Any]) -> None:
    change_project(project=project, changes={"policy": options["policy"]})


CHANGES = {
    "promote": _promote,
    "rollback": _roll_back,
    "alias": _name,
    "note": _note,
    "keep": _keep,
    "policy": _choose_policy,
}


def open_upload(path: Path) -> BinaryIO:
    """Open a file. Raises `CommandError`."""
    try:
        return path.open("rb")
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from error


def _wait(evaluations: list[Evaluation], timeout: float) -> None:
    """Wait until evaluations have ended. Raises `CommandError`."""
    deadline = time.monotonic() + timeout
    while not all(one.is_final for one in evaluations):
        if time.monotonic() > deadline:
            raise CommandError(
                f"No worker has measured it within {timeout:g} s. It waits: ask again, or start a worker."
            )
        time.sleep(LOOK)
        for one in evaluations:
            one.refresh_from_db()


def _of_evaluation(found: Evaluation) -> dict[str, object]:
    figures = found.figures
    told: dict[str, object] = {"basis": found.basis, **_of_figures(found.model.version, figures)}
    for name in ("learnt", "unreadable", "beyond"):
        told[name] = figures.get(name) or None
    return told | {"unknown": figures.get("unknown") or None}


def _of_figures(version: int, figures: Mapping[str, Any]) -> dict[str, object]:
    """Return what is printed of a version's figures; percent."""
    told: dict[str, object] = {"version": version, "examples": figures["examples"]}
    for name in ("accuracy", "macro_f1"):
        told[name] = round(100 * figures[name], 2)
        told[f"{name}_interval"] = [round(100 * figures[f"{name}_{end}"], 2) for end in ("low", "high")]
    return told


def _described(project: Project) -> dict[str, object]:
    production = production_of(project)
    return {
        "id": str(project.public_id),
        "name": project.name,
        "task_type": project.task_type,
        "production": production.version if production else None,
        "policy": project.policy,
        "retention_days": project.retention_days,
        "token": project.token,
    }


def _of_version(model: RegisteredModel) -> dict[str, object]:
    return {
        "version": model.version,
        "aliases": ", ".join(alias.name for alias in model.aliases.all()),
        "state": model.state,
        "accuracy": round(model.accuracy, 2),
        "notes": model.notes,
        "token": model.token,
    }
