"""Image networks of the timm library: what all of them have in common, and the family of any one of them."""

import io
from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models_registry.artifacts.images import IMAGENET_MEAN, IMAGENET_STD

from ..catalogue import Architecture
from ..events import TrainingError
from .base import Family, example_images, read_safetensors
from .stages import ImageNetwork, ImageStage, Network, State

NORMALISATION = "stages.0.0."  # where a state has it; it is ours alone
CLASSIFIER = ("weight", "bias")  # what a file of weights may have beside the features' layers


class TimmFamily(Family):
    """Networks that timm builds; a family says which of their layers are stages."""

    @abstractmethod
    def stages(self, network: nn.Module) -> list[ImageStage]:
        """Return the stages of a network of timm, the last of which gives features."""

    @abstractmethod
    def last_cut(self, stages: int) -> int:
        """Return the cut that leaves only the last stages to train, of so many."""

    def build(self, architecture: Architecture, *, vocabulary: int | None = None) -> Network:
        """Return the network with random weights. Raises `TrainingError` for one that timm does not know."""
        import timm

        try:
            network: nn.Module = timm.create_model(
                architecture.network, pretrained=False, scriptable=False, num_classes=0
            )
        except RuntimeError as error:
            raise TrainingError(f"timm has no network {architecture.network!r}: {error}") from error
        stages = self.stages(network)
        stages[0].insert(0, Normalise(architecture.mean, architecture.std))
        return ImageNetwork(stages, last_cut=self.last_cut(len(stages)), origin=list(network.state_dict()))

    def pretrained_state(self, network: Network, content: bytes) -> State:
        """Line up a file's tensors with the network's, by timm's names or by their order.

        Names differ from library to library, but the order of the layers does not. What a file has beside the
        network's tensors, or behind them, is its classifier.
        """
        assert isinstance(network, ImageNetwork)
        ours, found = network.state_dict(), _read(content)
        names = [name for name in ours if not name.startswith(NORMALISATION)]
        if set(network.origin) <= set(found):
            theirs = [found[name] for name in network.origin]
        else:
            theirs = list(found.values())[: len(names)]
        shapes = [ours[name].shape for name in names]
        if [tensor.shape for tensor in theirs] != shapes or len(found) - len(names) > len(CLASSIFIER):
            raise ValueError("the layers differ")
        return ours | dict(zip(names, theirs, strict=True))

    def example_inputs(self, architecture: Architecture, batch: int, length: int) -> tuple[Tensor, ...]:
        """Return images of noise; `length` means nothing."""
        return example_images(architecture.image_preprocessing.crop, batch)


class WholeNetwork(TimmFamily):
    """Any network of timm, as one stage: what is inside is not known."""

    def stages(self, network: nn.Module) -> list[ImageStage]:
        """Return the one stage."""
        return [ImageStage(Pooled(network))]

    def last_cut(self, stages: int) -> int:
        """Return 0: the whole network is trained."""
        return 0


class Normalise(nn.Module):
    """From ImageNet's normalisation to the network's own."""

    scale: Tensor
    shift: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        given, spread, ours, theirs = (
            torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD, mean, std)
        )
        self.register_buffer("scale", spread / theirs, persistent=True)
        self.register_buffer("shift", (given - ours) / theirs, persistent=True)

    def forward(self, image: Tensor) -> Tensor:
        """Return the image, N × 3 × H × W, in the layout in which convolutions run twice as fast on CPUs."""
        return (image * self.scale + self.shift).contiguous(memory_format=torch.channels_last)


class Pool(nn.Module):
    """A convolutional network's pool over all places.

    What it gives back to the layers before it is laid out plane by plane, and the normalisation before it then
    takes many times as long to go backward on a processor: a quarter of a step of the last stages. It
    is laid out anew as those layers lie themselves.
    """

    def __init__(self, pool: nn.Module) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, value: Tensor) -> Tensor:
        """Return features, N × dimension, of a map, N × dimension × H × W."""
        if value.requires_grad and value.device.type == "cpu":
            value.register_hook(_channels_last)  # type: ignore[no-untyped-call]
        return self.pool(value)  # type: ignore[no-any-return]


def _channels_last(gradient: Tensor) -> Tensor:
    return gradient.contiguous(memory_format=torch.channels_last)


class Pooled(nn.Module):
    """The whole of a network whose insides are not known, up to its feature vector."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Return features, N × dimension."""
        features = self.network.forward_features(image)  # type: ignore[operator]
        return self.network.forward_head(features, pre_logits=True)  # type: ignore[operator, no-any-return]


def _read(content: bytes) -> State:
    if content[:4] == b"PK\x03\x04" or content[:2] == b"\x80\x02":  # a zip, or torch's format before that
        state: State = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
        return state
    return read_safetensors(content)
