"""What a large project costs: its pages and REST lists, an edit of 10,000 examples at once, the next revision.

It has 100,000 examples, 1,000 versions and as many edits, and its owner 10,000 projects. Each is measured in the
server's own process, on PostgreSQL and on SQLite; pages are the best of several, as a machine has other work.
`constant` says that no page takes more queries than one of a small project.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.registry_pages import _platform
from devtools.platform_process import ROOT

EXAMPLES, EDITED, CLASSES, RUNS = 100_000, 10_000, 50, 7
VERSIONS, PROJECTS, EDITS = 1_000, 10_000, 1_000


def project_pages() -> dict[str, Any]:
    """Return milliseconds and queries of the pages, and the seconds of an edit, its undo and a revision."""
    figures: dict[str, Any] = {}
    for name in ("postgresql", "sqlite"):
        with _platform(name) as env:
            figures |= {f"{name}_{key}": value for key, value in _in_a_process(env).items()}
    return figures


def _in_a_process(env: Mapping[str, str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.project_pages"]
    done = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


# The rest runs in that process -------------------------------------------------------------------


def _main() -> None:
    sys.path.insert(0, str(ROOT / "platform"))
    import django

    django.setup()
    from django.db import connection

    from training.examples.models import Example

    small, project = _project(few=True), _project()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")  # as PostgreSQL does by itself, within a minute
    middle = Example.objects.filter(project=project).order_by("pk")[EXAMPLES // 2].pk
    print(json.dumps({**_of_pages(small, project, middle), **_of_edits(project, middle)}), flush=True)


def _of_pages(small: Any, project: Any, middle: int) -> dict[str, Any]:
    """Return the milliseconds and queries of each page of a large project; `middle` is one of its examples."""
    from django.test import Client

    client = Client(SERVER_NAME="localhost")
    client.force_login(project.owner)
    pages = _pages(project, middle)
    few = {name: _queries(client, address) for name, address in _pages(small, 0).items()}
    figures: dict[str, Any] = {}
    for name, address in pages.items():
        figures[f"{name}_ms"] = _best(lambda address=address: client.get(address))  # type: ignore[misc]
        figures[f"{name}_queries"] = _queries(client, address)
    figures["slowest_ms"], figures["slowest"] = max((figures[f"{name}_ms"], name) for name in pages)
    figures["constant"] = all(figures[f"{name}_queries"] <= few[name] for name in pages)
    return figures


def _of_edits(project: Any, middle: int) -> dict[str, Any]:
    """Return the seconds of an edit of many examples, of its undo, and of the revision that has it."""
    from training.examples import edits
    from training.examples.models import Example
    from training.examples.revisions import next_revision

    chosen = Example.objects.filter(project=project, pk__lt=middle, pk__gte=middle - EDITED)
    who = {"project": project, "author": project.owner}
    figures: dict[str, Any] = {}
    figures["relabel_s"] = _seconds(lambda: edits.relabel(**who, chosen=chosen, label="another"))
    figures["undo_s"] = _seconds(lambda: edits.undo(**who))
    edits.relabel(**who, chosen=chosen, label="another")
    figures["revision_s"] = _seconds(lambda: next_revision(**who))
    figures["revision_bytes"] = project.revisions.first().size
    return figures


def _pages(project: Any, middle: int) -> dict[str, str]:
    """Return the address of each page and list by its name; `middle` is an example."""
    page, rest = f"/projects/{project.public_id}/", f"/api/v1/projects/{project.public_id}/"
    data = {
        "page": "",
        "middle": f"?after=0:{middle}",
        "class": "?class=class+7",
        "doubts": "?show=doubt",
        "excluded": "?show=excluded",
        "pending": "?show=pending",
        "confirmed": "?show=confirmed",
        "by_author": "?by=owner",
        "by_nobody": "?by=stranger&since=2026-01-01",
        "camera": "?source=camera",
        "searched": "?q=machine",
        "searched_in_vain": "?q=there+is+none",
    }
    return {
        **{f"data_{name}": f"{page}data/{query}" for name, query in data.items()},
        **{
            name: page + (f"{name}/" if name != "overview" else "")
            for name in ("overview", "versions", "use", "settings")
        },
        "evaluations": f"{page}versions/evaluations/",
        "compare": f"{page}versions/compare/",
        "expiring": "/expiring/",
        "projects": "/projects/",
        "rest_projects": "/api/v1/projects/",
        "rest_project": rest,
        **{f"rest_{name}": f"{rest}{name}/" for name in ("versions", "examples", "revisions")},
        "rest_searched_in_vain": f"{rest}examples/?q=there+is+none",
    }


def _project(*, few: bool = False) -> Any:
    """Make a project of a person; `few` makes a small one of the same person."""
    from accounts.models import User
    from models_registry.models import Project

    owner, _ = User.objects.get_or_create(username="owner")
    kept = {"owner": owner, "task_type": "textclassification"}
    if not few:
        Project.objects.bulk_create(
            Project(token=f"text-{number}", name=f"Project {number}", **kept) for number in range(2, PROJECTS)
        )
    number, name = (0, "Small") if few else (1, "Large")
    project = Project.objects.create(token=f"text-{number}", name=name, **kept)
    _versions(project, 3 if few else VERSIONS)
    _edits(project, 3 if few else EDITS)
    _examples(project, 100 if few else EXAMPLES)
    return project


def _examples(project: Any, number: int) -> None:
    """Give a project examples that lie in one upload, and the revision that lists them."""
    from training.datasets.models import Dataset
    from training.examples.models import Example, Revision

    shard = Dataset.objects.create(
        name=project.name,
        owner=project.owner,
        task_type=project.task_type,
        key=f"training/{project.pk}",
        original_name="large.csv",
        size=9,
        sha256="5" * 64,
        examples=number,
    )
    rows = (_example(project, shard, one) for one in range(number))
    Example.objects.bulk_create(rows, batch_size=2_000)
    Revision.objects.create(
        project=project,
        number=1,
        key=f"projects/{project.pk}",
        size=1,
        sha256="0" * 64,
        examples=number,
        summary="x",
    )


def _example(project: Any, shard: Any, number: int) -> Any:
    """Return an example: one of 7 was edited, one of 20 looks wrong, one of 50 is excluded."""
    from training.examples.models import Example

    return Example(
        project=project,
        shard=shard,
        place=str(number),
        sha256=f"{number:064x}",
        label=f"class {number % CLASSES}",
        split=("train", "train", "validation")[number % 3],
        text=f"Sentence {number}: why does my card not work in the machine at the corner?",
        given=0.2,
        suggested="class 1",
        likely=0.7,
        doubt=number / EXAMPLES if number % 20 == 0 else None,
        version=number % EDITS if number % 7 == 0 else 0,
        excluded=number % 50 == 1,
    )


def _versions(project: Any, number: int) -> None:
    """Give a project versions, each of which was in production once."""
    from models_registry.models import PRODUCTION, Alias, AliasMove, RegisteredModel

    models = RegisteredModel.objects.bulk_create(
        RegisteredModel(
            project=project,
            version=version,
            token=f"{project.token}-version-{version}",
            name=project.name,
            owner=project.owner,
            task_type=project.task_type,
            architecture="none",
            strategy="frozen",
            classes=["a", "b"],
            accuracy=90,
            metrics={"per_class": [{"label": str(label), "precision": 0.9} for label in range(CLASSES)]},
        )
        for version in range(1, number + 1)
    )
    Alias.objects.create(project=project, name=PRODUCTION, model=models[-1])
    AliasMove.objects.bulk_create(
        AliasMove(
            project=project, name=PRODUCTION, from_model=before, to_model=after, kind=AliasMove.Kind.PROMOTION
        )
        for before, after in zip([None, *models], models, strict=False)
    )


def _edits(project: Any, number: int) -> None:
    from training.examples.models import Edit

    Edit.objects.bulk_create(
        Edit(
            project=project,
            number=one,
            author=project.owner,
            kind=Edit.Kind.EXCLUDE,
            summary="1 example excluded",
            examples=1,
            changes=[{"ids": [1]}],
        )
        for one in range(1, number + 1)
    )


def _best(ask: Callable[[], object]) -> float:
    return round(1000 * min(_seconds(ask, 6) for _ in range(RUNS)), 1)


def _seconds(do: Callable[[], object], digits: int = 2) -> float:
    began = time.perf_counter()
    do()
    return round(time.perf_counter() - began, digits)


def _queries(client: Any, address: str) -> int:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        assert client.get(address).status_code == 200
    return len(queries)


if __name__ == "__main__":
    _main()
