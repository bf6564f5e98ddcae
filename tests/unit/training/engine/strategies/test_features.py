import numpy as np
import pytest

from training.engine.strategies import features as module
from training.engine.strategies.features import Extracted, Seen, close_up, in_chunks


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
