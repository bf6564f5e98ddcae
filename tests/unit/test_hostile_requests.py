"""Whatever is asked for, however and by whomever: a refusal is the client's fault, never ours.

Every address of the platform is asked with values that no form would send. What a request changes is rolled back.
"""

import itertools
import random
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.db import transaction
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RoutePattern
from django.utils import timezone
from knox.models import AuthToken

from accounts.roles import OPERATOR, VIEWER
from control.models import CleanupPolicy, PlatformStatus
from documents.publish import publish_waiting
from inference.batches.models import Batch
from inference.usage.models import ModelUsage
from tests.factories import DatasetFactory, TrainingJobFactory, UserFactory
from tests.tiny_models import live_colour_model, live_mood_model
from training.jobs.models import WorkerHeartbeat

pytestmark = pytest.mark.django_db

SEED = 12
ROUNDS = 6  # requests to every address
METHODS = (*("GET", "POST") * 4, "PATCH", "DELETE", "HEAD", "PUT", "OPTIONS")
ROLES = ("stranger", "user", VIEWER, OPERATOR, "superuser")


def words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# As they stand in an address or a form: percent-encoded. Two of the words are cursors of the REST API.
VALUES = (
    *words("""
        0 1 -1 1e999 -1e999 1e5 1.5 NaN Infinity -inf 0x10 %D9%A3 %C2%B2 1_000 true null [] %7B%22a%22:1%7D + _ live
        %00 a%00b %ED%A0%80 %FF%FE %F0%9F%98%80 %EF%BC%9D1 %E2%80%AE ..%2F..%2Fetc%2Fpasswd %25s%25n (a%2B%2B a,b,c
        %27%22%3E%3Cscript%3E %0D%0ASet-Cookie:x=y 9999-12-31T23:59:59.999999-23:59 0001-01-01T00:00:00%2B23:59
        2026-02-30 9999-12-31 10000-01-01 cD0lMDA %3D%3D cD05OTk5LTEyLTMxVDIzOjU5OjU5LTIzOjU5
        bz05OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OQ
    """),
    *("", "9" * 19, "9" * 30, "-" + "9" * 30, "9" * 400, "9" * 5000, "x" * 300),
)
NAMES = words("""
    dataset from page page_size cursor q o p e all _to_field _popup next state task_type origin whose name live_since
    expires_before created_since queued_since token architecture strategy pinned downloadable sha256 format explain
    action index _selected_action select_across confirmed days hours priority seed epochs learning_rate batch_size
    data_split train_percent username login password email password1 password2 oldpassword texts text sample
    expires_at expires_at_0 expires_at_1 description groups user_permissions is_active user app_label model_name
    field_name term s extended created_at__gte created_at__lt created_at__year day__gte token__regex id__in
    owner__id__exact preset optimizer advanced reduce_lr_on_plateau step_lr input_column label_column test kind lang
    artifacts-TOTAL_FORMS artifacts-INITIAL_FORMS date_joined_0 date_joined_1 action_add input id
""")
JSON = (
    "",
    "null",
    "[]",
    "{}",
    "1",
    '"x"',
    "NaN",
    "1e999",
    "[" * 2000,
    '{"a":',
    "\xff",
    "\x00",
    '{"a": 1, "a": 2}',
)
# What is right but for one field, so that a request gets past the first look, and where it belongs.
ALMOST: dict[tuple[str, str], dict[str, str]] = {
    ("POST", "api/v1/jobs/"): {
        **{
            "name": '"x"',
            "dataset": "1",
            "strategy": '"frozen"',
            "seed": "1",
            "learning_rate": "0.1",
            "epochs": "2",
        },
        **{
            "step_lr": '{"step_size": 2, "gamma": 0.5}',
            "reduce_lr_on_plateau": '{"factor": 0.5}',
            "advanced": "{}",
        },
        **{
            "batch_size": "8",
            "data_split": "80",
            "architecture": '"efficientnet lite0"',
            "downloadable": "true",
        },
    },
    ("POST", "api/v1/models/{token}/predict/"): {"texts": '["x"]'},
    ("PATCH", "api/v1/models/{token}/"): {
        **{
            "name": '"x"',
            "description": '"x"',
            "expires_at": '"2026-12-31T00:00:00Z"',
            "downloadable": "true",
        },
        **{"pinned": "false"},
    },
    ("POST", "api/v1/tokens/"): {"days": "1"},
    ("POST", "api/v1/models/{token}/keep/"): {"hours": "1"},
    ("POST", "flash/inference"): {"token": '"x"', "input": '"x"'},
    ("POST", "flash/check"): {"token": '"x"'},
    ("POST", "flash/download"): {"token": '"x"', "format": '"onnx"'},
}
# What lists and pages are asked for, beside the filters of the REST API, which are found out.
ASKED: dict[str, tuple[str, ...]] = {
    "": ("next",),
    "new/": ("dataset", "from"),
    "models/": ("q", "state", "task_type", "page", "whose"),
    "jobs/": ("q", "state", "task_type", "page", "whose"),
    "datasets/": ("q", "task_type", "page"),
    "batches/": ("q", "page", "whose"),
    "accounts/login/": ("next",),
    "admin/login/": ("next",),
    "admin/search/": ("s", "extended", "page"),
    "admin/autocomplete/": ("app_label", "model_name", "field_name", "term", "page"),
    "admin/training/trainingjob/": (
        "q",
        "p",
        "o",
        "e",
        "_to_field",
        "owner__id__exact",
        "queue",
        "created_at__gte",
    ),
    "admin/accounts/user/": ("q", "p", "o", "groups__id__exact", "is_staff__exact", "date_joined__lt"),
    "api/v1/models/{token}/predict/": ("explain",),
    "api/v1/models/{token}/download/": ("format",),
}
JSON_VALUES = (
    *words("null true [] {} 0 -1 1.5 1e308 1e999 -1e999 NaN Infinity [[1]]"),
    *(
        "9" * 19,
        "9" * 30,
        "9" * 5000,
        '""',
        '"\\u0000"',
        '"\\ud800"',
        '["\\ud800"]',
        '{"a": {"b": []}}',
        '["x", null]',
    ),
    *('{"\\u0000": 1}', '{"factor": 1e999, "patience": 99999999999999999999}', '"9999-12-31T23:59:59-23:59"'),
)
ACTIONS = (
    "delete_selected",
    "retire",
    "keep",
    "pin",
    "cancel",
    "revoke",
    "publish_now",
    "make_verified",
    "prioritise",
)
HEADERS = {
    "Range": ("bytes=" + "9" * 5000 + "-", "bytes=-" + "9" * 30, "bytes=0-0,2-3", "\xff", "bytes=--1"),
    "If-Range": ('"x"', "\xff", "x" * 5000),
    "If-None-Match": ("*", '"' + "x" * 5000, "W/", "\xff", ",,,,"),
    "If-Modified-Since": (
        "junk",
        "Fri, 31 Dec 99999 23:59:59 GMT",
        "9" * 5000,
        "Sun, 00 Jan 0000 00:00:00 GMT",
    ),
    "Accept": ("text/html", "application/json;q=nan", "*/*;q=" + "9" * 400, "\xff/\xff", ";;;"),
    "Accept-Language": ("x" * 500, "de;q=nan", "\xff", ",;,;"),
    "Cookie": (
        'sessionid="\\000\\000aaaaaaaa"',
        "sessionid=\xff" * 9,
        "csrftoken=\xff",
        "messages=x",
        "=;=;=",
    ),
    "Authorization": (
        "Token \xff",
        "Token " + "a" * 5000,
        "Basic \xff",
        "Basic OjoAAA==",
        "Bearer x",
        "Basic",
    ),
    "X-Forwarded-For": ("\xff", "1.2.3.4" * 500, ",,,", "::1%0"),
    "X-Request-ID": ("\xff", "x" * 5000),
    "HX-Request": ("true",),
    "HX-Current-URL": ("\xff", "http://[", "javascript:1"),
    "Referer": ("http://[", "\xff"),
    "Origin": ("null", "http://[", "\xff"),
    "Host": ("[", "\xff", "a" * 300, "testserver:99999999"),
}
KINDS = (
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
    "multipart/form-data",
    "multipart/form-data; boundary=\xff",
    "application/json; charset=utf-7",
    "application/x-www-form-urlencoded; charset=latin-1",
    "multipart/form-data; boundary=b; charset=utf-7",
    "text/plain; charset=" + "x" * 300,
    "\xff",
    "",
)


@pytest.fixture
def known() -> dict[str, list[str]]:
    """Fill every table, so that a request gets as far as it can; return what may stand in an address."""
    PlatformStatus.load()
    CleanupPolicy.load()
    owner = UserFactory(username="owner")
    colours, moods = live_colour_model(owner=owner), live_mood_model(owner=owner)
    now = timezone.now()
    data = DatasetFactory(owner=owner)
    TrainingJobFactory(dataset=data, state="succeeded", finished_at=now, registered_model=colours)
    TrainingJobFactory(dataset=data)
    batch = Batch.objects.create(
        model=moods, source_name="a.zip", suffix=".zip", size=1, total=1, owner=owner
    )
    ModelUsage.objects.create(model=colours, day=now.date(), calls=1, last_used_at=now)
    WorkerHeartbeat.objects.create(name="w", queues=["cpu"], started_at=now, seen_at=now)
    made, _ = AuthToken.objects.create(user=owner)
    publish_waiting()
    return {
        "token": [colours.token, moods.token],
        "identifier": [batch.identifier],
        "key": [made.token_key],
        "kind": ["onnx", "evaluation"],
        "id": [made.token_key, str(owner.pk)],
    }


@pytest.fixture
def people(known: dict[str, list[str]]) -> dict[str, Client]:
    """Sign somebody in for each role; the user owns what there is."""
    clients = {"stranger": Client(raise_request_exception=False)}
    for role in ROLES[1:]:
        person = UserFactory(
            username=f"the {role}", is_staff=role != "user", is_superuser=role == "superuser"
        )
        if role == "user":
            person = UserFactory._meta.model.objects.get(username="owner")
        if role in (VIEWER, OPERATOR):
            person.groups.add(Group.objects.get(name=role))
        clients[role] = Client(raise_request_exception=False)
        clients[role].force_login(person)
    return clients


def routes(resolver: URLResolver, before: str = "") -> Iterator[str]:
    """Yield every address as a template: `models/{token}/try/`."""
    for one in resolver.url_patterns:
        pattern = one.pattern
        text = str(pattern)
        if isinstance(pattern, RoutePattern):
            text = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", text)
        else:
            text = re.sub(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)", r"{\1}", text).replace("\\", "")
            text = re.sub(r"[\^$]|/\?$", "", text).replace("/?", "/")
        if isinstance(one, URLPattern):
            yield before + text
        else:
            yield from routes(one, before + text)


ADDRESSES = sorted({route for route in routes(get_resolver()) if "static" not in route})


def test_every_address_is_found() -> None:
    assert len(ADDRESSES) > 150
    assert "api/v1/models/{token}/predict/" in ADDRESSES
    assert "admin/training/trainingjob/{object_id}/change/" in ADDRESSES


class Requests:
    """Makes up requests; the same for the same seed."""

    def __init__(self, seed: int, known: dict[str, list[str]]) -> None:
        self.chance, self.known = random.Random(seed), known

    def path(self, route: str) -> str:
        """Fill an address in: with what there is more often than with what cannot be."""
        return "/" + re.sub(r"\{(\w+)\}", lambda match: self._part(match[1]), route)

    def _part(self, name: str) -> str:
        if self.chance.random() < 0.6:
            return self.chance.choice(self.known.get(name, ["1", "2"]))
        return self.chance.choice(VALUES) or "%20"

    def query(self) -> str:
        return "&".join(
            f"{self._name()}={self.chance.choice(VALUES)}" for _ in range(self.chance.choice((0, 1, 1, 2, 4)))
        )

    def _name(self) -> str:
        return self.chance.choice(NAMES) if self.chance.random() < 0.95 else self.chance.choice(VALUES)

    def headers(self) -> dict[str, str]:
        names = [name for name in HEADERS if self.chance.random() < 0.06]
        return {name: self.chance.choice(HEADERS[name]) for name in names}

    def body(self) -> tuple[bytes, str]:
        kind = self.chance.choice(KINDS[:3]) if self.chance.random() < 0.8 else self.chance.choice(KINDS)
        if kind.startswith("multipart"):
            return b"".join(self._parts()), kind
        if kind.startswith("application/json"):
            return self._json().encode("latin-1"), kind
        chosen = f"action={self.chance.choice(ACTIONS)}&_selected_action={self.chance.choice(VALUES)}"
        return "&".join((chosen, self.query(), self.query())).encode("latin-1"), kind

    def _json(self) -> str:
        if self.chance.random() < 0.15:
            return self.chance.choice(JSON)
        fields = dict(self.chance.choice(list(ALMOST.values())))
        fields[self.chance.choice((*fields, *fields, self.chance.choice(NAMES)))] = self.chance.choice(
            JSON_VALUES
        )
        return "{" + ", ".join(f'"{name}": {value}' for name, value in fields.items()) + "}"

    def _parts(self) -> Iterator[bytes]:
        for number in range(self.chance.randint(0, 4)):
            value = self.chance.choice((self._json(), self.chance.choice(VALUES))).encode("latin-1")
            name = "data" if number == 0 else self._name()
            file = self.chance.choice(
                ("", "", '; filename="a.zip"', '; filename="%00.png"', '; filename="\xff.csv"')
            )
            yield f'--b\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode("latin-1")
            yield re.sub(rb"%([0-9A-F]{2})", lambda match: bytes([int(match[1], 16)]), value) + b"\r\n"
        yield self.chance.choice((b"--b--\r\n", b"--b", b""))


def test_encoding_that_is_no_text_is_refused_by_the_server_itself() -> None:
    from config.wsgi import Handler

    for charset in ("rot13", "zlib", "utf-7", "utf-16", "idna"):
        environ = RequestFactory().get("/models/?q=a").environ
        environ["CONTENT_TYPE"] = f"text/plain; charset={charset}"
        told: list[str] = []
        Handler()(environ, lambda status, headers, told=told: told.append(status))
        assert told == ["400 Bad Request"]


def ask(
    client: Client,
    method: str,
    address: str,
    made: Requests,
    *,
    headers: dict[str, str] | None = None,
    body: tuple[bytes, str] | None = None,
) -> Any:
    """Send a request, made up where it is not given, and undo what it did."""
    content, kind = body or ((b"", "") if method in ("GET", "HEAD") else made.body())
    with transaction.atomic():
        answer = client.generic(
            method, address, content, kind, headers=made.headers() if headers is None else headers
        )
        if answer.streaming:
            b"".join(answer.streaming_content)
        transaction.set_rollback(True)
    return answer


def lists(resolver: URLResolver, before: str = "") -> dict[str, tuple[str, ...]]:
    """Return what each list of the REST API can be narrowed by."""
    found: dict[str, tuple[str, ...]] = {}
    for one in resolver.url_patterns:
        filters = getattr(getattr(getattr(one, "callback", None), "cls", None), "filterset_class", None)
        if isinstance(one, URLResolver):
            found |= lists(one, before + str(one.pattern))
        elif filters is not None and str(one.pattern).endswith("s/$"):
            found[before + str(one.pattern).strip("^$")] = (*filters.base_filters, "cursor", "page_size")
    return found


FILTERS = lists(get_resolver())


def status_of(client: Client, method: str, address: str, made: Requests, **sent: Any) -> int | str:
    """Return the answer's status; what went wrong where not even the answer of 500 could be made."""
    cookies = client.cookies.copy()
    cache.clear()
    try:
        return int(ask(client, method, address, made, **sent).status_code)
    except Exception as error:
        return repr(error)
    finally:
        client.cookies = cookies


def is_fault(status: int | str) -> bool:
    return not isinstance(status, int) or status >= 500


def test_filters_of_the_rest_api_are_found() -> None:
    assert set(FILTERS) == {"api/v1/models/", "api/v1/jobs/", "api/v1/datasets/"}
    assert "dataset" in FILTERS["api/v1/jobs/"]


def test_no_value_in_an_address_is_a_fault_of_ours(
    known: dict[str, list[str]], people: dict[str, Client]
) -> None:
    made, faults = Requests(SEED, known), []
    for route, names in {**FILTERS, **ASKED}.items():
        path = "/" + route.format(token=known["token"][0])
        role = "superuser" if route.startswith("admin") else "user"
        values = VALUES if route in FILTERS else made.chance.sample(VALUES, 12)  # pages take longer
        for name, value in itertools.product(names, values):
            address = f"{path}?{name}={value}"
            if is_fault(status_of(people[role], "GET", address, made, headers={})):
                faults.append(address[:200])
    assert faults == []


def test_no_value_in_a_body_is_a_fault_of_ours(
    known: dict[str, list[str]], people: dict[str, Client]
) -> None:
    made, faults = Requests(SEED, known), []
    for (method, route), fields in ALMOST.items():
        path = "/" + route.format(token=known["token"][1])
        for name, value in itertools.product(fields, JSON_VALUES):
            sent = {**fields, name: value}
            if "token" in fields and name != "token":
                sent["token"] = f'"{known["token"][1]}"'
            text = ("{" + ", ".join(f'"{key}": {one}' for key, one in sent.items()) + "}").encode()
            part = b'--b\r\nContent-Disposition: form-data; name="data"\r\n\r\n' + text + b"\r\n--b--\r\n"
            body = (part, KINDS[2]) if route.startswith("flash") else (text, KINDS[0])
            status = status_of(people["user"], method, path, made, headers={}, body=body)
            if is_fault(status):
                faults.append((status, path, name, value[:50]))
    assert faults == []


def test_no_request_is_a_fault_of_ours(known: dict[str, list[str]], people: dict[str, Client]) -> None:
    made, faults = Requests(SEED, known), []
    for route, _ in itertools.product(ADDRESSES, range(ROUNDS)):
        role, method = made.chance.choice(ROLES), made.chance.choice(METHODS)
        address = f"{made.path(route)}?{made.query()}"
        status = status_of(people[role], method, address, made)
        if is_fault(status) and route != "health/":  # no worker runs here
            faults.append((status, role, method, address[:300]))
    assert faults == [], "\n".join(map(str, faults))
