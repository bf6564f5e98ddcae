"""Nothing that is sent over REST is lost unread: every call refuses what it does not take, by its name."""

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import User
from tests.factories import DatasetFactory, TrainingJobFactory, UserFactory
from tests.tiny_models import live_colour_model, live_mood_model, picture
from tests.unit.test_api_access import CASES, ask
from training.jobs.models import TrainingJob

pytestmark = pytest.mark.django_db

CALLS = [
    pytest.param(method, path, make, body, id=f"{method} {path}")
    for method, path, make, body, _ in CASES
    if path not in ("schema/", "docs/")
]
CALLS.append(
    pytest.param(
        "POST", "models/{}/batches/", lambda owner: live_mood_model(owner=owner).token, {}, id="a batch"
    )
)
FORMS = ("datasets/", "datasets/plan/", "models/{}/batches/")  # calls that take no JSON


@pytest.fixture
def owner() -> User:
    return UserFactory()


@pytest.fixture
def client(owner: User) -> Client:
    client = Client()
    client.force_login(owner)
    return client


def problems(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 400, answer.content[:500]
    assert answer["Content-Type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()["errors"]
    return found


@pytest.mark.parametrize(("method", "path", "make", "body"), CALLS)
def test_unknown_parameter_of_an_address_is_refused(
    client: Client, owner: User, method: str, path: str, make: Any, body: Any
) -> None:
    address = path.format(make(owner)) if make else path
    address += ("&" if "?" in address else "?") + "unheard_of=1"
    assert list(problems(ask(client, method, address, body))) == ["unheard_of"]


@pytest.mark.parametrize(
    ("method", "path", "make", "body"), [call for call in CALLS if call.values[0] != "GET"]
)
def test_unknown_field_is_refused(
    client: Client, owner: User, method: str, path: str, make: Any, body: Any
) -> None:
    address = path.format(make(owner)) if make else path
    if isinstance(body, bytes) or path in FORMS:
        answer = client.post(f"/api/v1/{address}", {"unheard_of": "1"})
    else:
        answer = ask(client, method, address, {**(body or {}), "unheard_of": 1})
    assert "unheard_of" in problems(answer)


def test_call_without_fields_takes_none_in_any_form(client: Client, owner: User) -> None:
    address = f"/api/v1/jobs/{TrainingJobFactory(dataset=DatasetFactory(owner=owner)).pk}/cancel/"
    assert client.post(address, "[1]", "application/json").status_code == 400
    assert "force" in problems(client.post(address, {"force": "1"}))
    assert "force" in problems(client.post(address, "force=1", "application/x-www-form-urlencoded"))
    assert client.post(address).status_code == 200, "an empty form"


def submit(client: Client, owner: User, **given: Any) -> Any:
    dataset = DatasetFactory(owner=owner)
    body = {"dataset": dataset.pk, "name": "Colours", **given}
    return client.post("/api/v1/jobs/", json.dumps(body), "application/json")


@pytest.mark.parametrize("given", [{"budget_minutes": 15}, {"advanced": {"budget_minutes": 15}}])
def test_budget_is_taken_where_one_would_write_it(client: Client, owner: User, given: dict[str, Any]) -> None:
    answer = submit(client, owner, preset="best", **given)
    assert answer.status_code == 201, answer.content
    assert answer.json()["advanced"] == {"budget_minutes": 15}
    assert TrainingJob.objects.get().budget_minutes == 15


def test_settings_by_name_and_in_advanced_come_together(client: Client, owner: User) -> None:
    given = {"augmentation": "strong", "class_weights": True, "advanced": {"label_smoothing": 0.1}}
    assert submit(client, owner, preset="accurate", **given, early_stopping=None).json()["advanced"] == {
        "augmentation": "strong",
        "class_weights": True,
        "label_smoothing": 0.1,
    }


@pytest.mark.parametrize(
    ("given", "name", "words"),
    [
        ({"budget_minutes": 0}, "budget_minutes", "1"),
        ({"budget_minutes": "long"}, "budget_minutes", "integer"),
        ({"budget_minutes": 5, "advanced": {"budget_minutes": 15}}, "budget_minutes", "advanced"),
        ({"budget": 5}, "budget", "Did you mean budget_minutes?"),
        ({"advanced": {"budget": 5}}, "advanced", "budget_minutes"),
        ({"advanced": {"epochs": 5}}, "advanced", "epochs"),
        ({"augmentation": "wild"}, "augmentation", "from: none, light, strong"),
        ({"preset": "quick"}, "preset", "from: fast, accurate, best, scratch"),
        ({"learning_rat": 0.1}, "learning_rat", "Did you mean learning_rate?"),
        ({"state": "succeeded"}, "state", "platform"),
        ({"token": "mine"}, "token", "platform"),
        ({"step_lr": {"step_size": 2, "gama": 0.5}}, "step_lr", "Did you mean gamma?"),
        ({"reduce_lr_on_plateau": {"patient": 2}}, "reduce_lr_on_plateau", "patience"),
    ],
)
def test_setting_that_cannot_be_used_is_named(
    client: Client, owner: User, given: dict[str, Any], name: str, words: str
) -> None:
    found = problems(submit(client, owner, **{"preset": "best", **given}))
    assert list(found) == [name]
    assert words in json.dumps(found[name])
    assert not TrainingJob.objects.exists()


def test_all_that_is_wrong_is_told_at_once(client: Client) -> None:
    body = json.dumps({"name": "x" * 500, "budgets": 1})
    assert problems(client.post("/api/v1/jobs/", body, "application/json")).keys() == {
        "name",
        "dataset",
        "budgets",
    }


def test_few_of_many_unknown_fields_are_told(client: Client) -> None:
    body = json.dumps({f"{number}" * 300: 1 for number in range(100, 1_000)})
    answer = client.post("/api/v1/tokens/", body, "application/json")
    assert len(problems(answer)) == 20
    assert len(answer.content) < 10_000


def test_field_that_counts_once_is_sent_once(client: Client) -> None:
    answer = client.post("/api/v1/datasets/plan/", {"name": ["a.csv", "b.csv"], "entries": "[]"})
    assert "once" in problems(answer)["name"][0]
    assert "once" in problems(client.get("/api/v1/models/?name=a&name=b"))["name"][0]
    assert client.get("/api/v1/models/?state=live&state=retired").status_code == 200


def test_name_that_stands_twice_in_json_is_refused(client: Client) -> None:
    answer = client.post("/api/v1/tokens/", '{"days": 1, "days": 2}', "application/json")
    assert answer.status_code == 400
    assert '"days" stands twice' in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("models/?page_size=all", "page_size"),
        ("models/?page_size=0", "page_size"),
        ("models/?stat=live", "stat"),
        ("projects/?task_type=image", "task_type"),
        ("models/?state=alive", "state"),
    ],
)
def test_list_is_never_of_something_else_than_was_asked_for(client: Client, path: str, name: str) -> None:
    assert list(problems(client.get(f"/api/v1/{path}"))) == [name]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"texts": ["x"], "explain": True}, "?explain=1"),
        ({"text": "x"}, "Did you mean texts?"),
    ],
)
def test_option_of_a_prediction_in_the_wrong_place(client: Client, body: dict[str, Any], words: str) -> None:
    token = live_mood_model().token
    answer = client.post(f"/api/v1/models/{token}/predict/", json.dumps(body), "application/json")
    assert words in json.dumps(problems(answer))


def test_files_and_texts_at_once_are_refused(client: Client) -> None:
    path = f"/api/v1/models/{live_colour_model().token}/predict/"
    answer = client.post(path, {"file": SimpleUploadedFile("a.png", picture("red")), "texts": "x"})
    assert (answer.status_code, answer.json()["detail"]) == (400, "Send files or texts, not both.")
    answer = client.post(path, {"texts": SimpleUploadedFile("a.txt", b"x")})
    assert "as a batch" in answer.json()["detail"]


def test_description_says_that_there_are_no_other_fields(client: Client) -> None:
    found = client.get("/api/v1/schema/", headers={"Accept": "application/json"}).json()
    parts = found["components"]["schemas"]
    for path, calls in found["paths"].items():
        for method, call in calls.items():
            for content in call.get("requestBody", {}).get("content", {}).values():
                name = content["schema"]["$ref"].rpartition("/")[2]
                assert parts[name]["additionalProperties"] is False, f"{method} {path}"
    assert parts["JobRequest"]["properties"]["budget_minutes"]["maximum"] == 1440
    assert "additionalProperties" not in parts["Job"]
