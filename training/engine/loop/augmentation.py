"""Images made to differ from epoch to epoch, a whole batch at a time and on its device.

Every draw comes from the generator that is handed in, so that a seed gives the same pictures again,
however many processes have shared them out.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ..specs.hyperparameters import AUGMENTATION

# Of the side, the angle (degrees), the scale, and brightness and contrast (shares).
SHIFT = {"light": 0.06, "strong": 0.12}
ROTATION, SCALES, TONE = 15.0, (0.75, 1.15), 0.3
ERASED = 0.3  # largest side of the square that is wiped out, of the image's


@dataclass(frozen=True)
class Draws:
    """Random numbers for a batch of `count`, of which this process has every `step`-th from `start` on.

    All are drawn and the others' are left out, so that every process draws the same.
    """

    generator: torch.Generator
    count: int
    start: int = 0
    step: int = 1

    def between(self, low: float, high: float, device: torch.device) -> Tensor:
        """Return a number from low to high (exclusive) for each."""
        drawn = torch.rand(self.count, generator=self.generator)[self.start :: self.step]
        return (drawn * (high - low) + low).to(device)

    def whole(self, low: int, high: int) -> Tensor:
        """Return a whole number from low to high (exclusive) for each."""
        return torch.randint(low, high, (self.count,), generator=self.generator)[self.start :: self.step]


def augment(images: Tensor, preset: str, draws: Draws) -> Tensor:
    """Return images, N × 3 × H × W, each changed in its own way.

    `light` mirrors and shifts; `strong` also turns, scales, changes brightness and contrast, and wipes
    out a square. Raises ValueError for an unknown preset.
    """
    AUGMENTATION.check(preset)
    if preset == "none":
        return images
    if preset == "light":
        return _shift(_mirror(images, draws), draws)
    return _erase(_change_tone(_warp(images, draws), draws), draws)


def _mirror(images: Tensor, draws: Draws) -> Tensor:
    mirrored = draws.between(0, 1, images.device) < 0.5
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)


def _shift(images: Tensor, draws: Draws) -> Tensor:
    """Move each image by whole pixels; what comes in at its edge is its mirror image."""
    height, width = images.shape[2:]
    most = max(1, round(SHIFT["light"] * min(height, width)))
    down, right = (draws.whole(-most, most + 1).to(images.device) for _ in "dr")
    rows = _reflected(torch.arange(height, device=images.device) + down[:, None], height)
    columns = _reflected(torch.arange(width, device=images.device) + right[:, None], width)
    batch = torch.arange(len(images), device=images.device)[:, None, None]
    # Indexed with the channels last, where a pixel's three values lie together, and they stay so.
    return images.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _reflected(places: Tensor, size: int) -> Tensor:
    places = places.abs()
    return torch.where(places >= size, 2 * (size - 1) - places, places)


def _warp(images: Tensor, draws: Draws) -> Tensor:
    """Mirror, turn, scale and shift in one interpolation."""
    angle = draws.between(-ROTATION, ROTATION, images.device) * (math.pi / 180)
    scale = draws.between(*SCALES, images.device)
    side = torch.where(draws.between(0, 1, images.device) < 0.5, -1.0, 1.0)
    matrices = torch.zeros(len(images), 2, 3, device=images.device)
    matrices[:, 0, 0], matrices[:, 0, 1] = side * scale * angle.cos(), -scale * angle.sin()
    matrices[:, 1, 0], matrices[:, 1, 1] = side * scale * angle.sin(), scale * angle.cos()
    for axis in (0, 1):
        matrices[:, axis, 2] = draws.between(-SHIFT["strong"], SHIFT["strong"], images.device)
    grid = functional.affine_grid(matrices, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def _change_tone(images: Tensor, draws: Draws) -> Tensor:
    brightness, contrast = (draws.between(-TONE, TONE, images.device)[:, None, None, None] for _ in "bc")
    mean = images.mean((1, 2, 3), keepdim=True)
    return (images - mean) * (1 + contrast) + mean + brightness


def _erase(images: Tensor, draws: Draws) -> Tensor:
    """Set a square of each image to 0, which is ImageNet's mean colour."""
    height, width = images.shape[2:]
    side = draws.between(0, ERASED, images.device)
    inside = []
    for size in (height, width):
        centre = draws.between(0, 1, images.device)
        places = (torch.arange(size, device=images.device) + 0.5) / size
        inside.append((places - centre[:, None]).abs() < side[:, None] / 2)
    wiped = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return images.masked_fill(wiped, 0.0)
