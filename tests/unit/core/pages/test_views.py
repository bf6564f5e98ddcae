import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from core.observability import health
from core.observability.health import AWAY, NO_ANSWER, OK, Check, Unhealthy
from documents.outbox import mark_changed
from tests.factories import TrainingJobFactory, UserFactory
from training.jobs.models import TrainingJob, WorkerHeartbeat


@pytest.fixture(autouse=True)
def ask_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "FRESH", -1.0)


@pytest.fixture
def worker() -> WorkerHeartbeat:
    now = timezone.now()
    return WorkerHeartbeat.objects.create(name="w", queues=["cpu"], started_at=now, seen_at=now)


@pytest.fixture
def status_json(bucket: Path) -> Path:
    path = bucket / "status.json"
    path.write_text("{}")
    return path


# health --------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_health_of_a_platform_that_is_well(worker: WorkerHeartbeat, status_json: Path) -> None:
    response = Client().get("/health/")
    parts = {"database": OK, "bucket": OK, "broker": OK, "worker": OK, "periodic": OK}
    assert (response.status_code, response.json()) == (200, {"status": OK, **parts})
    assert "no-cache" in response["Cache-Control"]


@pytest.mark.django_db(transaction=True)
def test_health_names_what_is_not_well(worker: WorkerHeartbeat, status_json: Path) -> None:
    worker.seen_at = timezone.now() - 2 * WorkerHeartbeat.ALIVE
    worker.save()
    status_json.unlink()
    response = Client().get("/health/")
    assert response.status_code == 503
    answer = response.json()
    assert answer["worker"] == "none is alive"
    assert "status.json" in answer["bucket"]
    assert (answer["status"], answer["database"], answer["broker"]) == ("not well", OK, OK)
    assert Client().get("/health/live/").json() == {"status": OK, "database": OK}


@pytest.mark.django_db(transaction=True)
def test_health_of_a_broker_that_is_away(
    worker: WorkerHeartbeat, status_json: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.queue.app import app

    nobody_listens = "redis://127.0.0.1:1/0"
    monkeypatch.setattr(app.conf, "broker_write_url", nobody_listens)
    response = Client().get("/health/")
    assert response.status_code == 503
    assert response.json()["broker"] in (AWAY, NO_ANSWER)
    assert "127.0.0.1" not in response.content.decode()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_a_part_that_hangs_is_not_waited_for_and_asked_once(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def hang() -> None:
        asked.append(1)
        gate.wait(20)

    monkeypatch.setattr(health, "_checks", {"slow": Check("slow", hang)})
    for _ in range(3):
        assert health.examine(patience=0.05) == {"slow": NO_ANSWER}
    assert len(asked) == 1


def test_an_answer_is_good_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(health, "_checks", {"part": Check("part", lambda: asked.append(1))})
    monkeypatch.setattr(health, "FRESH", 60.0)
    for _ in range(5):
        assert health.examine("part") == {"part": OK}
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("error", "said"), [(Unhealthy("it is tired"), "it is tired"), (OSError("secret"), AWAY)]
)
def test_what_a_part_says(error: Exception, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def look() -> None:
        raise error

    monkeypatch.setattr(health, "_checks", {"part": Check("part", look)})
    assert health.examine() == {"part": said}


# metrics -------------------------------------------------------------------------------------


def values(text: str) -> dict[str, float]:
    lines = re.findall(r"^(trainyard_\S+) (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in lines}


@pytest.mark.django_db
def test_metrics_count_jobs_waits_trainings_and_documents(settings: Any, worker: WorkerHeartbeat) -> None:
    now = timezone.now()
    TrainingJobFactory(queued_at=now - timedelta(seconds=90))
    for state in ("failed", "cancelled"):
        TrainingJobFactory(
            state=state,
            queued_at=now - timedelta(seconds=100),
            started_at=now - timedelta(seconds=70),
            finished_at=now - timedelta(seconds=60),
            spent=timedelta(seconds=5),
        )
    TrainingJobFactory(state=TrainingJob.State.CANCELLED, finished_at=now)
    mark_changed("cleanup.json")
    settings.METRICS_TOKEN = "secret"
    response = Client().get("/metrics", headers={"Authorization": "Bearer secret"})
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/plain")
    found = values(response.content.decode())
    assert found['trainyard_jobs{state="queued"}'] == 1
    assert found['trainyard_jobs{state="cancelled"}'] == 2
    assert found['trainyard_jobs{state="succeeded"}'] == 0
    assert found['trainyard_queue_wait_seconds_count{task_type="imageclassification"}'] == 2
    assert found['trainyard_queue_wait_seconds_sum{task_type="imageclassification"}'] == pytest.approx(
        50, abs=1
    )
    labels = '{state="failed",strategy="frozen",task_type="imageclassification"}'
    alike = {"".join(sorted(name)): value for name, value in found.items()}
    assert alike["".join(sorted(f"trainyard_training_seconds_sum{labels}"))] == pytest.approx(15, abs=1)
    assert found["trainyard_oldest_queued_job_seconds"] == pytest.approx(90, abs=5)
    assert found["trainyard_workers_alive"] == 1
    assert found['trainyard_document_changes_waiting{document="cleanup.json"}'] >= 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("who", "status"),
    [("anonymous", 401), ("user", 403), ("staff", 200), ("token", 200), ("wrong token", 401)],
)
def test_metrics_are_for_staff_and_who_has_the_token(who: str, status: int, settings: Any) -> None:
    settings.METRICS_TOKEN = "" if who in ("anonymous", "staff") else "secret"
    client, headers = Client(), {}
    if who in ("user", "staff"):
        client.force_login(UserFactory(is_staff=who == "staff"))
    if "token" in who:
        headers["Authorization"] = "Bearer " + ("secret" if who == "token" else "guess")
    assert client.get("/metrics", headers=headers).status_code == status


@pytest.mark.django_db
def test_metrics_without_a_token_in_the_settings_take_none(settings: Any) -> None:
    settings.METRICS_TOKEN = ""
    for header in ("Bearer ", "Bearer", ""):
        assert Client().get("/metrics", headers={"Authorization": header}).status_code == 401
