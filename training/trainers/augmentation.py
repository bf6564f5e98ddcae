"""Images made to differ from epoch to epoch, a whole batch at a time and on its device.

Every draw comes from the generator that is handed in, so that a seed gives the same pictures again.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

PRESETS = ("none", "light", "strong")
# Of the side, the angle (degrees), the scale, and brightness and contrast (shares).
SHIFT = {"light": 0.06, "strong": 0.12}
ROTATION, SCALES, TONE = 15.0, (0.75, 1.15), 0.3
ERASED = 0.3  # largest side of the square that is wiped out, of the image's


def augment(images: Tensor, preset: str, generator: torch.Generator) -> Tensor:
    """Return images, N × 3 × H × W, each changed in its own way.

    `light` mirrors and shifts; `strong` also turns, scales, changes brightness and contrast, and wipes
    out a square. Raises ValueError for an unknown preset.
    """
    if preset not in PRESETS:
        raise ValueError(f"There is no augmentation {preset!r}. Known: {', '.join(PRESETS)}.")
    if preset == "none":
        return images
    if preset == "light":
        return _shift(_mirror(images, generator), generator)
    return _erase(_change_tone(_warp(images, generator), generator), generator)


def _draw(count: int, low: float, high: float, generator: torch.Generator, like: Tensor) -> Tensor:
    return (torch.rand(count, generator=generator) * (high - low) + low).to(like.device)


def _mirror(images: Tensor, generator: torch.Generator) -> Tensor:
    mirrored = (torch.rand(len(images), generator=generator) < 0.5).to(images.device)
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)


def _shift(images: Tensor, generator: torch.Generator) -> Tensor:
    """Move each image by whole pixels; what comes in at its edge is its mirror image."""
    height, width = images.shape[2:]
    most = max(1, round(SHIFT["light"] * min(height, width)))
    down, right = torch.randint(-most, most + 1, (2, len(images)), generator=generator).to(images.device)
    rows = _reflected(torch.arange(height, device=images.device) + down[:, None], height)
    columns = _reflected(torch.arange(width, device=images.device) + right[:, None], width)
    batch = torch.arange(len(images), device=images.device)[:, None, None]
    # Indexed with the channels last, where a pixel's three values lie together, and they stay so.
    return images.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _reflected(places: Tensor, size: int) -> Tensor:
    places = places.abs()
    return torch.where(places >= size, 2 * (size - 1) - places, places)


def _warp(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror, turn, scale and shift in one interpolation."""
    count = len(images)
    angle = _draw(count, -ROTATION, ROTATION, generator, images) * (math.pi / 180)
    scale = _draw(count, *SCALES, generator, images)
    side = torch.where(_draw(count, 0, 1, generator, images) < 0.5, -1.0, 1.0)
    matrices = torch.zeros(count, 2, 3, device=images.device)
    matrices[:, 0, 0], matrices[:, 0, 1] = side * scale * angle.cos(), -scale * angle.sin()
    matrices[:, 1, 0], matrices[:, 1, 1] = side * scale * angle.sin(), scale * angle.cos()
    for axis in (0, 1):
        matrices[:, axis, 2] = _draw(count, -SHIFT["strong"], SHIFT["strong"], generator, images)
    grid = functional.affine_grid(matrices, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def _change_tone(images: Tensor, generator: torch.Generator) -> Tensor:
    brightness, contrast = (
        _draw(len(images), -TONE, TONE, generator, images)[:, None, None, None] for _ in "bc"
    )
    mean = images.mean((1, 2, 3), keepdim=True)
    return (images - mean) * (1 + contrast) + mean + brightness


def _erase(images: Tensor, generator: torch.Generator) -> Tensor:
    """Set a square of each image to 0, which is ImageNet's mean colour."""
    height, width = images.shape[2:]
    side = _draw(len(images), 0, ERASED, generator, images)
    inside = []
    for size in (height, width):
        centre = _draw(len(images), 0, 1, generator, images)
        places = (torch.arange(size, device=images.device) + 0.5) / size
        inside.append((places - centre[:, None]).abs() < side[:, None] / 2)
    wiped = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return images.masked_fill(wiped, 0.0)
