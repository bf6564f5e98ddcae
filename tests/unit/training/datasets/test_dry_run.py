"""Plans of data sets over REST: what is asked, what is refused, what is answered."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from rest_framework.test import APIClient

from control.models import PlatformStatus
from tests.factories import UserFactory
from tests.tiny_models import picture
from training.datasets.models import Dataset

pytestmark = pytest.mark.django_db

ADDRESS = "/api/v1/datasets/plan/"
TABLE = "text,label\n" + "\n".join(f"some text {number},{'xy'[number % 2]}" for number in range(24)) + "\n"


@pytest.fixture
def client() -> APIClient:
    client = APIClient()
    client.force_authenticate(UserFactory())
    return client


def ask(client: APIClient, content: bytes | None = None, **fields: Any) -> Any:
    if content is not None:
        fields["file"] = io.BytesIO(content)
        fields["file"].name = "part"
    return client.post(ADDRESS, {"name": "data.csv", **fields})


def zip_of(*names: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            archive.writestr(name, b"x" * 100)
    return content.getvalue()


def test_whole_table_is_planned_and_not_kept(client: APIClient, bucket: Path) -> None:
    body = ask(client, TABLE.encode()).json()
    assert (body["task_type"], body["examples"], body["classes"]) == (
        "textclassification",
        24,
        {"x": 12, "y": 12},
    )
    assert (body["is_complete"], body["problem"]) == (True, "")
    assert (body["columns"], body["rows"][0]) == (["text", "label"], ["some text 0", "x"])
    assert (body["separator"], body["heading"], body["encoding"]) == (",", True, "utf-8")
    assert not Dataset.objects.exists()
    assert not [path for path in bucket.rglob("*") if path.is_file()]


def test_parquet_is_planned_by_what_is_in_it(client: APIClient) -> None:
    content = io.BytesIO()
    cells = [picture(f"rgb({number}, 9, 9)") for number in range(4)]
    pyarrow.parquet.write_table(pyarrow.table({"image": cells, "label": [*"abba"]}), content)
    body = ask(client, content.getvalue(), name="train.parquet").json()
    assert (body["task_type"], body["classes"]) == ("imageclassification", {"a": 2, "b": 2})
    body = ask(client, content.getvalue(), name="train.parquet", task_type="textclassification").json()
    assert "no column 'input'" in body["problem"]


def test_beginning_of_a_table_ends_in_a_broken_row(client: APIClient) -> None:
    body = ask(client, TABLE.encode()[:-15], part="head", size=len(TABLE)).json()
    assert (body["examples"], body["left_out"], body["is_complete"]) == (22, [], False)


def test_list_of_files_of_a_zip_is_enough(client: APIClient) -> None:
    whole = zip_of(*(f"{label}/{number}.jpg" for label in ("cat", "dog") for number in range(12)), "x.txt")
    tail = whole[whole.index(b"PK\1\2") :]
    body = ask(client, tail, name="photos.zip", part="tail", size=len(whole)).json()
    assert (body["classes"], body["levels"], body["is_complete"]) == (
        {"cat": 12, "dog": 12},
        [["cat", "dog"]],
        False,
    )
    assert body["left_out"] == [{"reason": "files that are no photos", "count": 1, "names": ["x.txt"]}]


def test_zip_of_tables_is_known_by_the_names_in_it(client: APIClient) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("README.md", "Questions.")
        archive.writestr("train.csv", TABLE)
        archive.writestr("test.csv", TABLE[:500])
    whole = content.getvalue()
    body = ask(client, whole, name="archive.zip").json()
    assert (body["task_type"], body["examples"], body["parts"]["train"]) == ("textclassification", 24, 24)
    assert body["members"] == ["train.csv", "test.csv"]
    tail = whole[whole.index(b"PK\1\2") :]
    entries = json.dumps([["README.md", 9], ["train.csv", 900]])
    for seen in (
        ask(client, tail, name="archive.zip", part="tail", size=len(whole)),
        client.post(ADDRESS, {"name": "archive.zip", "entries": entries}),
    ):
        body = seen.json()
        assert (body["task_type"], body["problem"]) == ("textclassification", "")
        assert "when all of it is there" in body["notes"][0]


def test_rows_with_bytes_that_are_no_text_are_shown(client: APIClient) -> None:
    body = ask(client, TABLE.encode().replace(b"text 1,", b"t\x96xt 1,", 1)).json()
    assert body["rows"][1] == ["some t\ufffdxt 1", "y"]
    assert body["left_out"][0]["names"] == ["row 3"]


def test_workbook_that_takes_long_to_open_is_planned_all_the_same(
    client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.datasets.dry_run.SECONDS", 0.0)
    body = ask(client, TABLE.encode()).json()
    assert (body["is_complete"], body["problem"]) == (False, "")


def test_folder_is_planned_by_its_names(client: APIClient) -> None:
    entries = [[f"top/{label}/{number}.jpg", 10] for label in ("cat", "dog") for number in range(12)]
    body = client.post(
        ADDRESS,
        {"name": "photos.zip", "entries": json.dumps(entries), "corrections": '{"merge": {"dog": "cat"}}'},
    ).json()
    assert body["classes"] == {"cat": 24}
    assert "only one class" in body["problem"]
    assert body["corrections"] == {"merge": {"dog": "cat"}}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "Send a file"),
        ({"entries": "[1]"}, "[path, bytes]"),
        ({"entries": "[" * 100}, "nested"),
        ({"entries": "[]", "corrections": '{"levels": 1}'}, "Known: class_level"),
        ({"entries": "[]", "corrections": '{"class_level": "a"}'}, "class_level"),
        ({"entries": "[]", "name": "data.exe", "part": "middle"}, "part"),
    ],
)
def test_what_cannot_be_understood_is_a_400_that_says_why(
    client: APIClient, fields: dict[str, Any], message: str
) -> None:
    response = client.post(ADDRESS, {"name": "data.csv", **fields})
    assert response.status_code == 400
    assert message in response.content.decode()


def test_plan_needs_an_account_and_a_platform_that_runs(client: APIClient) -> None:
    assert ask(APIClient(), b"a").status_code == 401
    PlatformStatus.objects.update_or_create(defaults={"dev_mode": True})
    assert ask(client, TABLE.encode()).status_code == 503


def test_unreadable_file_is_a_plan_with_a_problem(client: APIClient) -> None:
    body = ask(client, b"nothing", name="photos.zip").json()
    assert "not a zip archive" in body["problem"]
