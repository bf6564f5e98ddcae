"""How models are used: what is counted, when it is written, what is lost."""

import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from inference.predict.services import predict
from inference.usage import statistics
from inference.usage.models import ModelUsage
from inference.usage.statistics import BUCKETS, UsageCount, UsageRecorder, quantile, usage_of, write_usage
from models_registry.models import RegisteredModel
from tests.factories import RegisteredModelFactory, UserFactory
from tests.tiny_models import live_colour_model, picture

DAY = date(2030, 1, 31)
BY_HAND = timedelta(0)


@pytest.fixture
def recorder() -> Iterator[UsageRecorder]:
    statistics.usage_recorder.cache_clear()
    yield statistics.usage_recorder()
    statistics.usage_recorder.cache_clear()


def count(*milliseconds: float, labels: tuple[str, ...] = ("a",)) -> UsageCount:
    counted = UsageCount()
    for one in milliseconds:
        counted.add_call(one)
        counted.add_labels(labels)
    return counted


@pytest.mark.django_db
def test_prediction_is_counted_without_a_query(
    recorder: UsageRecorder, django_assert_num_queries: Any
) -> None:
    model = live_colour_model()
    predict(token=model.token, inputs=[picture("red")])
    with django_assert_num_queries(1):  # the question for the model itself
        predict(token=model.token, inputs=[picture("red"), picture("blue")])
    assert not ModelUsage.objects.exists()
    recorder.flush()
    row = ModelUsage.objects.get()
    assert (row.model, row.calls, row.inputs) == (model, 2, 3)
    assert row.labels == {"red": 2, "blue": 1}
    assert sum(row.latencies) == 2
    assert 0 < row.slowest <= row.milliseconds
    assert row.day == datetime.now(UTC).date()


@pytest.mark.django_db
def test_processes_add_up() -> None:
    model = RegisteredModelFactory()
    write_usage({(model.pk, DAY): count(7, 80)})
    write_usage({(model.pk, DAY): count(7000, labels=("a", "b"))})
    row = ModelUsage.objects.get()
    assert (row.calls, row.inputs, row.milliseconds, row.slowest) == (3, 4, 7087, 7000)
    assert row.labels == {"a": 3, "b": 1}
    assert row.latencies == [0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1]


@pytest.mark.django_db
def test_model_that_is_gone_stops_nobody() -> None:
    model = RegisteredModelFactory()
    write_usage({(model.pk + 1, DAY): count(1), (model.pk, DAY): count(1)})
    assert ModelUsage.objects.get().model == model


@pytest.mark.django_db
def test_day_that_is_long_over_is_forgotten() -> None:
    model, today = RegisteredModelFactory(), datetime.now(UTC).date()
    write_usage({(model.pk, today - timedelta(days=500)): count(1), (model.pk, today): count(1)})
    statistics.delete_old_usage()
    assert ModelUsage.objects.get().day == today


def test_nothing_is_lost_while_the_database_is_away() -> None:
    written: list[Mapping[Any, UsageCount]] = []

    def write(counts: Mapping[Any, UsageCount]) -> None:
        if not written:
            written.append({})
            raise OSError("no route to the database")
        written.append(counts)

    recorder = UsageRecorder(write, every=BY_HAND)
    recorder.record(1, ["a"], milliseconds=5)
    recorder.flush()
    recorder.record(1, ["a", "b"], milliseconds=6)
    recorder.flush()
    [counted] = written[1].values()
    assert (counted.calls, counted.inputs, counted.labels) == (2, 3, {"a": 2, "b": 1})
    recorder.flush()
    assert len(written) == 2


def test_many_threads_lose_nothing() -> None:
    total, lock = UsageCount(), threading.Lock()

    def write(counts: Mapping[Any, UsageCount]) -> None:
        with lock:
            for one in counts.values():
                total.merge(one)

    recorder = UsageRecorder(write, every=timedelta(milliseconds=1))
    threads = [
        threading.Thread(target=lambda: [recorder.record(1, ["a"], milliseconds=1) for _ in range(500)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder.close()
    assert (total.calls, total.inputs) == (4000, 4000)


def test_process_that_ends_writes_its_last_numbers() -> None:
    code = (
        "from datetime import timedelta\n"
        "import django; django.setup()\n"
        "from inference.usage.statistics import UsageRecorder\n"
        "recorder = UsageRecorder(lambda counts: print(sum(one.calls for one in counts.values())),"
        " every=timedelta(hours=1))\n"
        "recorder.record(1, ['a'], milliseconds=1)\n"
        "recorder.record(1, ['a'], milliseconds=1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"DJANGO_SETTINGS_MODULE": "config.settings.test", "PYTHONPATH": "platform:."},
    )
    assert done.stdout.split() == ["2"]


@pytest.mark.parametrize(
    ("latencies", "share", "bound"),
    [
        ([1] + [0] * 10, 0.5, 5),
        ([9, 0, 1] + [0] * 8, 0.9, 5),
        ([9, 0, 1] + [0] * 8, 0.95, 25),
        ([0] * 10 + [1], 0.5, None),
        ([0] * 11, 0.5, None),
    ],
)
def test_quantile_is_the_bound_of_its_bucket(latencies: list[int], share: float, bound: int | None) -> None:
    assert len(latencies) == len(BUCKETS) + 1
    assert quantile(latencies, share) == bound


@pytest.mark.django_db
def test_page_shows_use_to_the_owner_alone(client: Client) -> None:
    owner = UserFactory()
    model: RegisteredModel = live_colour_model(owner=owner)
    address = reverse("inference:model", args=[model.token])
    client.force_login(owner)
    assert usage_of(model) is None
    assert 'id="usage"' not in client.get(address).content.decode()
    write_usage({(model.pk, datetime.now(UTC).date()): count(*[20] * 1234)})
    page = client.get(address).content.decode()
    assert 'id="usage"' in page
    assert "1,234" in page
    client.logout()
    assert 'id="usage"' not in client.get(address).content.decode()


@pytest.mark.django_db
def test_admin_lists_use_and_batches_with_few_queries(
    client: Client, django_assert_max_num_queries: Any
) -> None:
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    for _ in range(5):
        write_usage({(RegisteredModelFactory().pk, DAY): count(20)})
    for name in ("modelusage", "batch"):
        with django_assert_max_num_queries(12):
            assert client.get(reverse(f"admin:inference_{name}_changelist")).status_code == 200
