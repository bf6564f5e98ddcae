"""Training from a revision: what the first training lists, mended, is what the second one learns."""

import csv
import hashlib
import io
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models_registry.artifacts import Predictor
from training.engine.data import DataError
from training.engine.data.manifest import Manifest, write_manifest
from training.engine.feature_files import open_records
from training.engine.request import FeatureSource, Shard, TrainingRequest, TrainingResult
from training.engine.seen_examples import read_seen_examples
from training.engine.strategies import features
from training.engine.training import train

from ..conftest import MakeRequest
from ..small_data import few_digits, few_sentences

IMAGE, TEXT = "imageclassification", "textclassification"


def run(request: TrainingRequest) -> tuple[TrainingResult, Manifest, dict[str, list[object]]]:
    result = train(request, lambda _: None, should_stop=lambda: False)
    return result, *read_seen_examples(Path(request.output_dir, result.examples))


def again(
    make_request: MakeRequest, first: TrainingRequest, manifest: Manifest, folder: Path, *more: Shard
) -> TrainingRequest:
    """Return the request for a training from a manifest of the first one's upload, and more uploads."""
    path = folder / "manifest.parquet"
    write_manifest(path, manifest)
    shard = Shard(first.dataset_sha256, first.dataset_path, first.columns)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return make_request(
        first.task_type,
        dataset_path="",
        dataset_sha256=digest,
        manifest=str(path),
        shards=(shard, *more),
    )


def test_request_with_shards_survives_json(make_request: MakeRequest) -> None:
    request = make_request(TEXT, manifest="m.parquet", shards=(Shard("1", "a.csv", {"input": "a"}),))
    assert TrainingRequest.from_json(request.to_json()) == request


def test_first_training_lists_photos_and_where_they_lie(make_request: MakeRequest, tmp_path: Path) -> None:
    path = few_digits(tmp_path / "digits.zip")
    _, manifest, further = run(make_request(IMAGE, path))
    assert len(manifest) == 24
    assert set(manifest.splits) == {"train", "validation"}
    assert set(manifest.shards) == {hashlib.sha256(path.read_bytes()).hexdigest()}
    offset, place = further["offset"][3], manifest.places[3]
    assert place.encode() in path.read_bytes()[offset : offset + 100]  # type: ignore[operator]
    judged = [given for given in further["given"] if given is not None]
    assert len(judged) == 24  # few: all are held out in turn


def test_mended_labels_are_what_is_learnt(make_request: MakeRequest, tmp_path: Path) -> None:
    first = make_request(IMAGE, few_digits(tmp_path / "digits.zip"))
    _, manifest, _ = run(first)
    labels = tuple("nought" if label == "0" else label for label in manifest.labels)
    excluded = np.array([place == "1/01.png" for place in manifest.places])
    result, found, _ = run(
        again(make_request, first, replace(manifest, labels=labels, excluded=excluded), tmp_path)
    )
    assert result.classes == ["1", "2", "nought"]
    assert result.metrics["train_examples"] == 23  # few: each is held out in turn
    assert found.splits == manifest.splits  # held out stays held out


@pytest.mark.long
def test_texts_of_two_uploads_are_one_revision(make_request: MakeRequest, tmp_path: Path) -> None:
    first = make_request(TEXT, few_sentences(tmp_path / "few.csv"))
    _, manifest, further = run(first)
    assert all(further["text"])
    more = tmp_path / "more.csv"
    with more.open("w", newline="") as file:
        csv.writer(file).writerows([("input", "label"), ("Bonjour tout le monde", "?"), ("Au revoir", "?")])
    digest = hashlib.sha256(more.read_bytes()).hexdigest()
    texts = ("Bonjour tout le monde", "Au revoir")
    added = Manifest.of_upload(
        digest,
        ("0", "1"),
        [hashlib.sha256(text.encode()).hexdigest() for text in texts],
        ("french", "french"),
        ("train", "test"),
    )
    both = Manifest(
        *(tuple(a) + tuple(b) for a, b in zip(words(manifest), words(added), strict=True)),
        excluded=np.zeros(len(manifest) + 2, np.bool_),
        confirmed=np.zeros(len(manifest) + 2, np.bool_),
    )
    shard = Shard(digest, str(more), {"input": "input", "label": "label"})
    result, found, _ = run(again(make_request, first, both, tmp_path, shard))
    assert "french" not in result.classes  # one example cannot be learnt and measured
    assert result.metrics.get("test") is None
    assert found.splits[-2:] == ("train", "test")


def words(manifest: Manifest) -> list[object]:
    return list(manifest.columns().values())[:7]


def members(manifest: Manifest) -> dict[str, list[int]]:
    """Return the rows of each group."""
    found: dict[str, list[int]] = {}
    for row, group in enumerate(manifest.groups):
        if group:
            found.setdefault(group, []).append(row)
    return found


def test_groups_that_were_named_hold_in_later_trainings(make_request: MakeRequest, tmp_path: Path) -> None:
    path = few_sentences(tmp_path / "few.csv", each=8)
    rows = list(csv.reader(path.open(newline="")))
    with path.open("w", newline="") as file:
        csv.writer(file).writerow([*rows[0], "customer"])
        csv.writer(file).writerows([*row, f"c{number // 2}"] for number, row in enumerate(rows[1:]))
    columns = {"input": "input", "label": "label", "group": "customer"}
    first = make_request(TEXT, path, columns=columns)
    result, manifest, _ = run(first)
    assert manifest.has_named_groups
    assert {len(rows) for rows in members(manifest).values()} == {2}
    again_result, found, _ = run(again(make_request, first, manifest, tmp_path))
    assert found.groups == manifest.groups
    assert again_result.metrics["groups"] == result.metrics["groups"] == len(members(manifest))


def test_near_copies_of_photos_stay_together_in_later_trainings(
    make_request: MakeRequest, tmp_path: Path
) -> None:
    first = make_request(IMAGE, photos_twice(tmp_path / "photos.zip"))
    result, manifest, _ = run(first)
    assert sorted(map(len, members(manifest).values())) == [2] * 12
    again_result, found, further = run(again(make_request, first, manifest, tmp_path))
    assert found.groups == manifest.groups
    assert again_result.metrics["near_copies"] == result.metrics["near_copies"] == 12
    copies = further["near_copy_of"]
    assert sorted(Counter(copies).values()) == [2] * 12
    assert min(likeness for likeness in further["likeness"] if likeness is not None) > 0.7  # type: ignore[type-var]
    assert all(len({found.splits[row] for row in rows}) == 1 for rows in members(found).values())


@pytest.mark.parametrize("task_type", [IMAGE, pytest.param(TEXT, marks=pytest.mark.long)])
def test_what_was_seen_is_not_looked_at_again(
    make_request: MakeRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task_type: str
) -> None:
    """All but three examples are known; the same three are seen in a training that knows nothing."""
    data = few_digits(tmp_path / "a.zip") if task_type == IMAGE else few_sentences(tmp_path / "a.csv", each=8)
    first = make_request(task_type, data)
    result, manifest, _ = run(first)
    known = tmp_path / "known.npy"
    records = open_records(Path(first.output_dir, result.features))
    assert len(records) == len(manifest) == 24
    np.save(known, records[3:])
    looked_at: list[int] = []

    def note(work: Callable[[Sequence[int]], None], batches: Sequence[Sequence[int]], **_: object) -> None:
        for batch in batches:
            work(batch)
            looked_at.extend(batch)

    monkeypatch.setattr(features, "run_batches", note)
    plain = again(make_request, first, manifest, tmp_path)
    uncached, _, _ = run(plain)
    assert len(looked_at) == 24
    looked_at.clear()
    source = FeatureSource(str(known), result.fingerprint)
    folder = tmp_path / "again"
    folder.mkdir()
    knowing = replace(plain, features=(source, FeatureSource(str(known), "another")), output_dir=str(folder))
    cached, _, _ = run(knowing)
    assert sorted(looked_at) == [0, 1, 2]
    assert len(open_records(folder / cached.features)) == 3
    assert cached.accuracy == uncached.accuracy == result.accuracy
    predictors = [
        Predictor.from_bytes(Path(request.output_dir, found.artifacts["onnx"]).read_bytes())
        for request, found in ((plain, uncached), (knowing, cached))
    ]
    inputs = raw_inputs(data)
    first_answer, second = (predictor.probabilities(inputs) for predictor in predictors)
    np.testing.assert_allclose(first_answer, second, atol=1e-4)

    folder = tmp_path / "whole"
    folder.mkdir()
    both = (source, FeatureSource(str(tmp_path / "again" / cached.features), cached.fingerprint))
    looked_at.clear()
    whole, _, _ = run(replace(plain, features=both, output_dir=str(folder)))
    assert looked_at == []
    assert (whole.features, whole.fingerprint) == ("", result.fingerprint)


def raw_inputs(path: Path) -> list[bytes | str]:
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            return [row["input"] for row in csv.DictReader(file)]
    with zipfile.ZipFile(path) as archive:
        return [archive.read(name) for name in archive.namelist()]


def photos_twice(path: Path) -> Path:
    """Write a zip of two classes with six scenes each, every one under two exposures."""
    dice = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for scene in range(12):
            coarse = Image.fromarray(dice.integers(0, 256, (6, 6, 3), np.uint8))
            for number, gain in enumerate((1.0, 0.6)):
                file = io.BytesIO()
                picture = coarse.resize((64, 64), Image.Resampling.BICUBIC)
                picture.point(lambda value, gain=gain: value * gain).save(file, "PNG")
                archive.writestr(f"{'ab'[scene % 2]}/{scene:02}-{number}.png", file.getvalue())
    return path


def test_upload_that_is_not_there_is_named(make_request: MakeRequest, tmp_path: Path) -> None:
    first = make_request(TEXT, few_sentences(tmp_path / "few.csv"))
    digests = ["a", "b", "c", "d"]
    manifest = Manifest.of_upload(
        "f" * 64, ["0", "1", "2", "3"], digests, ["x", "x", "y", "y"], ["train", "validation"] * 2
    )
    with pytest.raises(DataError, match="ffff that the list of examples names is not there"):
        run(again(make_request, first, manifest, tmp_path))


def test_manifest_that_is_another_is_not_trained_on(make_request: MakeRequest, tmp_path: Path) -> None:
    first = make_request(TEXT, few_sentences(tmp_path / "few.csv"))
    request = again(
        make_request, first, Manifest.of_upload("f" * 64, ["0"], ["a"], ["x"], ["train"]), tmp_path
    )
    with pytest.raises(DataError, match="not the one that was checked"):
        run(replace(request, dataset_sha256="0" * 64))
