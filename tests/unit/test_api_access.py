"""Who may do what over REST: every address, asked by a stranger, somebody else, the owner, and staff."""

import json
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from django.urls import get_resolver
from django.utils import timezone
from knox.models import AuthToken

from accounts.models import User
from bucket.factory import get_bucket
from control.models import PlatformStatus
from evaluations.models import Evaluation
from models_registry.models import Project, RegisteredModel
from models_registry.projects.aliases import set_alias
from models_registry.projects.versions import promote_version
from models_registry.services import retire_model
from tests.factories import (
    DatasetFactory,
    DatasetValidationFactory,
    EvaluationFactory,
    ProjectFactory,
    TrainingJobFactory,
    UserFactory,
)
from tests.tiny_models import live_colour_model, picture
from training.examples.models import Addition, Edit, Example
from training.jobs.models import TrainingJob

pytestmark = pytest.mark.django_db

PUBLIC = (200, 200, 200, 200)
MINE = (401, 404, 200, 200)  # anonymous, another user, the owner, staff
LISTS = (401, 200, 200, 200)


def model(**fields: Any) -> Callable[[User], str]:
    return lambda owner: live_colour_model(owner=owner, **fields).token


def retired(owner: User) -> str:
    found = live_colour_model(owner=owner)
    retire_model(model=found)
    return found.token


def failed_job(owner: User) -> int:
    job = TrainingJobFactory(
        dataset=DatasetFactory(owner=owner), state=TrainingJob.State.FAILED, finished_at=timezone.now()
    )
    return job.pk


def job(owner: User) -> int:
    return TrainingJobFactory(dataset=DatasetFactory(owner=owner)).pk


def dataset(owner: User) -> int:
    return DatasetFactory(owner=owner).pk


def project(owner: User) -> str:
    return str(ProjectFactory(owner=owner).public_id)


def two_versions(owner: User) -> str:
    first = live_colour_model(owner=owner)
    live_colour_model(owner=owner, project=first.project, version=2)
    promote_version(project=first.project, version=1, by=owner)
    return str(first.project.public_id)


def named(owner: User) -> str:
    found = two_versions(owner)
    set_alias(project=Project.objects.get(public_id=found), name="candidate", version=2)
    return found


def promoted(owner: User) -> str:
    found = two_versions(owner)
    promote_version(project=Project.objects.get(public_id=found), version=2, by=owner)
    return found


def withdrawn(owner: User) -> str:
    found = two_versions(owner)
    Project.objects.filter(public_id=found).update(withdrawn_at=timezone.now())
    return found


def evaluation(owner: User) -> str:
    found = EvaluationFactory(model=live_colour_model(owner=owner))
    return f"{found.project.public_id}/evaluations/{found.identifier}"


def ended_evaluation(owner: User) -> str:
    found = EvaluationFactory(
        model=live_colour_model(owner=owner), state="succeeded", finished_at=timezone.now()
    )
    get_bucket().save("answers", BytesIO(b"PAR1"))
    Evaluation.objects.filter(pk=found.pk).update(result_key="answers", result_size=4)
    return f"{found.project.public_id}/evaluations/{found.identifier}"


def edited_project(owner: User) -> str:
    found = ProjectFactory(owner=owner)
    dataset = DatasetFactory(owner=owner)
    example = Example.objects.create(project=found, shard=dataset, place="1", edited_in=1, excluded=True)
    change = {"ids": [example.pk], "before": {"excluded": False}, "after": {"excluded": True}}
    changes = [{**change, "edited_in": 0, "gives": 1}]
    Edit.objects.create(project=found, number=1, kind="exclude", summary="x", examples=1, changes=changes)
    return str(found.public_id)


def example(owner: User) -> str:
    found = ProjectFactory(owner=owner)
    Example.objects.create(pk=1, project=found, shard=DatasetFactory(owner=owner), place="1", sha256="1" * 64)
    return str(found.public_id)


def addition(owner: User) -> str:
    found = ProjectFactory(owner=owner)
    Addition.objects.create(pk=1, project=found, validation=DatasetValidationFactory(dataset__owner=owner))
    return str(found.public_id)


def api_token(owner: User) -> str:
    return AuthToken.objects.create(user=owner)[0].token_key


TEXTS = {"texts": ["x"]}
CASES = [
    ("GET", "models/", None, None, LISTS),
    ("GET", "models/{}/", model(), None, MINE),
    ("PATCH", "models/{}/", model(), {"name": "New"}, MINE),
    ("DELETE", "models/{}/", model(), None, (401, 404, 204, 204)),
    ("POST", "models/{}/keep/", model(), {}, MINE),
    ("POST", "models/{}/restore/", retired, {}, MINE),
    ("POST", "models/{}/predict/", model(), picture("red"), PUBLIC),
    ("POST", "models/{}/predict/", retired, picture("red"), (404, 404, 404, 404)),
    ("GET", "models/{}/download/?format=onnx", model(downloadable=True), None, PUBLIC),
    ("GET", "models/{}/download/?format=onnx", model(downloadable=False), None, (404, 404, 200, 200)),
    ("GET", "models/{}/download/?format=onnx", retired, None, (404, 404, 200, 200)),
    ("GET", "datasets/", None, None, LISTS),
    ("POST", "datasets/", None, {}, (401, 415, 415, 415)),
    ("POST", "datasets/plan/", None, {}, (401, 415, 415, 415)),
    ("GET", "datasets/{}/", dataset, None, MINE),
    ("GET", "jobs/", None, None, LISTS),
    ("POST", "jobs/", None, {}, (401, 400, 400, 400)),
    ("GET", "jobs/{}/", job, None, MINE),
    ("POST", "jobs/{}/cancel/", job, {}, MINE),
    ("POST", "jobs/{}/retry/", failed_job, {}, (401, 404, 201, 201)),
    ("GET", "projects/", None, None, LISTS),
    ("GET", "projects/{}/", project, None, MINE),
    ("PATCH", "projects/{}/", project, {"name": "New"}, MINE),
    ("DELETE", "projects/{}/", project, None, (401, 404, 204, 204)),
    ("GET", "projects/{}/versions/", project, None, MINE),
    ("POST", "projects/{}/promote/", two_versions, {"version": 2}, MINE),
    ("POST", "projects/{}/rollback/", promoted, {"expected": 2}, MINE),
    ("POST", "projects/{}/restore/", withdrawn, {}, MINE),
    ("PATCH", "projects/{}/versions/1/", two_versions, {"notes": "Better"}, MINE),
    ("PUT", "projects/{}/aliases/candidate/", two_versions, {"version": 2}, MINE),
    ("DELETE", "projects/{}/aliases/candidate/", named, None, (401, 404, 204, 204)),
    ("GET", "projects/{}/evaluations/", project, None, MINE),
    ("POST", "projects/{}/evaluations/", project, {"version": 9}, (401, 404, 400, 400)),
    ("GET", "projects/{}/", evaluation, None, MINE),
    ("POST", "projects/{}/cancel/", evaluation, {}, (401, 404, 202, 202)),
    ("GET", "projects/{}/answers/", ended_evaluation, None, MINE),
    ("DELETE", "projects/{}/", ended_evaluation, None, (401, 404, 204, 204)),
    ("GET", "projects/{}/compare/?v=1&v=2", two_versions, None, MINE),
    ("POST", "projects/{}/compare/", two_versions, {"versions": [1, 2]}, (401, 404, 400, 400)),
    ("GET", "projects/{}/examples/", project, None, MINE),
    ("GET", "projects/{}/examples/download/", project, None, MINE),
    ("PATCH", "projects/{}/examples/", project, {"ids": [], "excluded": True}, MINE),
    ("GET", "projects/{}/additions/1/", addition, None, MINE),
    ("GET", "projects/{}/examples/1/similar/", example, None, (401, 404, 400, 400)),
    ("POST", "projects/{}/undo/", edited_project, {"edit": 1}, MINE),
    ("GET", "projects/{}/revisions/", project, None, MINE),
    ("POST", "projects/{}/train/", project, {}, (401, 404, 400, 400)),
    ("GET", "expiring/", None, None, LISTS),
    ("GET", "tokens/", None, None, LISTS),
    ("POST", "tokens/", None, {}, (401, 201, 201, 201)),
    ("DELETE", "tokens/{}/", api_token, None, (401, 404, 204, 404)),
    ("GET", "schema/", None, None, PUBLIC),
    ("GET", "docs/", None, None, PUBLIC),
]


def ask(client: Client, method: str, path: str, body: Any) -> Any:
    if isinstance(body, bytes):
        file = BytesIO(body)
        file.name = "photo.png"
        return client.post(f"/api/v1/{path}", {"file": file})
    return client.generic(
        method, f"/api/v1/{path}", json.dumps({} if body is None else body), "application/json"
    )


def asked_by(who: str, owner: User) -> Client:
    client = Client()
    people = {
        "other": lambda: UserFactory(),
        "owner": lambda: owner,
        "staff": lambda: UserFactory(is_staff=True, is_superuser=True),
    }
    if who != "anonymous":
        client.force_login(people[who]())
    return client


@pytest.mark.parametrize(("method", "path", "make", "body", "expected"), CASES)
@pytest.mark.parametrize(("place", "who"), enumerate(("anonymous", "other", "owner", "staff")))
def test_who_may_do_what(
    method: str, path: str, make: Any, body: Any, expected: tuple[int, ...], place: int, who: str
) -> None:
    owner = UserFactory()
    address = path.format(make(owner)) if make else path
    response = ask(asked_by(who, owner), method, address, body)
    assert response.status_code == expected[place], getattr(response, "content", b"")[:500]
    assert response["X-Request-ID"]
    if response.status_code >= 400:
        assert response["Content-Type"] == "application/problem+json"
        assert response.json()["status"] == response.status_code


EVALUATIONS = (evaluation, ended_evaluation)  # whose identifiers stand below those of projects


def test_every_address_is_asked_for() -> None:
    nothing = str(UUID(int=0))
    known = {
        path.partition("?")[0].replace(
            "{}", f"{nothing}/evaluations/{nothing}" if make in EVALUATIONS else nothing
        )
        for _, path, make, *_ in CASES
    }
    resolver = get_resolver()
    asked = {resolver.resolve(f"/api/v1/{path}").view_name for path in known}
    names = {name for name in resolver.reverse_dict if isinstance(name, str)}
    assert {name for name in names if name.startswith("api-")} - asked == BATCHES_HAVE_THEIR_OWN_TESTS & names


BATCHES_HAVE_THEIR_OWN_TESTS = {
    name for name in get_resolver().reverse_dict if isinstance(name, str) and name.startswith("api-batch")
}


@pytest.mark.parametrize("path", ["models/{}/predict/", "models/{}/download/?format=onnx", "models/{}/"])
def test_unknown_foreign_and_expired_tokens_are_alike(path: str) -> None:
    owner, other = UserFactory(), UserFactory()
    deleted = live_colour_model(owner=other)
    RegisteredModel.objects.filter(pk=deleted.pk).update(state=RegisteredModel.State.DELETED)
    expired = live_colour_model(owner=other, downloadable=True, expires_at=timezone.now())
    foreign = live_colour_model(owner=other, downloadable=False)
    if path == "models/{}/predict/":  # who has the token of a live model may predict
        retire_model(model=foreign)
    client = asked_by("owner", owner)
    method = "POST" if "predict" in path else "GET"
    answers = []
    known = (foreign.token, deleted.token, expired.token)
    for token in ("imageClassification-x-0", *known, "ä", "a%00b", "x" * 3000):
        response = ask(client, method, path.format(token), TEXTS)
        answers.append((response.status_code, response.content, response["Content-Type"]))
    assert answers == [answers[0]] * len(answers)
    assert answers[0][0] == 404


@pytest.mark.parametrize(
    "path", ["jobs/99999999999999999999999/", "jobs/x/", "datasets/-1/", "nothing/", "tokens/x"]
)
def test_addresses_that_lead_nowhere_are_problems(path: str) -> None:
    client = asked_by("owner", UserFactory())
    response = client.get(f"/api/v1/{path}", headers={"Accept": "text/html,*/*;q=0.1"}, follow=True)
    assert response.status_code in (404, 405)
    assert response["Content-Type"] == "application/problem+json"


def test_an_api_token_acts_for_its_user_until_it_is_revoked() -> None:
    mine = live_colour_model()
    kept, token = AuthToken.objects.create(user=mine.owner)
    client = Client(headers={"Authorization": f"Token {token}"})
    assert [entry["token"] for entry in client.get("/api/v1/models/").json()["results"]] == [mine.token]
    kept.delete()
    response = client.get("/api/v1/models/")
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Token"


def test_a_session_needs_its_csrf_token() -> None:
    client, model = Client(enforce_csrf_checks=True), live_colour_model()
    client.force_login(model.owner)
    response = client.delete(f"/api/v1/models/{model.token}/")
    assert response.status_code == 403
    assert response["Content-Type"] == "application/problem+json"


# what owners change ---------------------------------------------------------------------------


def patch(found: RegisteredModel, changes: object, *, staff: bool = False) -> Any:
    client = asked_by("staff" if staff else "owner", found.owner)
    return ask(client, "PATCH", f"models/{found.token}/", changes)


def test_an_owner_changes_name_download_and_expiry() -> None:
    found = live_colour_model(downloadable=False)
    until = timezone.now().replace(microsecond=0) + timedelta(days=3)
    response = patch(found, {"name": "Better", "downloadable": True, "expires_at": until.isoformat()})
    assert response.status_code == 200, response.content
    found.refresh_from_db()
    assert (found.name, found.downloadable, found.expires_at) == ("Better", True, until)
    assert response.json()["name"] == "Better"


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "a\u202eb"},
        {"name": "a\x00"},
        {"name": "x" * 101},
        {"downloadable": "perhaps"},
        {"expires_at": "2001-01-01T00:00:00Z"},
        {"expires_at": "9999-01-01T00:00:00Z"},
        {"expires_at": None},
        {"pinned": True},
        [],
        "x",
    ],
    ids=str,
)
def test_what_an_owner_cannot_change_is_a_400_and_changes_nothing(changes: object) -> None:
    found = live_colour_model()
    before = RegisteredModel.objects.filter(pk=found.pk).values().get()
    response = patch(found, changes)
    assert response.status_code == 400
    assert response.json()["detail"]
    assert RegisteredModel.objects.filter(pk=found.pk).values().get() == before


def test_staff_may_keep_for_ever() -> None:
    found = live_colour_model()
    assert patch(found, {"pinned": True, "expires_at": None}, staff=True).status_code == 200
    found.refresh_from_db()
    assert (found.pinned, found.expires_at) == (True, None)


def test_fields_that_nobody_changes_stay() -> None:
    found = live_colour_model()
    refused = patch(found, {"accuracy": 1, "token": "mine", "owner": 1, "state": "deleted"})
    assert refused.status_code == 400
    assert refused.json()["errors"].keys() == {"accuracy", "token", "owner", "state"}
    again = RegisteredModel.objects.get(pk=found.pk)
    assert (again.accuracy, again.token, again.owner, again.state) == (
        96.25,
        found.token,
        found.owner,
        "live",
    )


def test_a_model_goes_and_comes_back() -> None:
    found = live_colour_model()
    client = asked_by("owner", found.owner)
    assert ask(client, "DELETE", f"models/{found.token}/", None).status_code == 204
    assert ask(client, "GET", f"models/{found.token}/", None).json()["state"] == "retired"
    assert ask(client, "DELETE", f"models/{found.token}/", None).status_code == 400
    assert ask(client, "PATCH", f"models/{found.token}/", {"name": "x"}).status_code == 400
    assert ask(client, "POST", f"models/{found.token}/restore/", None).json()["state"] == "live"


def test_a_model_is_kept_longer_but_not_for_ever(settings: Any) -> None:
    found = live_colour_model()
    client = asked_by("owner", found.owner)
    before = found.expires_at
    assert ask(client, "POST", f"models/{found.token}/keep/", {"hours": 5}).status_code == 200
    found.refresh_from_db()
    assert found.expires_at == before + timedelta(hours=5)
    for hours in (24 * 30, 0, -1, "many", 10**30):
        assert ask(client, "POST", f"models/{found.token}/keep/", {"hours": hours}).status_code == 400
    staff = asked_by("staff", found.owner)
    assert ask(staff, "POST", f"models/{found.token}/keep/", {"hours": 24 * 30}).status_code == 400


# lists ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", {"Roses", "Words"}),
        ("state=live", {"Roses"}),
        ("state=live&state=retired", {"Roses", "Words"}),
        ("task_type=textclassification", {"Words"}),
        ("name=ROS", {"Roses"}),
        ("downloadable=false", {"Words"}),
        ("expires_before=2020-01-01T00:00:00Z", set()),
        ("live_since=2020-01-01T00:00:00Z", {"Roses", "Words"}),
    ],
)
def test_models_are_looked_for(query: str, names: set[str]) -> None:
    from tests.factories import RegisteredModelFactory

    owner = UserFactory()
    RegisteredModelFactory(owner=owner, name="Roses")
    words = RegisteredModelFactory(
        owner=owner, name="Words", task_type="textclassification", downloadable=False
    )
    retire_model(model=words)
    answer = asked_by("owner", owner).get(f"/api/v1/models/?{query}").json()
    assert {entry["name"] for entry in answer["results"]} == names


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("state=queued", 2),
        ("state=queued&state=failed", 3),
        ("state=failed", 1),
        ("name=x", 0),
        ("token=x", 0),
    ],
)
def test_jobs_are_looked_for(query: str, found: int) -> None:
    owner = UserFactory()
    for make in (job, job, failed_job):
        make(owner)
    client = asked_by("owner", owner)
    assert len(client.get(f"/api/v1/jobs/?{query}").json()["results"]) == found
    some = TrainingJob.objects.first()
    assert some is not None
    assert len(client.get(f"/api/v1/jobs/?dataset={some.dataset_id}").json()["results"]) == 1


@pytest.mark.parametrize(
    "path",
    [
        "models/?state=odd",
        "models/?live_since=noon",
        "jobs/?dataset=x",
        "jobs/?dataset=" + "9" * 30,
        "jobs/?dataset=1e999",
        "jobs/?queued_since=9999-12-31T23:59:59-23:59",
        "models/?live_since=0001-01-01T00:00:00%2B23:59",
        "datasets/?task_type=x",
    ],
)
def test_a_filter_that_makes_no_sense_is_a_400(path: str) -> None:
    response = asked_by("owner", UserFactory()).get(f"/api/v1/{path}")
    assert response.status_code == 400
    assert response.json()["errors"]


def test_long_lists_come_in_pages_that_end() -> None:
    owner = UserFactory()
    jobs = {job(owner) for _ in range(7)}
    client, seen = asked_by("owner", owner), []
    address = "http://testserver/api/v1/jobs/?page_size=3"
    while address:
        page = client.get(address.removeprefix("http://testserver")).json()
        seen += [entry["id"] for entry in page["results"]]
        address = page["next"]
    assert len(seen) == 7
    assert set(seen) == jobs
    assert seen == sorted(seen, reverse=True)


@pytest.mark.parametrize("cursor", ["x", "cD0xMg==", "cD1ub29u", "cD0yMDI2LTAxLTAx", "bz0tMQ==", "ä", "cj14"])
def test_a_made_up_cursor_is_a_404(cursor: str) -> None:
    response = asked_by("owner", UserFactory()).get("/api/v1/jobs/", {"cursor": cursor})
    assert response.status_code == 404
    assert response["Content-Type"] == "application/problem+json"


# other problems -------------------------------------------------------------------------------


def test_every_refusal_is_a_problem(settings: Any) -> None:
    found = live_colour_model()
    path = f"/api/v1/models/{found.token}/predict/"
    client = Client(headers={"Accept": "text/html, */*"})
    settings.TRAINYARD = {**settings.TRAINYARD, "MAX_PREDICT_BYTES": 100}
    assert_problem(client.get(path), 405)
    assert client.get(path)["Allow"] == "POST, OPTIONS"
    assert_problem(client.post(path, "x", "text/plain"), 415)
    assert_problem(client.post(path, b"x" * 2_000_000, "application/json"), 413)
    assert_problem(client.post(path, "[" * 200_000, "application/json"), 400)
    assert_problem(Client(headers={"Accept": "image/png"}).post(path, TEXTS, "application/json"), 406)
    PlatformStatus(dev_mode=True).save()
    response = client.post(path, {"texts": ["x"]}, "application/json")
    assert_problem(response, 503)
    assert response["Retry-After"] == "60"


def test_a_fault_of_ours_is_a_problem_without_its_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("secret of the code")

    monkeypatch.setattr("inference.api.predict.predict", fail)
    client = Client(raise_request_exception=False)
    response = client.post("/api/v1/models/x/predict/", TEXTS, "application/json")
    assert_problem(response, 500)
    assert "secret" not in response.content.decode()


def assert_problem(response: Any, status: int) -> None:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status
    assert body["detail"]
    assert response["X-Request-ID"]
