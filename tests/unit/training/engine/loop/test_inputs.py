from pathlib import Path

import numpy as np
import pytest
import torch

from models_registry.artifacts import ImagePreprocessing
from training.engine.loop import inputs
from training.engine.loop.augmentation import Draws
from training.engine.loop.inputs import (
    ImageActivations,
    Pixels,
    TextActivations,
    Tokens,
    Vectors,
    fits_on_disk,
    shared_array,
)

CPU = torch.device("cpu")
ROWS = np.array([2, 0])


def draws(count: int = 2) -> Draws:
    return Draws(torch.Generator().manual_seed(0), count)


def test_pixels_are_what_serving_feeds_the_network() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)
    expected = ImagePreprocessing(resize=8, crop=8).normalise(list(images[ROWS]))
    found, mask = Pixels(images, "strong", np.arange(3)).batch(ROWS, CPU, None)
    assert mask is None
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_training_batches_are_augmented_and_seeded() -> None:
    source = Pixels(
        np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8), "light", np.arange(3)
    )
    first, again = (source.batch(ROWS, CPU, draws())[0] for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, source.batch(ROWS, CPU, None)[0])


def test_views_are_drawn_for_training_and_the_first_is_for_validation() -> None:
    values = np.random.default_rng(0).random((3, 2, 4, 5, 5), np.float32)
    source = ImageActivations(values, np.arange(3))
    np.testing.assert_array_equal(source.batch(ROWS, CPU, None)[0].numpy(), values[ROWS, 0])
    drawn = source.batch(np.zeros(50, np.int64), CPU, draws(50))[0].numpy()
    seen = {int((one == values[0, 1]).all()) for one in drawn}
    assert seen == {0, 1}


def test_text_activations_are_padded_as_tokens_are() -> None:
    sequences = [[5, 6, 7], [8], [9, 10]]
    flat = np.array([[token, -token] for sequence in sequences for token in sequence], np.float32)
    source = TextActivations(flat, np.array([0, 3, 4]), [3, 1, 2])
    values, mask = source.batch(np.array([1, 0]), CPU, draws())
    ids, same_mask = Tokens(sequences).batch(np.array([1, 0]), CPU, draws())
    assert mask is not None and same_mask is not None
    assert torch.equal(mask, same_mask)
    assert torch.equal(values[..., 0].long(), ids)
    assert source.lengths == Tokens(sequences).lengths == [3, 1, 2]


def test_only_some_examples_get_new_numbers() -> None:
    kept = np.array([0, 2])
    values = np.arange(12, dtype=np.float32).reshape(3, 1, 2, 2, 1)
    flat = np.arange(6, dtype=np.float32)[:, None]
    for whole in (
        ImageActivations(values, np.arange(3)),
        Vectors(values[:, 0, 0, :, 0]),
        Tokens([[1, 2], [3], [4, 5, 6]]),
        TextActivations(flat, np.array([0, 2, 3]), [2, 1, 3]),
        Pixels(np.arange(36, dtype=np.uint8).reshape(3, 2, 2, 3), "none", np.arange(3)),
    ):
        found = whole.only(kept).batch(np.array([1]), CPU, None)[0]
        assert torch.equal(found, whole.batch(np.array([2]), CPU, None)[0])


def test_arrays_leave_no_file_behind(tmp_path: Path) -> None:
    array = shared_array(tmp_path, (1000, 7), np.float32)
    array[:] = 3
    assert list(tmp_path.iterdir()) == []
    assert array.sum() == 21_000


def test_disk_is_not_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(inputs.shutil, "disk_usage", lambda _: usage)
    assert fits_on_disk(tmp_path, 500)
    assert not fits_on_disk(tmp_path, 501)
