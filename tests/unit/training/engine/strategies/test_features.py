from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from training.engine.events import Progress
from training.engine.feature_files import open_records
from training.engine.loop.checkpoints import Checkpoints
from training.engine.networks.backbones import PreparedBackbone
from training.engine.request import FeatureSource
from training.engine.strategies import features as module
from training.engine.strategies.features import (
    AHEAD,
    Extracted,
    Seen,
    _Keeper,
    close_up,
    in_chunks,
    run_batches,
)
from training.engine.training import train

from ..conftest import MakeRequest
from ..small_data import few_digits

EXACT = property(lambda backbone: backbone.onnx)  # a network of eight bits that loses nothing


def test_close_up_is_the_middle_in_the_same_size() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[8:56, 8:56] = 200  # the middle three quarters
    assert close_up(image).shape == image.shape
    assert close_up(image).min() > 150


def test_views_are_learnt_with_the_class_of_their_example() -> None:
    features = np.arange(4, dtype=np.float32).reshape(4, 1)
    views = np.stack([features + 10, features + 20], axis=1)
    learnt, labels = Seen(features, views).only([1, 3]).with_labels(np.array([7, 9]))
    assert learnt.ravel().tolist() == [1, 3, 11, 21, 13, 23]
    assert labels.tolist() == [7, 9, 7, 7, 9, 9]


def test_unreadable_examples_leave_no_views() -> None:
    features = np.arange(3, dtype=np.float32).reshape(3, 1)
    seen = Seen.of(Extracted(features, views=features[:, None], unreadable={1: "broken"}))
    assert seen.views is not None
    assert (seen.features.ravel().tolist(), seen.views.ravel().tolist()) == ([0, 2], [0, 2])


def test_texts_have_no_views() -> None:
    features, labels = np.ones((2, 3), np.float32), np.array([0, 1])
    learnt, truth = Seen(features).with_labels(labels)
    assert learnt is features
    assert truth is labels


def test_chunks_hold_few_long_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TEXTS_AT_ONCE", 3)
    monkeypatch.setattr(module, "CHARACTERS_AT_ONCE", 10)
    texts = ["a", "b", "c", "d", "eeeeeee", "ffffffff", "g" * 30, "h", "i"]
    chunks = [*in_chunks(texts)]
    assert [text for chunk in chunks for text in chunk] == texts
    assert [len(chunk) for chunk in chunks] == [3, 2, 1, 1, 2]


@pytest.mark.parametrize(
    ("pays", "loses", "each", "expected"),
    [(True, False, 40, True), (False, False, 40, False), (True, True, 40, False), (True, False, 8, False)],
)
def test_eight_bits_look_at_many_photos_where_they_pay_and_lose_little(
    make_request: MakeRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pays: bool,
    loses: bool,
    each: int,
    expected: bool,
) -> None:
    """Digits are flat: of them the packaged network of eight bits loses more than it may, on any processor."""
    monkeypatch.setattr(module, "eight_bits_pay", lambda folder: pays)
    if not loses:
        monkeypatch.setattr(PreparedBackbone, "quantized", EXACT)
    request = make_request("imageclassification", few_digits(tmp_path / "digits.zip", each=each, classes=2))
    result = train(request, lambda _: None, should_stop=lambda: False)
    assert result.metrics.get("features_in_eight_bits", False) == expected
    assert result.metrics["accuracy"] > 0.8


def test_features_that_are_at_hand_decide_how_many_bits_the_others_have(
    make_request: MakeRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a project are not computed anew because another arithmetic would be faster."""
    monkeypatch.setattr(PreparedBackbone, "quantized", EXACT)
    found, data = {}, few_digits(tmp_path / "digits.zip", each=40, classes=2)
    for pays in (False, True):
        monkeypatch.setattr(module, "eight_bits_pay", lambda folder, pays=pays: pays)
        request = make_request("imageclassification", data)
        found[pays] = request, train(request, lambda _: None, should_stop=lambda: False)
    assert found[False][1].fingerprint != found[True][1].fingerprint
    first, result = found[False]
    known = FeatureSource(str(Path(first.output_dir, result.features)), result.fingerprint)
    assert len(open_records(Path(known.path))) == 80
    (tmp_path / "again").mkdir()
    request = replace(first, features=(known,), output_dir=str(tmp_path / "again"))
    again = train(request, lambda _: None, should_stop=lambda: False)
    assert (again.features, again.fingerprint) == ("", result.fingerprint)
    assert "features_in_eight_bits" not in again.metrics


def test_attempt_that_had_other_bits_is_not_gone_on_with() -> None:
    kept: list[tuple[np.ndarray, np.ndarray]] = []
    checkpoints = cast(
        Checkpoints,
        SimpleNamespace(
            enabled=True,
            save_features=lambda *chunk: kept.append(chunk),
            load_features=lambda: kept,
        ),
    )
    full = Extracted(np.ones((2, 3), np.float32), sketches=np.ones((2, 4), np.uint8))
    keeper = _Keeper(full, checkpoints)
    keeper.done([0])
    keeper.keep(everything=True)
    for extracted, known in (
        (replace(full, features=np.zeros((2, 3), np.float32)), {0}),
        (replace(full, features=np.zeros((2, 3), np.float32), in_eight_bits=True), set()),
    ):
        assert _Keeper(extracted, checkpoints).restore() == known
        assert extracted.features.any() == bool(known)


def test_few_batches_are_handed_on_at_a_time() -> None:
    """To wait for as many futures as a million texts have batches takes longer than the batches do."""
    taken, most, done = 0, 0, 0

    class Batches(list[range]):
        def __iter__(self) -> Iterator[range]:
            nonlocal taken
            for batch in super().__iter__():
                taken += 1
                yield batch

    def work(batch: Sequence[int]) -> None:
        nonlocal most, done
        most = max(most, taken - len(batches) - done)  # once they are counted
        done += 1

    batches = Batches(range(start, start + 3) for start in range(0, 300, 3))
    told: list[tuple[int, int]] = []
    progress = SimpleNamespace(tell=lambda done, total, message: told.append((done, total)))
    run_batches(work, batches, threads=1, progress=cast(Progress, progress), known=7)
    assert done == len(batches)
    assert most <= AHEAD
    assert told[-1] == (307, 307)
