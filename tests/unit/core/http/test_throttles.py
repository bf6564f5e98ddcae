from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client
from hypothesis import given
from hypothesis import strategies as some

from core.checks import check_rates
from core.exceptions import TooManyRequests
from core.http.throttles import (
    Rate,
    count_if_accepted,
    network_of,
    parse_rate,
    require_rate,
    seconds_to_wait,
    take,
)
from devtools import servers
from tests.factories import UserFactory
from tests.tiny_models import live_colour_model

TEXTS = {"texts": ["x"]}
NOON = "2026-01-01T12:00:00Z"


@pytest.fixture(autouse=True)
def nothing_counted() -> None:
    cache.clear()


@pytest.fixture
def rates(settings: Any) -> Any:
    def choose(**chosen: str) -> None:
        known = settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]
        named = {name.replace("_", "-"): rate for name, rate in chosen.items()}
        settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": known | named}

    return choose


@pytest.mark.parametrize(
    ("text", "rate"),
    [("600/min", Rate(600, 60)), ("5/s", Rate(5, 1)), ("1/hour", Rate(1, 3600)), ("2/d", Rate(2, 86400))],
)
def test_rates_are_read(text: str, rate: Rate) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", [None, "", "none"])
def test_no_limit(text: str | None) -> None:
    assert parse_rate(text) is None


@pytest.mark.parametrize("text", ["0/min", "5", "5/fortnight", "-1/s", "many"])
def test_what_is_no_rate_is_said_so(text: str) -> None:
    with pytest.raises(ValueError, match="600/min"):
        parse_rate(text)


@pytest.mark.parametrize(
    ("chosen", "ids"), [({}, []), ({"user": "often"}, ["core.E002"]), ({"usr": "1/min"}, ["core.E001"])]
)
def test_rates_that_cannot_be_are_found_at_the_start(
    rates: Any, chosen: dict[str, str], ids: list[str]
) -> None:
    rates(**chosen)
    assert [message.id for message in check_rates()] == ids


counts = some.integers(0, 50)


@given(some.integers(1, 20), counts, counts, some.floats(0, 0.999))
def test_after_the_wait_the_request_may_come(most: int, previous: int, current: int, passed: float) -> None:
    rate = Rate(most, 60)
    wait = seconds_to_wait(rate, previous=previous, current=current, passed=passed)
    assert 0 <= wait <= 2 * rate.seconds
    later = passed + wait / rate.seconds + 1e-6
    if later >= 1:
        previous, current, later = current, 0, later - 1
    if later >= 1:
        previous, later = 0, later - 1
    assert seconds_to_wait(rate, previous=previous, current=current, passed=later) == 0


@given(some.lists(some.floats(0, 10), max_size=60))
def test_no_window_lets_more_than_the_rate_through_when_requests_come_evenly(gaps: list[float]) -> None:
    rate, now, counted, let_through = Rate(5, 10), 0.0, {}, []
    for gap in gaps:
        now += gap
        window, passed = int(now // 10), now % 10 / 10
        current, previous = counted.get(window, 0), counted.get(window - 1, 0)
        if not seconds_to_wait(rate, previous=previous, current=current, passed=passed):
            counted[window] = current + 1
            let_through.append(now)
    assert all(count <= rate.requests for count in counted.values())


def test_many_at_once_are_counted_exactly(rates: Any) -> None:
    rates(address="20/day")
    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda _: take("address", "1.2.3.4"), range(100)))
    assert waits.count(0.0) == 20
    assert take("address", "5.6.7.8") == 0.0


def test_what_is_refused_gives_its_place_back(rates: Any) -> None:
    rates(user="2/hour")
    with time_machine.travel(NOON) as clock:
        for _ in range(5):
            with pytest.raises(KeyError), count_if_accepted("user", "a"):
                raise KeyError
        with count_if_accepted("user", "a"), count_if_accepted("user", "a"):  # two under way
            with pytest.raises(TooManyRequests), count_if_accepted("user", "a"):
                pytest.fail("a third one came in")
            clock.shift(3601)
        with pytest.raises(KeyError), count_if_accepted("user", "b"):
            clock.shift(10 * 3600)  # its window is long over, and the next one is not to be charged
            raise KeyError
        assert take("user", "b") == take("user", "b") == 0.0
        assert take("user", "b") > 0


@pytest.mark.servers
def test_processes_that_share_a_redis_count_together(rates: Any, settings: Any) -> None:
    rates(address="20/day")
    with servers.redis_prefix() as env:
        shared = {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": env["CELERY_BROKER_URL"],
            "KEY_PREFIX": env["REDIS_KEY_PREFIX"],
        }
        settings.CACHES = {"default": shared}
        with ThreadPoolExecutor(8) as pool:  # each thread has a connection of its own, as a process has
            waits = list(pool.map(lambda _: take("address", "1.2.3.4"), range(60)))
    assert waits.count(0.0) == 20


def test_the_limit_passes(rates: Any) -> None:
    rates(user="2/min")
    with time_machine.travel(NOON, tick=False) as clock:
        assert [take("user", "1") for _ in range(2)] == [0.0, 0.0]
        with pytest.raises(TooManyRequests) as raised:
            require_rate("user", "1")
        clock.shift(raised.value.seconds)
        require_rate("user", "1")


def test_a_cache_that_is_away_limits_nobody(rates: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ConnectionError

    rates(user="1/day")
    monkeypatch.setattr("core.http.throttles.cache", SimpleNamespace(add=fail, incr=fail, get=fail))
    assert [take("user", "1") for _ in range(3)] == [0.0] * 3


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("", "", True),
    ],
)
def test_what_stands_for_a_client(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) is same


@pytest.mark.django_db
def test_rest_calls_are_limited_per_user(rates: Any) -> None:
    rates(user="2/day")
    first, second = Client(), Client()
    for client in (first, second):
        client.force_login(UserFactory())
    assert [first.get("/api/v1/models/").status_code for _ in range(3)] == [200, 200, 429]
    assert second.get("/api/v1/models/").status_code == 200
    response = first.get("/api/v1/jobs/")
    assert response["Content-Type"] == "application/problem+json"
    assert 0 < int(response["Retry-After"]) <= 2 * 86400


@pytest.mark.django_db
@pytest.mark.parametrize("scope", ["predict_token", "predict_address"])
def test_predictions_are_limited_per_token_and_per_address(rates: Any, scope: str) -> None:
    rates(**{scope: "1/day"})

    def ask(token: str, address: str) -> int:
        path = f"/api/v1/models/{token}/predict/"
        return Client(REMOTE_ADDR=address).post(path, {"texts": ["x"]}, "application/json").status_code

    one, other = live_colour_model().token, live_colour_model().token
    assert [ask(one, "192.0.2.1"), ask(one, "192.0.2.1")] == [400, 429]
    by_token = scope == "predict_token"
    assert ask(one, "192.0.2.2") == (429 if by_token else 400)
    assert ask(other, "192.0.2.1") == (400 if by_token else 429)


@pytest.mark.django_db
@pytest.mark.parametrize(("proxies", "status"), [(0, 429), (1, 404)])
def test_addresses_behind_a_proxy_count_when_there_is_one(
    rates: Any, settings: Any, proxies: int, status: int
) -> None:
    rates(predict_address="1/day")
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": proxies}
    path = "/api/v1/models/x/predict/"
    answers = [
        Client().post(
            path, {"texts": ["x"]}, "application/json", headers={"X-Forwarded-For": f"9.9.9.9, {last}"}
        )
        for last in ("192.0.2.1", "192.0.2.2")
    ]
    assert [answer.status_code for answer in answers] == [404, status]


@pytest.mark.django_db
def test_tries_on_the_page_count_with_the_others(rates: Any) -> None:
    rates(predict_token="1/day")
    token = live_colour_model().token
    client = Client()
    assert client.post(f"/models/{token}/try/", {}).status_code == 400
    response = client.post(f"/models/{token}/try/", {})
    assert response.status_code == 429
    assert "Too many requests" in response.content.decode()
    assert client.post(f"/api/v1/models/{token}/predict/", TEXTS, "application/json").status_code == 429
