from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from django.utils import timezone

from bucket.files import upload
from core.exceptions import InvalidRequest
from tests.factories import DatasetFactory, ProjectFactory, RegisteredModelFactory
from training.engine.data.manifest import Manifest, read_manifest, write_manifest
from training.examples import edits, findings, revisions
from training.examples.models import Edit, Example, Findings, Revision
from training.examples.revisions import next_revision, pending_edits, require_trainable

from ..conftest import MakeProject

pytestmark = pytest.mark.django_db


def test_pending_edits_become_the_next_revision(make_project: MakeProject, bucket: Path) -> None:
    project = make_project()
    roses = Example.objects.filter(project=project, label="rose")
    edits.exclude(project=project, author=project.owner, chosen=roses)
    edits.rename_class(project=project, author=project.owner, old="iris", new="tulip")
    revision = next_revision(project=project, author=project.owner)
    assert (revision.number, revision.examples, pending_edits(project)) == (2, 8, 0)
    assert revision.counts == {"excluded": 4, "train": 6, "validation": 2}
    assert set(Edit.objects.values_list("revision", flat=True)) == {revision.pk}
    manifest = read_manifest(bucket / revision.key)
    assert set(manifest.labels) == {"rose", "tulip", "lily"}
    assert manifest.excluded.sum() == 4


def test_what_no_training_could_learn_from_is_said_before_one_begins(make_project: MakeProject) -> None:
    project = make_project()
    require_trainable(project)
    chosen = {
        label: Example.objects.filter(project=project, label=label) for label in ("rose", "iris", "lily")
    }
    who = {"project": project, "author": project.owner}
    edits.exclude(**who, chosen=chosen["rose"])
    require_trainable(project)
    edits.move_to_test_set(**who, chosen=Example.objects.filter(pk__in=chosen["iris"].values("pk")[:3]))
    with pytest.raises(InvalidRequest, match="1 class has two examples to learn from"):
        require_trainable(project)
    edits.rename_class(**who, old="lily", new="iris")
    edits.restore(**who, chosen=chosen["rose"])
    require_trainable(project)
    require_trainable(ProjectFactory())


def test_without_edits_the_newest_revision_stands(make_project: MakeProject) -> None:
    project = make_project()
    assert next_revision(project=project, author=None).number == 1
    assert Revision.objects.filter(project=project).count() == 1


def test_project_without_examples_has_no_revision() -> None:
    with pytest.raises(InvalidRequest, match="first training"):
        next_revision(project=ProjectFactory(), author=None)


def stored(tmp_path: Path, bucket: Path, manifest: Manifest) -> findings.StoredFindings:
    path = tmp_path / "seen.parquet"
    write_manifest(path, manifest)
    return findings.StoredFindings(
        "projects/x/findings/1.parquet", path.stat().st_size, upload(path, "projects/x/findings/1.parquet")
    )


def test_first_training_lists_the_examples_once(bucket: Path, tmp_path: Path) -> None:
    dataset = DatasetFactory(sha256="5" * 64)
    manifest = Manifest.of_upload(
        "5" * 64, ["a.png", "b.png"], ["1", "2"], ["x", "y"], ["train", "validation"]
    )
    file = stored(tmp_path, bucket, manifest)
    model = RegisteredModelFactory()
    revision = findings.record_listing(
        model=model, dataset=dataset, revision=None, file=file, counts={"train": 1, "validation": 1}
    )
    assert revision is not None
    assert (revision.number, revision.examples) == (1, 2)
    assert findings.apply_waiting() == 1
    found = Example.objects.filter(project=model.project).values_list("shard", "place", "label", "split")
    assert list(found) == [(dataset.pk, "a.png", "x", "train"), (dataset.pk, "b.png", "y", "validation")]
    assert not findings.apply_findings(Findings.objects.get().pk)
    assert Example.objects.count() == 2


def test_list_that_is_half_taken_over_is_completed_before_anything_is_changed(
    bucket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(findings, "AT_ONCE", 1)
    dataset = DatasetFactory(sha256="5" * 64)
    manifest = Manifest.of_upload("5" * 64, ["a", "b", "c"], ["1", "2", "3"], ["x", "y", "x"], ["train"] * 3)
    model = RegisteredModelFactory()
    file = stored(tmp_path, bucket, manifest)
    findings.record_listing(model=model, dataset=dataset, revision=None, file=file, counts={"train": 3})
    pieces = findings.read_seen_examples_in_pieces

    def ends(path: Path, size: int) -> Iterator[tuple[Manifest, dict[str, list[object]]]]:
        yield next(iter(pieces(path, size)))
        raise OSError("The disk is gone.")

    with monkeypatch.context() as context:
        context.setattr(findings, "read_seen_examples_in_pieces", ends)
        with pytest.raises(OSError, match="disk"):
            findings.apply_findings(Findings.objects.get().pk)
    assert list(Example.objects.values_list("place", flat=True)) == ["a"]
    with pytest.raises(InvalidRequest, match="being listed"):
        edits.rename_class(project=model.project, author=None, old="x", new="z")
    with pytest.raises(InvalidRequest, match="being listed"):
        next_revision(project=model.project, author=None)
    assert findings.apply_waiting() == 1
    assert list(Example.objects.order_by("id").values_list("place", flat=True)) == ["a", "b", "c"]
    assert edits.rename_class(project=model.project, author=None, old="x", new="z").changed == 2


def test_list_is_taken_over_by_one_process_at_a_time(
    bucket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(findings, "AT_ONCE", 1)
    dataset = DatasetFactory(sha256="5" * 64)
    manifest = Manifest.of_upload("5" * 64, ["a", "b"], ["1", "2"], ["x", "y"], ["train"] * 2)
    file = stored(tmp_path, bucket, manifest)
    findings.record_listing(
        model=RegisteredModelFactory(), dataset=dataset, revision=None, file=file, counts={"train": 2}
    )
    pieces, others = findings.read_seen_examples_in_pieces, []

    def tried_by_others(path: Path, size: int) -> Iterator[object]:
        for piece in pieces(path, size):
            others.append(findings.apply_waiting())
            yield piece

    monkeypatch.setattr(findings, "read_seen_examples_in_pieces", tried_by_others)
    assert findings.apply_waiting() == 1
    assert others == [0, 0]
    assert Example.objects.count() == 2


def test_list_whose_process_has_died_is_taken_over_by_another(bucket: Path, tmp_path: Path) -> None:
    dataset = DatasetFactory(sha256="5" * 64)
    manifest = Manifest.of_upload("5" * 64, ["a"], ["1"], ["x"], ["train"])
    file = stored(tmp_path, bucket, manifest)
    findings.record_listing(
        model=RegisteredModelFactory(), dataset=dataset, revision=None, file=file, counts={"train": 1}
    )
    Findings.objects.update(held_until=timezone.now() + findings.HELD_FOR)
    assert findings.apply_waiting() == 0
    Findings.objects.update(held_until=timezone.now() - timedelta(seconds=1))
    assert findings.apply_waiting() == 1
    assert Example.objects.count() == 1


def test_list_that_is_lost_stops_nobody_when_a_later_training_has_listed_the_examples(
    bucket: Path, tmp_path: Path
) -> None:
    dataset = DatasetFactory(sha256="5" * 64)
    manifest = Manifest.of_upload("5" * 64, ["a", "b"], ["1", "2"], ["x", "y"], ["train"] * 2)
    file = stored(tmp_path, bucket, manifest)
    first = RegisteredModelFactory()
    lost = findings.StoredFindings("projects/x/findings/0.parquet", file.size, file.sha256)
    revision = findings.record_listing(
        model=first, dataset=dataset, revision=None, file=lost, counts={"train": 2}
    )
    second = RegisteredModelFactory(project=first.project)
    findings.record_listing(model=second, dataset=dataset, revision=revision, file=file, counts={"train": 2})
    with pytest.raises(InvalidRequest, match="being listed"):
        next_revision(project=first.project, author=None)
    assert findings.apply_findings(Findings.objects.get(model=second).pk)
    assert edits.rename_class(project=first.project, author=None, old="x", new="z").changed == 1


def test_what_other_uploads_hold_is_not_listed_as_the_first_ones(bucket: Path, tmp_path: Path) -> None:
    dataset = DatasetFactory(sha256="5" * 64)
    first, other = (Manifest.of_upload(shard * 64, ["a"], [shard], ["x"], ["train"]) for shard in ("5", "6"))
    pairs = zip(first.columns().values(), other.columns().values(), strict=True)
    both = Manifest.of_columns([[*one, *more] for one, more in pairs])
    model = RegisteredModelFactory()
    file = stored(tmp_path, bucket, both)
    findings.record_listing(model=model, dataset=dataset, revision=None, file=file, counts={"train": 2})
    findings.apply_waiting()
    assert list(Example.objects.values_list("shard", "sha256")) == [(dataset.pk, "5")]


def test_list_of_a_later_training_leaves_what_is_thought_of_the_examples(
    make_project: MakeProject, bucket: Path, tmp_path: Path
) -> None:
    project = make_project()
    first = Example.objects.filter(project=project).order_by("id")[0]
    manifest = Manifest.of_upload(first.shard.sha256, [first.place], ["1"], ["rose"], ["train"])
    model, revision = RegisteredModelFactory(project=project), Revision.objects.get(project=project)
    file = stored(tmp_path, bucket, manifest)
    noted = findings.record_listing(
        model=model, dataset=first.shard, revision=revision, file=file, counts={"train": 1}
    )
    assert noted == revision
    assert findings.apply_waiting() == 1
    first.refresh_from_db()
    assert first.doubt is not None
    assert Revision.objects.filter(project=project).count() == 1


def test_what_is_found_takes_the_place_of_the_list(
    bucket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(findings, "AT_ONCE", 1)
    dataset = DatasetFactory(sha256="5" * 64)
    manifest = Manifest.of_upload("5" * 64, ["a", "b"], ["1", "2"], ["x", "y"], ["train", "validation"])
    model = RegisteredModelFactory(metrics={"accuracy": 0.9})
    file = stored(tmp_path, bucket, manifest)
    revision = findings.record_listing(
        model=model, dataset=dataset, revision=None, file=file, counts={"train": 2}
    )
    assert Findings.objects.get().awaited
    findings.apply_waiting()
    found = manifest.table()
    for name, values in {"near_copy_of": ["1", "1"], "likeness": [0.9, 0.9], "oddness": [None, 0.5]}.items():
        found = found.append_column(name, pyarrow.array(values))
    pyarrow.parquet.write_table(found, tmp_path / "found.parquet")
    key = "projects/x/findings/1-findings.parquet"
    file = findings.StoredFindings(
        key, (tmp_path / "found.parquet").stat().st_size, upload(tmp_path / "found.parquet", key)
    )
    findings.record_findings(model=model, dataset=dataset, revision=None, file=file, naive_accuracy=0.95)
    findings.apply_waiting()
    assert (Findings.objects.get().revision, Findings.objects.get().awaited) == (revision, False)
    rows = Example.objects.order_by("id").values_list("near_copy_of", "likeness", "oddness", "doubt")
    assert [(copy, round(likeness, 3), odd, doubt) for copy, likeness, odd, doubt in rows] == [
        ("1", 0.9, None, None),
        ("1", 0.9, 0.5, None),
    ]
    model.refresh_from_db()
    assert model.metrics == {"accuracy": 0.9, "naive_accuracy": 0.95}


def test_later_training_does_not_judge_what_was_relabelled_meanwhile(
    make_project: MakeProject, bucket: Path, tmp_path: Path
) -> None:
    project = make_project()
    first, second = Example.objects.filter(project=project).order_by("id")[:2]
    edits.relabel(project=project, author=None, chosen=Example.objects.filter(pk=first.pk), label="lily")
    manifest = Manifest.of_upload(
        first.shard.sha256, [first.place, second.place], ["1", "2"], ["rose", "rose"], ["train", "train"]
    )
    model = RegisteredModelFactory(project=project)
    revision = Revision.objects.get(project=project)
    file = stored(tmp_path, bucket, manifest)
    findings.record_findings(model=model, dataset=first.shard, revision=revision, file=file)
    findings.apply_waiting()
    first.refresh_from_db()
    second.refresh_from_db()
    assert first.doubt is not None
    assert (second.doubt, second.suggested) == (None, "")


def test_revision_of_several_parts_is_one_manifest(
    make_project: MakeProject, bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million examples do not fit into a web process."""
    project = make_project()
    edits.exclude(project=project, author=project.owner, chosen=Example.objects.filter(label="rose"))
    monkeypatch.setattr(revisions, "AT_ONCE", 5)
    revision = next_revision(project=project, author=project.owner)
    manifest = read_manifest(bucket / revision.key)
    rows = Example.objects.filter(project=project).order_by("id")
    listed = zip(manifest.places, manifest.labels, manifest.splits, manifest.excluded.tolist(), strict=True)
    assert list(listed) == list(rows.values_list("place", "label", "split", "excluded"))
    assert sum(revision.counts.values()) == len(manifest) > 10
    assert revision.examples == rows.filter(excluded=False).count()
    assert manifest.shards[0] is manifest.shards[-1], "equal words are one object"
