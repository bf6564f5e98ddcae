"""What the lists cost when the platform has grown for years: 100,000 models and 1,000,000 jobs.

Each page is asked for through Django's test client, which is the server's own time without a network, on
PostgreSQL and on SQLite: once with a handful of rows, and again with all of them. A page whose number of
queries depends on the number of rows is a defect, whatever it takes.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from devtools import servers
from devtools.platform_process import ROOT, PlatformProcess

MODELS = int(os.environ.get("TRAINYARD_BENCH_MODELS", "100000"))
JOBS = int(os.environ.get("TRAINYARD_BENCH_JOBS", "1000000"))
OWNERS = 100
RUNS = int(os.environ.get("TRAINYARD_BENCH_RUNS", "15"))
NARROWED = {  # lists with a filter or a search; the others are as they open
    "admin_models_searched",
    "admin_jobs_queued",
    "admin_jobs_failed",
    "admin_jobs_of_no_state",
    "admin_jobs_rare_origin",
    "admin_jobs_searched",
    "admin_jobs_by_date",
    "admin_datasets_unused",
    "everybodys_models_searched",
    "everybodys_jobs_searched",
    "everybodys_jobs_searched_in_vain",
}
PLOT = "iVBORw0KGgo" * 500  # as long as the plots that training draws
NETWORK = "efficientnet lite0"
TOKEN_OF_COPY = "'imageClassification-copy-' || i"  # noqa: S105 - of a row


def registry_pages() -> dict[str, Any]:
    """Time every list, the dashboard and a model's page on both databases."""
    figures: dict[str, Any] = {}
    for name in ("postgresql", "sqlite"):
        with _platform(name) as env:
            pages = _measure_in_a_process(env)
        figures |= {
            f"{name}_{page}": f"{row['ms']} ms, {row['queries']} queries" for page, row in pages.items()
        }
        for kind, chosen in (("", set(pages) - NARROWED), ("narrowed_", set(pages) & NARROWED)):
            slowest = max(chosen, key=lambda page: pages[page]["ms"])
            figures[f"{name}_{kind}p50_ms"] = pages[slowest]["ms"]
            figures[f"{name}_{kind}slowest"] = slowest
        figures[f"{name}_queries"] = max(row["queries"] for row in pages.values())
        figures[f"{name}_constant"] = all(row["queries"] <= row["queries_of_few"] for row in pages.values())
    return {
        **figures,
        "p50_ms": max(figures["postgresql_p50_ms"], figures["sqlite_p50_ms"]),
        "narrowed_p50_ms": max(figures["postgresql_narrowed_p50_ms"], figures["sqlite_narrowed_p50_ms"]),
        "queries": max(figures["postgresql_queries"], figures["sqlite_queries"]),
        "constant": figures["postgresql_constant"] and figures["sqlite_constant"],
        "models": MODELS,
        "jobs": JOBS,
    }


@contextmanager
def _platform(database: str) -> Iterator[Mapping[str, str]]:
    """Yield the environment of an empty platform on one of the databases."""
    with tempfile.TemporaryDirectory(prefix="trainyard-bench-") as folder:
        home = Path(folder) / "home"
        if database == "sqlite":
            with PlatformProcess(home, web=False, worker=False) as platform:
                yield {**platform.django_env, "LOG_LEVEL": "ERROR"}
        else:
            with (
                servers.postgres_database() as url,
                PlatformProcess(home, env={"DATABASE_URL": url}, web=False, worker=False) as platform,
            ):
                yield {**platform.django_env, "LOG_LEVEL": "ERROR"}


def _measure_in_a_process(env: Mapping[str, str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.registry_pages"]
    done = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


# The rest runs in that process -------------------------------------------------------------------


def _main() -> None:
    """Measure with few rows, fill the tables, measure again."""
    sys.path.insert(0, str(ROOT / "platform"))
    import django

    django.setup()
    root, owner, token = _first_rows()
    few = {page: _queries(client, path) for page, client, path in _pages(root, owner, token, last_page=1)}
    _fill()
    result = {}
    for page, client, path in _pages(root, owner, token, last_page=min(300, MODELS // 30)):
        queries = _queries(client, path)
        result[page] = {"ms": _median(client, path), "queries": queries, "queries_of_few": few[page]}
        print(page, result[page], file=sys.stderr, flush=True)
    print(json.dumps(result), flush=True)


def _first_rows() -> tuple[Any, Any, str]:
    """Make the people, and one of each kind to copy; returns an administrator, an owner, a model's token."""
    from accounts.models import User

    User.objects.bulk_create(User(username=f"owner{number}") for number in range(OWNERS))
    owner = User.objects.order_by("pk").first()
    root = User.objects.create_superuser("root", password="only for this benchmark")  # noqa: S106 - gone at the end
    for number in range(770, 774):  # which the searches find, as they find some of the many
        model = _first_model(owner, number)
        _first_job(model, _first_dataset(model, number), number)
    return root, owner, model.token


def _first_model(owner: Any, number: int) -> Any:
    """Return a model with its files, in production in a project of its own."""
    from models_registry.models import Alias, Artifact, Project, RegisteredModel

    token = f"imageClassification-model-{number:032x}"
    whose = {"name": f"Model {number}", "owner": owner, "task_type": "imageclassification"}
    classes = [f"class {one}" for one in range(12)]
    project = Project.objects.create(token=f"project-{number}", **whose)
    model = RegisteredModel.objects.create(
        **whose,
        project=project,
        version=1,
        token=token,
        architecture=NETWORK,
        strategy="frozen",
        classes=classes,
        accuracy=90,
        accuracy_plot=PLOT,
        metrics={"per_class": [{"label": label, "precision": 0.9} for label in classes]},
    )
    Alias.objects.create(project=project, name="production", model=model)
    for kind in ("onnx", "torchscript"):
        Artifact.objects.create(model=model, kind=kind, key=f"{token}/{kind}", size=9, sha256="0" * 64)
    return model


def _first_dataset(model: Any, number: int) -> Any:
    """Return what a model was trained on."""
    from training.datasets.models import Dataset

    return Dataset.objects.create(
        name=f"Data {number}",
        owner=model.owner,
        task_type=model.task_type,
        key=f"training/{number}",
        original_name="data.zip",
        size=9,
        sha256=f"{number:064x}",
        classes=model.classes,
        examples=720,
        report={"samples": [PLOT]},
    )


def _first_job(model: Any, dataset: Any, number: int) -> None:
    """Make the job that trained a model."""
    from django.utils import timezone

    from training.jobs.models import TrainingJob

    TrainingJob.objects.create(
        project=model.project,
        token=model.token,
        name=f"Job {number}",
        owner=model.owner,
        dataset=dataset,
        task_type=model.task_type,
        architecture=NETWORK,
        state="succeeded",
        registered_model=model,
        started_at=timezone.now(),
        finished_at=timezone.now(),
        log_tail="epoch\n" * 300,
    )


def _fill() -> None:
    """Copy the first row of each table as often as it takes: the database does that by itself."""
    from django.db import connection

    is_postgresql = connection.vendor == "postgresql"
    shared = {
        "id": "1000 + i",
        "owner_id": f"(SELECT MIN(id) FROM accounts_user) + i % {OWNERS}",  # noqa: S608 - nobody's words but ours
        "created_at": "now() - i * interval '40 seconds'"
        if is_postgresql
        else "strftime('%Y-%m-%d %H:%M:%f', 'now', '-' || (i * 40) || ' seconds')",
    }
    uuid = "gen_random_uuid()" if is_postgresql else "lower(hex(randomblob(16)))"
    _fill_models(shared, uuid)
    _fill_jobs(shared, uuid)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if is_postgresql else "ANALYZE")


def _fill_models(shared: Mapping[str, str], uuid: str) -> None:
    """Copy models, each with its project, its files and its data set."""
    named = {**shared, "public_id": uuid, "name": "'Model ' || i"}
    _copy("models_registry_project", MODELS, **{**named, "token": "'project-copy-' || i"})
    _copy(
        "models_registry_registeredmodel",
        MODELS,
        **{**named, "project_id": "1000 + i", "token": TOKEN_OF_COPY},
    )
    models = "(SELECT id, id - 1000 AS i FROM models_registry_registeredmodel WHERE id > 1000)"
    _copy("models_registry_alias", 0, rows=models, id="1000 + i", model_id="1000 + i", project_id="1000 + i")
    _copy("models_registry_artifact", 0, rows=models, id="1000 + i", model_id="1000 + i", key="'file-' || i")
    own = {"key": "'data-' || i", "name": "'Data ' || i", "sha256": "'sha-' || i"}
    _copy("training_dataset", MODELS, **shared, **own)


def _fill_jobs(shared: Mapping[str, str], uuid: str) -> None:
    """Copy jobs: one for each model, some that wait, and the rest without a model."""
    state = (
        f"CASE WHEN i <= {MODELS} THEN 'succeeded' WHEN i <= {MODELS} + 200 THEN 'queued' "
        "WHEN i % 9 = 0 THEN 'cancelled' ELSE 'failed' END"
    )
    waits, when = f"i > {MODELS} AND i <= {MODELS} + 200", shared["created_at"]
    _copy(
        "training_trainingjob",
        JOBS,
        **shared,
        public_id=uuid,
        project_id=f"1001 + i % {MODELS}",
        token=TOKEN_OF_COPY,
        name="'Job ' || i",
        dataset_id=f"1001 + i % {MODELS}",
        queued_at=when,
        finished_at=f"CASE WHEN {waits} THEN NULL ELSE {when} END",
        state=state,
        registered_model_id=f"CASE WHEN i <= {MODELS} THEN 1000 + i ELSE NULL END",
    )


def _copy(table: str, number: int, *, rows: str = "", **changes: str) -> None:
    """Add copies of a table's first row; `changes` are columns as SQL over the counter `i`."""
    from django.db import connection

    with connection.cursor() as cursor:
        columns = [column.name for column in connection.introspection.get_table_description(cursor, table)]
        values = [changes.get(column, f"first.{column}") for column in columns]
        counter = rows or "(SELECT i FROM n)"
        cursor.execute(
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {max(1, number)}) "  # noqa: S608
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} "
            f"FROM (SELECT * FROM {table} ORDER BY id LIMIT 1) AS first, {counter} AS numbers"
        )


def _pages(root: Any, owner: Any, token: str, *, last_page: int) -> list[tuple[str, Any, str]]:
    """Return each page's name, who asks, and its address."""
    from django.test import Client

    admin, person = Client(SERVER_NAME="localhost"), Client(SERVER_NAME="localhost")
    admin.force_login(root)
    person.force_login(owner)
    models, jobs, datasets = (
        f"/admin/{name}/"
        for name in ("models_registry/registeredmodel", "training/trainingjob", "training/dataset")
    )
    return [
        ("dashboard", admin, "/admin/"),
        ("admin_models", admin, models),
        ("admin_models_last_page", admin, f"{models}?p={last_page}"),
        ("admin_models_searched", admin, f"{models}?q=Model 77"),
        ("admin_jobs", admin, jobs),
        ("admin_jobs_queued", admin, f"{jobs}?state__exact=queued"),
        ("admin_jobs_failed", admin, f"{jobs}?state__exact=failed"),
        ("admin_jobs_of_no_state", admin, f"{jobs}?state__exact=cancelling"),
        ("admin_jobs_rare_origin", admin, f"{jobs}?origin__exact=document"),
        ("admin_jobs_searched", admin, f"{jobs}?q=Job 77"),
        (
            "admin_jobs_by_date",
            admin,
            f"{jobs}?created_at__gte=2025-01-01T00:00:00Z&created_at__lt=2099-01-01T00:00:00Z",
        ),
        ("admin_datasets", admin, datasets),
        ("admin_datasets_unused", admin, f"{datasets}?used=no"),
        ("my_projects", person, "/projects/"),
        ("everybodys_models", admin, "/models/?whose=everyone"),
        ("my_jobs", person, "/jobs/"),
        ("everybodys_jobs", admin, "/jobs/?whose=everyone"),
        ("everybodys_models_searched", admin, "/models/?whose=everyone&q=Model 77"),
        ("everybodys_jobs_searched", admin, "/jobs/?whose=everyone&q=Job 77"),
        ("everybodys_jobs_searched_in_vain", admin, "/jobs/?whose=everyone&q=nothing"),
        ("model", person, f"/models/{token}/"),
    ]


def _queries(client: Any, path: str) -> int:
    """Count a page's queries, when what is kept in memory is warm."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    client.get(path)
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(path)
    if answer.status_code != 200:
        raise RuntimeError(f"{path} answers {answer.status_code}.")
    return len(captured)


def _median(client: Any, path: str) -> float:
    """Return the median time of a page in milliseconds."""
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        client.get(path)
        times.append(time.perf_counter() - began)
    return round(1000 * statistics.median(times), 1)


if __name__ == "__main__":
    _main()
