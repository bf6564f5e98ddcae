import numpy as np
import torch

from training.engine.export.classifier import SMOOTH, Head, roots_of
from training.engine.export.torchscript import Roots

FEATURES = np.random.default_rng(0).random((6, 40)).astype(np.float32)


def test_roots_say_what_each_feature_has_of_the_sum() -> None:
    found = roots_of(FEATURES)
    shares = FEATURES / FEATURES.sum(1, keepdims=True)
    np.testing.assert_allclose((found + SMOOTH**0.5) ** 2 - SMOOTH, 40 * shares, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(roots_of(7 * FEATURES), found, atol=1e-5)  # a brighter image of the same


def test_what_is_not_there_has_no_root() -> None:
    assert not roots_of(np.zeros((2, 4), np.float32)).any()
    found = roots_of(np.float32([[0, 2, -1]]))  # what is below 0 counts as 0
    np.testing.assert_allclose(found[0, [0, 2]], 0, atol=1e-7)


def test_the_files_compute_the_same_roots() -> None:
    odd = np.concatenate([FEATURES, np.zeros((1, 40), np.float32), -FEATURES[:1]])
    scripted = torch.jit.script(Roots())(torch.from_numpy(odd)).numpy()
    np.testing.assert_allclose(scripted, roots_of(odd), atol=1e-6)


def test_head_on_roots_takes_features_as_they_are() -> None:
    generator = np.random.default_rng(1)
    head = Head(generator.normal(size=(40, 3)).astype(np.float32), np.float32([1, 2, 3]))
    rooted = Head(head.weight, head.bias, reads_roots=True).scaled(2)
    assert rooted.reads_roots
    expected = head.scaled(2).probabilities(roots_of(FEATURES))
    np.testing.assert_allclose(rooted.probabilities(FEATURES), expected, atol=1e-6)
