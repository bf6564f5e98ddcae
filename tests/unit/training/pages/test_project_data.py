import csv
import io
import zipfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from models_registry.models import Project
from tests.factories import RegisteredModelFactory, UserFactory
from tests.tiny_models import picture
from training.datasets.models import DatasetValidation
from training.examples import additions, edits
from training.examples.attempts import UploadAttempt
from training.examples.downloads import COLUMNS
from training.examples.findings import LOOKED_AT_WITHIN
from training.examples.models import Edit, Example, Findings
from training.examples.similar import Similar
from training.pages import project_data
from work import transitions

from ..conftest import MakeProject

pytestmark = pytest.mark.django_db


def url(project: Project, name: str = "project-data", *more: int) -> str:
    return reverse(f"training:{name}", args=[project.public_id, *more])


@pytest.fixture
def project(make_project: MakeProject, client: Client) -> Project:
    project = make_project()
    client.force_login(project.owner)
    return project


def ids(project: Project, **lookup: object) -> list[int]:
    return list(Example.objects.filter(project=project, **lookup).order_by("id").values_list("pk", flat=True))


def test_page_shows_examples_and_filters(project: Project, client: Client) -> None:
    page = client.get(url(project)).content.decode()
    assert page.count("data-example") >= 12
    assert "Labels that look wrong\n" in page or "Labels that look wrong" in page
    found = client.get(url(project), {"class": "iris", "split": "validation"})
    assert [one.label for one in found.context["page"].examples] == ["iris"]
    searched = client.get(url(project), {"q": "OF LILY"})
    assert {one.label for one in searched.context["page"].examples} == {"lily"}


def test_labels_that_look_wrong_come_by_certainty(project: Project, client: Client) -> None:
    page = client.get(url(project), {"show": "doubt"})
    assert [one.doubt for one in page.context["page"].examples] == [0.9, 0.89]
    assert "rather iris?" in page.content.decode()


def test_page_says_that_the_data_are_still_being_looked_at(project: Project, client: Client) -> None:
    """And asks again by itself, but not for ever; what is there already is shown."""
    model = RegisteredModelFactory(project=project, version=2)
    dataset = Example.objects.filter(project=project)[0].shard
    found = Findings.objects.create(
        project=project, model=model, dataset=dataset, key="findings", size=1, sha256="0" * 64, awaited=True
    )
    Example.objects.filter(project=project).update(oddness=None)

    def shown(**parameters: str) -> str:
        return client.get(url(project), parameters).content.decode()

    asks_again = f'hx-get="{url(project)}?show=odd_one"'
    assert "still being looked at" in shown(show="odd_one")
    assert asks_again in shown(show="odd_one")
    assert "still being looked at" not in shown(show="doubt")
    assert "No example matches" in shown(show="excluded")
    found.awaited = False
    found.save()
    assert "still being looked at" in shown(show="odd_one"), "the rows do not have them yet"
    Findings.objects.update(created_at=timezone.now() - LOOKED_AT_WITHIN * 2)
    assert "Nothing is odd" in shown(show="odd_one")
    Findings.objects.update(created_at=timezone.now(), applied_at=timezone.now())
    assert asks_again not in shown(show="odd_one")
    assert "Nothing is odd" in shown(show="odd_one")


def test_pages_follow_one_another_without_gaps(
    project: Project, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.examples import selectors

    monkeypatch.setattr(selectors.page_of_examples, "__defaults__", ("", 5))
    seen, address = [], url(project)
    while address:
        page = client.get(address)
        seen += [one.pk for one in page.context["page"].examples]
        address = page.context["next"]
    assert seen == ids(project)


def test_chosen_examples_get_another_class(project: Project, client: Client) -> None:
    chosen = ids(project, label="rose")[:2]
    answer = client.post(
        url(project, "edit-data"),
        {"action": "relabel", "label": "tulip", "example": chosen, "seen": "0"},
        follow=True,
    )
    assert "2 examples now “tulip”." in answer.content.decode()
    assert ids(project, label="tulip", confirmed=True) == chosen
    client.post(url(project, "edit-data"), {"action": "undo"})
    assert not ids(project, label="tulip")


def test_htmx_gets_the_examples_alone(project: Project, client: Client) -> None:
    chosen = ids(project)[:1]
    data = {"action": "exclude", "example": chosen, "seen": "0"}
    answer = client.post(url(project, "edit-data"), data, headers={"HX-Request": "true"})
    page = answer.content.decode()
    assert page.lstrip().startswith('<div id="data"')
    assert "1 example excluded." in page
    assert ids(project, excluded=True) == chosen


def test_everything_that_matches_is_edited(project: Project, client: Client) -> None:
    client.post(url(project, "edit-data") + "?class=lily", {"action": "test", "everything": "1", "seen": "0"})
    assert ids(project, split="test") == ids(project, label="lily")


def test_all_suggestions_above_a_certainty_are_taken(project: Project, client: Client) -> None:
    data = {"action": "take-all", "least": "89.5", "seen": "0"}
    client.post(url(project, "edit-data") + "?show=doubt", data)
    assert len(ids(project, label="iris")) == 5
    assert client.get(url(project), {"show": "doubt"}).context["counts"].doubts == 1


def test_what_another_has_edited_meanwhile_is_told(project: Project, client: Client) -> None:
    chosen = ids(project)[:2]
    client.post(url(project, "edit-data"), {"action": "exclude", "example": chosen[:1], "seen": "0"})
    data = {"action": "relabel", "label": "tulip", "example": chosen, "seen": "0"}
    answer = client.post(url(project, "edit-data"), data, follow=True)
    assert "1 left as they are: somebody has edited them" in answer.content.decode()
    assert ids(project, label="tulip") == chosen[1:]


def test_what_was_edited_again_since_is_told_when_a_change_is_taken_back(
    project: Project, client: Client
) -> None:
    roses = ids(project, label="rose")
    for number, (label, chosen) in enumerate((("tulip", roses), ("lily", roses[:1]))):
        data = {"action": "relabel", "label": label, "example": chosen, "seen": str(number)}
        client.post(url(project, "edit-data"), data)
    answer = client.post(url(project, "edit-data"), {"action": "undo", "edit": "1"}, follow=True)
    assert "1 left as they are: they were edited again since." in answer.content.decode()
    assert ids(project, label="rose") == roses[1:]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"action": "exclude"}, "No example is chosen"),
        ({"action": "dance", "everything": "1"}, "no action"),
        ({"action": "relabel", "everything": "1", "label": " "}, "cannot be empty"),
        ({"action": "take-all", "least": "many"}, "no certainty"),
        ({"action": "undo"}, "nothing to take back"),
        ({"action": "undo", "edit": "9" * 17}, "nothing to take back"),
        ({"action": "rename", "old": "tulip", "new": "rose"}, "no class “tulip” with examples any more"),
        ({"action": "rename", "old": "\0", "new": "rose"}, "no class “\\x00” with examples any more"),
        ({"action": "rename", "old": "rose", "new": "ro\0se"}, "cannot have control characters"),
        ({"action": "relabel", "everything": "1", "label": "\u202e"}, "cannot have control characters"),
        ({"action": "rename", "old": "rose", "new": "rose"}, "Nothing was to change"),
    ],
)
def test_what_cannot_be_done_is_said(
    project: Project, client: Client, data: dict[str, str], said: str
) -> None:
    answer = client.post(url(project, "edit-data"), data, follow=True)
    assert said in answer.content.decode()
    assert not Edit.objects.exists()


def test_others_see_nothing(project: Project) -> None:
    colleague = Client()
    colleague.force_login(UserFactory())
    pk = ids(project)[0]
    assert colleague.get(url(project)).status_code == 404
    assert colleague.get(url(project, "example-photo", pk)).status_code == 404
    for name in ("download-data", "camera"):
        assert colleague.get(url(project, name)).status_code == 404
    for name in ("edit-data", "train-again", "add-data"):
        assert colleague.post(url(project, name), {"action": "undo"}).status_code == 404
    assert Client().get(url(project)).status_code == 302
    missing = reverse("training:project-data", args=[uuid4()])
    assert colleague.get(missing).status_code == 404


def test_training_again_needs_a_version(project: Project, client: Client) -> None:
    answer = client.post(url(project, "train-again"), follow=True)
    assert "has no version yet" in answer.content.decode()


def test_queries_do_not_grow_with_the_examples(
    project: Project,
    make_project: MakeProject,
    client: Client,
    django_assert_max_num_queries: object,
) -> None:
    large = make_project(200, owner=project.owner)
    with django_assert_max_num_queries(15):  # type: ignore[operator]
        assert len(client.get(url(large)).context["page"].examples) == 60


def test_photo_is_read_out_of_its_zip(
    client: Client,
    make_project: MakeProject,
    bucket: Path,
) -> None:
    from io import BytesIO

    from PIL import Image

    from bucket.factory import get_bucket
    from training.engine.data.images import locate_members

    samples = Path(__file__).parents[4] / "samples" / "digits.zip"
    project = make_project(task_type="imageclassification")
    client.force_login(project.owner)
    example = Example.objects.filter(project=project).select_related("shard")[0]
    place = locate_members(samples)["3/07.png"]
    example.shard.size = samples.stat().st_size
    example.shard.save()
    with samples.open("rb") as source:
        get_bucket().save(example.shard.key, source)
    example.offset, example.packed, example.method = place
    example.save()
    answer = client.get(url(project, "example-photo", example.pk))
    assert answer["Content-Type"] == "image/jpeg"
    assert "max-age=604800" in answer["Cache-Control"]
    assert Image.open(BytesIO(answer.content)).size[0] <= 192
    get_bucket().delete(example.shard.key)
    assert client.get(url(project, "example-photo", example.pk)).status_code == 404


def test_filters_by_source_and_by_who_changed_what_and_when(project: Project, client: Client) -> None:
    other = UserFactory(username="grace")
    lilies = Example.objects.filter(project=project, label="lily")
    edits.exclude(project=project, author=other, chosen=lilies)
    Edit.objects.update(created_at="2026-03-01T12:00:00Z")
    first = ids(project, label="iris")[:1]
    edits.confirm(project=project, author=project.owner, chosen=Example.objects.filter(pk__in=first))
    Example.objects.filter(pk=ids(project)[0]).update(source="camera")

    def shown(**asked: str) -> list[int]:
        return [one.pk for one in client.get(url(project), asked).context["page"].examples]

    assert shown(source="camera") == ids(project)[:1]
    assert shown(by="grace") == ids(project, label="lily")
    assert shown(since="2026-03-02") == first
    assert shown(since="2026-03-01") == [*first, *ids(project, label="lily")]
    assert shown(by="grace", since="2026-03-02") == shown(by="nobody") == []
    assert shown(show="confirmed") == first
    assert shown(show="pending") == shown(since="2026-03-01")
    Edit.objects.filter(number=1).update(revision=project.revisions.get())
    assert shown(show="pending") == first
    page = client.get(url(project), {"by": "grace"}).content.decode()
    assert "Last changed by grace" in page


def test_everything_that_matches_is_changed_at_once(project: Project, client: Client) -> None:
    client.post(url(project, "edit-data") + "?class=iris", {"action": "test", "everything": "1", "seen": "0"})
    assert ids(project, split="test") == ids(project, label="iris")


def test_what_is_shown_is_downloaded_as_a_table(project: Project, client: Client) -> None:
    answer = client.get(url(project, "download-data"), {"show": "doubt", "format": "csv"})
    assert answer["Content-Disposition"] == 'attachment; filename="flowers-examples.csv"'
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert [(row["input"], row["label"], row["suggested"]) for row in rows] == [
        ("Text 0 of rose", "rose", "iris"),
        ("Text 1 of rose", "rose", "iris"),
    ]
    assert rows[0].keys() == {"input", *COLUMNS}
    refused = client.get(url(project, "download-data"), {"format": "zip"})
    assert refused.status_code == 400


def test_texts_of_which_the_beginning_is_shown_are_downloaded_whole(project: Project, client: Client) -> None:
    text = "word " * 500
    added = additions.add_uploads(project=project, author=None, files=[], texts=["short", text], label="rose")
    assert added.added == 2
    answer = client.get(url(project, "download-data"), {"class": "rose"})
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert [row["input"] for row in rows][-2:] == ["short", text.strip()]


def test_photos_are_downloaded_in_a_folder_for_each_class(make_project: MakeProject, client: Client) -> None:
    project = make_project(task_type="imageclassification")
    Example.objects.filter(project=project).delete()
    for label in ("red", "..", "a/b"):
        photo = SimpleUploadedFile("x.png", picture("red" if label == "red" else label_colour(label)))
        additions.add_uploads(project=project, author=None, files=[photo], label="new")
        Example.objects.filter(label="new").update(label=label)
    Example.objects.filter(label="a/b").update(offset=None)
    client.force_login(project.owner)
    answer = client.get(url(project, "download-data"), {"format": "zip"})
    with zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as archive:
        names = archive.namelist()
        assert [name.partition("/")[0] for name in names] == ["red", "_..", "left out.txt"]
        assert archive.read(names[0]) == picture("red")
        assert b"not known where this photo lies" in archive.read("left out.txt")


def label_colour(label: str) -> str:
    return {"..": "green", "a/b": "blue"}[label]


def test_camera_is_for_its_page_alone_and_keeps_a_series_together(
    make_project: MakeProject, client: Client
) -> None:
    project = make_project(task_type="imageclassification")
    client.force_login(project.owner)
    page = client.get(url(project, "camera"))
    assert page["Permissions-Policy"].startswith("camera=(self)")
    assert client.get(url(project))["Permissions-Policy"].startswith("camera=()")
    photos = [
        SimpleUploadedFile(f"{series}-{number}.png", picture(f"#0{series}{number}0f0"))
        for series in (1, 2)
        for number in range(3)
    ]
    answer = client.post(
        url(project, "add-data"), {"source": "camera", "label": "cup", "file": photos}, follow=True
    )
    assert "6 added." in answer.content.decode()
    assert answer.redirect_chain[-1][0] == url(project, "camera"), "for the next class"
    cups = Example.objects.filter(project=project, label="cup", source="camera").order_by("id")
    groups = [(one.group, one.split) for one in cups]
    assert groups == [groups[0]] * 3 + [groups[3]] * 3
    assert groups[0][0] == cups[0].sha256[:16]
    assert groups[3][0] == cups[3].sha256[:16]


def test_as_many_photos_as_a_camera_takes_are_added_at_once(
    make_project: MakeProject, client: Client
) -> None:
    project = make_project(task_type="imageclassification")
    client.force_login(project.owner)
    photos = [SimpleUploadedFile(f"1-{number}.png", picture(f"#00{number:04x}")) for number in range(200)]
    answer = client.post(url(project, "add-data"), {"source": "camera", "label": "cup", "file": photos})
    assert answer.status_code == 302
    assert Example.objects.filter(project=project, label="cup").count() == 200


def test_camera_is_for_photos(project: Project, client: Client) -> None:
    assert client.get(url(project, "camera")).status_code == 404


@pytest.fixture
def copies(project: Project) -> list[int]:
    """Two roses and an iris that are near copies of one another; the iris is for validation."""
    chosen = [*ids(project, label="rose", split="train")[:2], *ids(project, label="iris", split="validation")]
    Example.objects.filter(pk__in=chosen).update(near_copy_of="a", likeness=0.97)
    return chosen


def test_near_copies_are_listed_side_by_side_with_what_differs(
    project: Project, client: Client, copies: list[int]
) -> None:
    page = client.get(url(project), {"show": "near_copy"})
    assert [one.pk for one in page.context["page"].examples] == copies
    assert [note for _, note in page.context["rows"]] == [
        ("copies in iris, on both sides of the split", 0.97),
        ("copies in iris, on both sides of the split", 0.97),
        ("copies in rose, on both sides of the split", 0.97),
    ]
    assert page.context["counts"].near_copies == 3
    across = client.get(url(project), {"show": "near_copy", "across": "class"}).context["page"].examples
    assert [one.pk for one in across] == copies


def test_all_but_the_first_near_copy_of_each_class_are_excluded_at_once(
    project: Project, client: Client, copies: list[int]
) -> None:
    address = url(project, "edit-data") + "?show=near_copy"
    client.post(address, {"action": "take-all", "least": "98"})
    assert not ids(project, excluded=True)
    client.post(address, {"action": "take-all", "least": "95"})
    assert ids(project, excluded=True) == copies[1:2]


def test_odd_ones_are_listed_until_they_are_kept(project: Project, client: Client) -> None:
    odd = ids(project, label="lily")[:2]
    for pk, oddness in zip(odd, (0.3, 0.9), strict=True):
        Example.objects.filter(pk=pk).update(oddness=oddness)
    page = client.get(url(project), {"show": "odd_one"})
    assert [(one.pk, note.words) for one, note in page.context["rows"]] == [
        (odd[1], "unlike all others"),
        (odd[0], "unlike all others"),
    ]
    client.post(url(project, "edit-data") + "?show=odd_one", {"action": "keep", "example": odd[1:]})
    assert [one.pk for one in client.get(url(project), {"show": "odd_one"}).context["page"].examples] == odd[
        :1
    ]


def test_what_is_like_an_example_is_listed_after_it(
    project: Project, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *others = Example.objects.filter(project=project).order_by("id")[:3]
    nothing = client.get(url(project), {"like": str(first.pk)})
    assert "No training has looked at this example yet" in nothing.content.decode()
    assert [one.pk for one in nothing.context["page"].examples] == [first.pk]
    found = [Similar(others[0], 0.9), Similar(others[1], 0.5)]
    monkeypatch.setattr(project_data, "similar_to", lambda example, count: found if example == first else [])
    page = client.get(url(project), {"like": str(first.pk)})
    assert [(one.pk, note and note.certainty) for one, note in page.context["rows"]] == [
        (first.pk, None),
        (others[0].pk, 0.9),
        (others[1].pk, 0.5),
    ]
    assert client.get(url(project), {"like": "999999"}).status_code == 404


def test_what_a_worker_adds_is_shown_as_far_as_it_is(project: Project, client: Client, settings: Any) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "VALIDATE_IN_WEB_BYTES": 2**20}
    content = b"text,label\n" + b"".join(b"%040d,many\n" % number for number in range(30_000))
    file = SimpleUploadedFile("many.csv", content)
    page = client.post(url(project, "add-data"), {"file": file}, follow=True).content.decode()
    assert "Examples are being added" in page
    assert "waiting for a worker" in page
    assert "many.csv" in client.get(url(project, "additions")).content.decode()
    work = UploadAttempt.claim_next(worker="w", queue="batches")
    assert "0 rows read" in client.get(url(project, "additions")).content.decode()
    transitions.hand_back(work, reason="worker w stopped answering in attempt 1")
    told = client.get(url(project, "additions"))
    assert "waiting for a worker. worker w stopped answering in attempt 1." in told.content.decode()
    DatasetValidation.objects.update(state="failed", finished_at=timezone.now(), message="")
    told = client.get(url(project, "additions"))
    assert "Added examples" in told.content.decode()
    assert "hx-get" not in told.content.decode(), "the page would ask on, or lose what is chosen on it"
