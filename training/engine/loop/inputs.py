"""What the network, or the trained part of it, takes in: decoded or computed once, read many times.

Pictures, and activations in front of the trained stages, lie in files that are mapped into memory and
have no name, so that they end with the process. A source gives batches as tensors; with draws
they are for training, and differ each time as the source's augmentation says.
"""

import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models_registry.artifacts.images import IMAGENET_MEAN, IMAGENET_STD
from models_registry.artifacts.texts import pad

from .augmentation import Draws, augment
from .distributed import ALONE, Distributed

SHARE_OF_DISK = 0.5  # that activations may take of what is free

Rows = npt.NDArray[np.int64]
Inputs = tuple[Tensor, Tensor | None]  # what goes in, and the mask of texts


class Source(ABC):
    """Numbered inputs."""

    @property
    def lengths(self) -> Sequence[int] | None:
        """Return the number of tokens of each text, so that alike ones come together; None for images."""
        return None

    @abstractmethod
    def batch(self, indices: Rows, device: torch.device, draws: Draws | None) -> Inputs:
        """Return the inputs as tensors on the device; augmented by draws, or as they are without."""

    @abstractmethod
    def only(self, kept: Rows) -> "Source":
        """Return the source of some examples, which then have new numbers."""


def shared_array(
    folder: Path, shape: tuple[int, ...], dtype: npt.DTypeLike, ranks: Distributed = ALONE
) -> npt.NDArray[Any]:
    """Return an array of zeros in a file of the folder that all ranks see, and nobody else.

    The file has a name only until all have opened it, and ends with their processes.
    """
    size = max(1, int(np.prod(shape)) * np.dtype(dtype).itemsize)
    path = folder / "shared.array"
    if ranks.is_first:
        with path.open("xb") as file:
            os.ftruncate(file.fileno(), size)
    ranks.wait()
    with path.open("r+b") as file:
        array: npt.NDArray[Any] = np.memmap(file, dtype, "r+", shape=shape)  # maps on when it is closed
    ranks.wait()
    if ranks.is_first:
        path.unlink()
    return array


def fits_on_disk(folder: Path, size: int) -> bool:
    """Say whether so many bytes leave the folder's disk with enough room."""
    return size <= shutil.disk_usage(folder).free * SHARE_OF_DISK


@dataclass(frozen=True)
class Pixels(Source):
    """Decoded images, N × H × W × 3 bytes; the network takes them normalised by ImageNet's mean and std."""

    images: npt.NDArray[np.uint8]
    augmentation: str
    rows: Rows

    def batch(self, indices: Rows, device: torch.device, draws: Draws | None) -> Inputs:
        """Return images, N × 3 × H × W, in the layout that convolutions are fastest with."""
        chosen = torch.from_numpy(self.images[self.rows[indices]]).to(device, non_blocking=True)
        mean, std = (
            torch.tensor(values, device=device).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD)
        )
        # Permuted bytes lie in memory as channels-last images do: nothing is copied for the layout.
        images = chosen.permute(0, 3, 1, 2).to(torch.float32)
        images = images.mul_(1 / 255).sub_(mean).div_(std)
        return (images if draws is None else augment(images, self.augmentation, draws)), None

    def only(self, kept: Rows) -> "Pixels":
        """Return the source of some examples."""
        return Pixels(self.images, self.augmentation, self.rows[kept])


@dataclass(frozen=True)
class ImageActivations(Source):
    """Activations of each image's views, N × views × C × H × W; the first view is the image as it is."""

    values: npt.NDArray[np.float32]
    rows: Rows

    def batch(self, indices: Rows, device: torch.device, draws: Draws | None) -> Inputs:
        """Return activations, N × C × H × W, each of a view that is drawn."""
        views: Rows = np.zeros(len(indices), np.int64)
        if draws is not None:
            views = draws.whole(0, self.values.shape[1]).numpy()
        chosen = torch.from_numpy(self.values[self.rows[indices], views])
        return chosen.to(device, non_blocking=True).contiguous(memory_format=torch.channels_last), None

    def only(self, kept: Rows) -> "ImageActivations":
        """Return the source of some examples."""
        return ImageActivations(self.values, self.rows[kept])


@dataclass(frozen=True)
class Vectors(Source):
    """Features, N × dimension, for a head that is trained alone."""

    values: npt.NDArray[np.float32]

    def batch(self, indices: Rows, device: torch.device, draws: Draws | None) -> Inputs:
        """Return features, N × dimension."""
        return torch.from_numpy(self.values[indices]).to(device), None

    def only(self, kept: Rows) -> "Vectors":
        """Return the source of some examples."""
        return Vectors(self.values[kept])


@dataclass(frozen=True)
class Tokens(Source):
    """Texts as token ids."""

    sequences: Sequence[Sequence[int]]

    @cached_property
    def _lengths(self) -> Sequence[int]:
        return [len(sequence) for sequence in self.sequences]

    @property
    def lengths(self) -> Sequence[int]:
        """Return the number of tokens of each text."""
        return self._lengths

    def batch(self, indices: Rows, device: torch.device, draws: Draws | None) -> Inputs:
        """Return ids and mask, both N × L."""
        arrays = pad([self.sequences[index] for index in indices])
        ids, mask = (torch.from_numpy(arrays[name]).to(device) for name in ("input_ids", "attention_mask"))
        return ids, mask

    def only(self, kept: Rows) -> "Tokens":
        """Return the source of some examples."""
        return Tokens([self.sequences[index] for index in kept])


@dataclass(frozen=True)
class TextActivations(Source):
    """Activations of each text's tokens, (all tokens) × width, one text after the other from `starts` on."""

    values: npt.NDArray[np.float32]
    starts: Rows
    sizes: Sequence[int]

    @property
    def lengths(self) -> Sequence[int]:
        """Return the number of tokens of each text."""
        return self.sizes

    def batch(self, indices: Rows, device: torch.device, draws: Draws | None) -> Inputs:
        """Return activations, N × L × width, and mask, N × L."""
        longest = max(self.sizes[index] for index in indices)
        values = np.zeros((len(indices), longest, self.values.shape[1]), np.float32)
        mask = np.zeros((len(indices), longest), np.int64)
        for row, index in enumerate(indices):
            start, length = self.starts[index], self.sizes[index]
            values[row, :length] = self.values[start : start + length]
            mask[row, :length] = 1
        return torch.from_numpy(values).to(device), torch.from_numpy(mask).to(device)

    def only(self, kept: Rows) -> "TextActivations":
        """Return the source of some examples."""
        return TextActivations(self.values, self.starts[kept], [self.sizes[index] for index in kept])
