"""What a project of 100,000 examples costs: its data page, an edit of 10,000 at once, the next revision.

Each is measured in the server's own process, on PostgreSQL and on SQLite; pages are the best of several, as a machine
has other work. The text that is searched is in no example, which is the worst case.
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


def project_data() -> dict[str, Any]:
    """Return milliseconds and queries of the pages, and the seconds of an edit, its undo and a revision."""
    figures: dict[str, Any] = {}
    for name in ("postgresql", "sqlite"):
        with _platform(name) as env:
            figures |= {f"{name}_{key}": value for key, value in _in_a_process(env).items()}
    return figures


def _in_a_process(env: Mapping[str, str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.project_data"]
    done = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


# The rest runs in that process -------------------------------------------------------------------


def _main() -> None:
    sys.path.insert(0, str(ROOT / "platform"))
    import django

    django.setup()
    from django.db import connection
    from django.test import Client

    from training.examples import edits
    from training.examples.models import Example
    from training.examples.revisions import next_revision

    project = _project()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE training_example")
    client = Client(SERVER_NAME="localhost")
    client.force_login(project.owner)
    address = f"/projects/{project.public_id}/data/"
    middle = Example.objects.order_by("pk")[EXAMPLES // 2].pk
    figures: dict[str, Any] = {}
    for name, query in {
        "page": "",
        "middle": f"?after=0:{middle}",
        "class": "?class=class+7",
        "doubts": "?show=doubt",
        "searched_in_vain": "?q=there+is+none",
    }.items():
        figures[f"{name}_ms"] = _best(lambda query=query: client.get(address + query))  # type: ignore[misc]
        figures[f"{name}_queries"] = _queries(client, address + query)
    chosen = Example.objects.filter(project=project, pk__lt=middle, pk__gte=middle - EDITED)
    who = {"project": project, "author": project.owner}
    figures["relabel_s"] = _seconds(lambda: edits.relabel(**who, chosen=chosen, label="another"))
    figures["undo_s"] = _seconds(lambda: edits.undo(**who))
    edits.relabel(**who, chosen=chosen, label="another")
    figures["revision_s"] = _seconds(lambda: next_revision(**who))
    figures["revision_bytes"] = project.revisions.first().size
    print(json.dumps(figures), flush=True)


def _project() -> Any:
    from accounts.models import User
    from models_registry.models import Project
    from training.datasets.models import Dataset
    from training.examples.models import Example, Revision

    owner = User.objects.create_user("owner")
    project = Project.objects.create(
        token="text-1",  # noqa: S106 - of a row
        name="Large",
        owner=owner,
        task_type="textclassification",
    )
    shard = Dataset.objects.create(
        name="Large",
        owner=owner,
        task_type="textclassification",
        key="training/1",
        original_name="large.csv",
        size=9,
        sha256="5" * 64,
        examples=EXAMPLES,
    )
    splits = ("train", "train", "validation")
    Example.objects.bulk_create(
        (
            Example(
                project=project,
                shard=shard,
                place=str(number),
                sha256=f"{number:064x}",
                label=f"class {number % CLASSES}",
                split=splits[number % 3],
                text=f"Sentence {number}: why does my card not work in the machine at the corner?",
                given=0.2,
                suggested="class 1",
                likely=0.7,
                doubt=number / EXAMPLES if number % 20 == 0 else None,
            )
            for number in range(EXAMPLES)
        ),
        batch_size=2_000,
    )
    Revision.objects.create(
        project=project, number=1, key="projects/1", size=1, sha256="0" * 64, examples=EXAMPLES, summary="x"
    )
    return project


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
