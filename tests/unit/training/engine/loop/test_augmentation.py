import pytest
import torch

from training.engine.loop.augmentation import Draws, augment
from training.engine.specs.hyperparameters import AUGMENTATION


def photos(count: int = 16) -> torch.Tensor:
    """Smooth pictures, so that what is moved a little stays alike."""
    rows, columns = torch.meshgrid(torch.linspace(-2, 2, 32), torch.linspace(-1, 1, 24), indexing="ij")
    return torch.stack([torch.stack([rows * n / count, columns, rows * columns]) for n in range(count)])


def draws(seed: int = 0, count: int = 16, start: int = 0, step: int = 1) -> Draws:
    return Draws(torch.Generator().manual_seed(seed), count, start, step)


@pytest.mark.parametrize("preset", AUGMENTATION.words)
def test_pictures_keep_their_shape_and_layout(preset: str) -> None:
    given = photos().contiguous(memory_format=torch.channels_last)
    changed = augment(given, preset, draws())
    assert changed.shape == given.shape
    assert torch.isfinite(changed).all()


@pytest.mark.parametrize("preset", ["light", "strong"])
def test_a_seed_gives_the_same_pictures_again(preset: str) -> None:
    first, again, other = (augment(photos(), preset, draws(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("preset", ["light", "strong"])
def test_processes_that_share_a_batch_draw_what_one_would(preset: str) -> None:
    whole, together = augment(photos(), preset, draws()), torch.empty_like(photos())
    for start in (0, 1):
        together[start::2] = augment(photos()[start::2], preset, draws(start=start, step=2))
    torch.testing.assert_close(together, whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("preset", ["light", "strong"])
def test_pictures_of_a_batch_differ_from_one_another(preset: str) -> None:
    same = photos()[8:9].expand(16, -1, -1, -1)
    changed = augment(same, preset, draws())
    assert len({picture.numpy().tobytes() for picture in changed}) > 8


def test_none_changes_nothing() -> None:
    assert torch.equal(augment(photos(), "none", draws()), photos())


def test_light_only_mirrors_and_shifts() -> None:
    """Every pixel that comes out was one of the picture's own."""
    for before, after in zip(photos(), augment(photos(), "light", draws()), strict=True):
        known = {tuple(value) for value in before.flatten(1).T.tolist()}
        assert {tuple(value) for value in after.flatten(1).T.tolist()} <= known


def test_about_half_are_mirrored() -> None:
    given = photos(1).expand(400, -1, -1, -1)
    changed = augment(given, "light", draws(count=400))
    mirrored = (changed[:, 1, 16, 0] > changed[:, 1, 16, -1]).float().mean()
    assert 0.4 < mirrored < 0.6


def test_unknown_preset_is_named() -> None:
    with pytest.raises(ValueError, match="none, light, strong"):
        augment(photos(), "wild", draws())
