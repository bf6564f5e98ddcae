"""Batches over the pages, over REST and from a shell."""

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from bucket.factory import get_bucket
from control.models import PlatformStatus
from inference.batches import services
from inference.batches.attempts import BatchAttempt
from inference.batches.limits import limits
from inference.batches.models import Batch
from inference.batches.sources import Item, TextSource, open_source
from models_registry.inputs import DataError
from models_registry.models import RegisteredModel
from models_registry.projects.versions import promote_version
from tests.factories import UserFactory
from tests.tiny_models import COLOURS, live_colour_model, picture

pytestmark = pytest.mark.django_db(transaction=True)  # the heartbeat has a connection of its own


@pytest.fixture(autouse=True)
def nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "announce", lambda batch: True)


@pytest.fixture
def model() -> RegisteredModel:
    return live_colour_model()


def photos(count: int = 3) -> SimpleUploadedFile:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        for number in range(count):
            zipped.writestr(f"{number}.png", picture(COLOURS[number % 3]))
    return SimpleUploadedFile("photos.zip", buffer.getvalue())


def finish() -> None:
    batch = BatchAttempt.claim_next(worker="w", queue="batches")
    BatchAttempt(batch).carry_out()


def api(model: RegisteredModel, *parts: str) -> str:
    return "/".join([f"/api/v1/models/{model.token}/batches", *parts, ""])


def test_rest_from_file_to_result(client: Client, model: RegisteredModel) -> None:
    answer = client.post(api(model), {"file": photos()})
    assert answer.status_code == 202, answer.content
    told = answer.json()
    assert answer.headers["Location"] == told["url"]
    assert (told["state"], told["total"], told["done"], told["result"]) == ("queued", 3, 0, None)
    assert client.get(api(model, told["id"], "result")).status_code == 404
    finish()
    told = client.get(told["url"]).json()
    assert (told["state"], told["done"]) == ("succeeded", 3)
    result = client.get(told["result"])
    assert result.headers["Content-Disposition"] == 'attachment; filename="photos-predictions.csv"'
    rows = list(csv.DictReader(io.StringIO(b"".join(result.streaming_content).decode())))
    assert [row["label"] for row in rows] == list(COLOURS)


def test_rest_tells_strangers_nothing(client: Client, model: RegisteredModel) -> None:
    identifier = client.post(api(model), {"file": photos()}).json()["id"]
    other = live_colour_model()
    for wrong in (api(other, identifier), api(model, "0" * 32), api(model, identifier[:-1])):
        assert client.get(wrong).status_code == 404
        assert client.post(f"{wrong}cancel/").status_code == 404
        assert client.get(f"{wrong}result/").status_code == 404
    assert client.post("/api/v1/models/nothing/batches/", {"file": photos()}).status_code == 404
    assert client.get(api(model)).status_code == 405


def test_rest_cancels(client: Client, model: RegisteredModel) -> None:
    identifier = client.post(api(model), {"file": photos()}).json()["id"]
    assert client.post(api(model, identifier, "cancel")).json()["state"] == "cancelled"
    assert client.post(api(model, identifier, "cancel")).status_code == 400


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({}, 400),
        ({"file": SimpleUploadedFile("photos.zip", b"no zip")}, 400),
        ({"file": SimpleUploadedFile("texts.csv", b"input\nhello\n")}, 400),
    ],
)
def test_rest_refuses_what_cannot_be_used(
    client: Client, model: RegisteredModel, data: dict[str, Any], status: int
) -> None:
    answer = client.post(api(model), data)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert not Batch.objects.exists()


def test_halted_platform_takes_no_batch(client: Client, model: RegisteredModel) -> None:
    PlatformStatus.objects.create(pk=1, dev_mode=True)
    assert client.post(api(model), {"file": photos()}).status_code == 503
    page = reverse("inference:batches", args=[model.token])
    assert client.post(page, {"file": photos()}, headers={"accept": "text/html"}).status_code == 503


def test_page_from_form_to_result(client: Client, model: RegisteredModel) -> None:
    owner = UserFactory()
    client.force_login(owner)
    assert "Batch prediction" in client.get(reverse("inference:model", args=[model.token])).content.decode()
    sent = client.post(reverse("inference:batches", args=[model.token]), {"file": photos()})
    batch = Batch.objects.get()
    assert (batch.owner_id, sent.url) == (
        owner.pk,
        reverse("inference:batch", args=[model.token, batch.identifier]),
    )
    page = client.get(sent.url).content.decode()
    news = reverse("inference:batch-fragment", args=[model.token, batch.identifier])
    assert f'hx-get="{news}"' in page
    assert "every 1s" in client.get(news).content.decode()
    finish()
    over = client.get(news).content.decode()
    assert "every 1s" not in over  # the page stops asking
    assert reverse("inference:batch-result", args=[model.token, batch.identifier]) in over
    assert "photos.zip" in client.get(reverse("inference:batch-list")).content.decode()


def test_page_says_what_is_wrong_with_a_file(client: Client, model: RegisteredModel) -> None:
    address = reverse("inference:batches", args=[model.token])
    wrong = SimpleUploadedFile("photos.zip", b"no zip")
    refused = client.post(address, {"file": wrong}, headers={"hx-request": "true"})
    assert refused.status_code == 400
    assert "not a zip archive" in refused.content.decode()
    wrong.seek(0)
    page = client.post(address, {"file": wrong}, follow=True)
    assert "not a zip archive" in page.content.decode()


def test_list_shows_only_ones_own(client: Client, model: RegisteredModel) -> None:
    services.create_batch(token=model.token, file=photos(), owner=UserFactory())
    services.create_batch(token=model.token, file=photos())
    address = reverse("inference:batch-list")
    assert client.get(address).status_code == 302
    client.force_login(UserFactory())
    assert "photos.zip" not in client.get(address).content.decode()
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    assert client.get(f"{address}?whose=everyone").content.decode().count("photos.zip") == 2


def test_a_projects_token_never_leads_to_its_versions_own(client: Client, model: RegisteredModel) -> None:
    project, sender = model.project, UserFactory()
    promote_version(project=project, version=1)
    client.force_login(sender)
    told = client.post(f"/api/v1/models/{project.token}/batches/", {"file": photos()}).json()
    finish()
    page = f"/models/{project.token}/batches/{told['id']}/"
    listed = client.get(reverse("inference:batch-list")).content.decode()
    assert page in listed
    seen = [listed, *(client.get(address).content.decode() for address in (told["url"], page))]
    assert project.token in seen[1]
    assert not [text for text in seen if model.token in text]


def test_a_batch_of_which_the_token_is_not_known_is_listed_without_a_link(
    client: Client, model: RegisteredModel
) -> None:
    batch = services.create_batch(token=model.token, file=photos(), owner=UserFactory())
    Batch.objects.update(token="")
    client.force_login(batch.owner)
    listed = client.get(reverse("inference:batch-list")).content.decode()
    assert "photos.zip" in listed
    assert batch.identifier not in listed
    assert model.token not in listed


def test_shell_writes_what_a_worker_writes(
    model: RegisteredModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given, output = tmp_path / "photos.zip", tmp_path / "result.csv"
    given.write_bytes(photos(5).read())
    call_command("predict", model.token, "--batch", str(given), "--output", str(output), "--json")
    assert json.loads(capsys.readouterr().out) == {"inputs": 5, "unreadable": 0, "output": str(output)}
    batch = services.create_batch(token=model.token, file=photos(5))
    finish()
    batch.refresh_from_db()
    assert output.read_bytes() == get_bucket().open(batch.result_key).read()
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["photos.zip", "result.csv"]


def test_shell_leaves_nothing_half_done(model: RegisteredModel, tmp_path: Path) -> None:
    given, output = tmp_path / "photos.zip", tmp_path / "result.csv"
    given.write_bytes(b"no zip")
    output.write_text("kept")
    with pytest.raises(CommandError, match="not a zip"):
        call_command("predict", model.token, "--batch", str(given), "--output", str(output))
    assert output.read_text() == "kept"
    for arguments in ([], ["--batch", str(given)], ["x.png", "--batch", str(given), "--output", str(output)]):
        with pytest.raises(CommandError, match="either"):
            call_command("predict", model.token, *arguments)


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("t.csv", "id,input\n1,one\n2,\n3, three \n", ["one", "", " three "]),
        ("t.csv", "sentence,label\none,\n,x\nthree,y\n", ["one", "", "three"]),
        ("t.tsv", 'whatever\none\n" "\nthree\n', ["one", " ", "three"]),
        ("t.jsonl", '{"text": "one"}\n{"text": null}\n{"text": "\\tthree"}\n', ["one", "", "\tthree"]),
    ],
)
def test_tables_of_texts_are_read(tmp_path: Path, name: str, content: str, texts: list[str]) -> None:
    path = tmp_path / name
    path.write_text(content)
    source = open_source(path, is_image=False, limits=limits())
    items = list(source.items(0))
    assert source.count() == 3
    assert [item.content for item in items] == texts
    assert [item.problem for item in items] == ["", "is empty", ""]
    assert list(source.items(2)) == items[2:]
    assert [len(chunk) for chunk in source.chunks(1)] == [2]


def test_texts_that_cannot_be_used_say_why(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"text": "a\\u0000b"}\n{"text": "\\ud800"}\n{"text": "' + "x" * 30_000 + '"}\n')
    problems = [item.problem for item in TextSource(path, limits()).items(0)]
    assert problems == [
        "holds NUL characters",
        "holds half a character",
        "has 30,000 characters; the limit is 20,000",
    ]


def test_table_without_a_column_of_texts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="'a', 'b'"):
        list(TextSource(path, limits()).items(0))
    assert list(TextSource(path, limits(), "b").items(0)) == [Item("2", "2")]
