"""What a family of networks is: whatever differs from one kind of network to the next, and nothing else.

Strategies and exports ask the family of an architecture (`networks.factory.get_family`) and never what it is
called. A new family is one module with a subclass, and its line in the factory.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from ..catalogue import Architecture
from ..events import TrainingError
from ..weights_files import read_verified
from .exporter import Exported, export_stages, trace
from .stages import EMBEDDING, Network, State

# The batch and the length (of texts) that exporters are shown; others are compared afterwards.
BATCH, LENGTH = 3, 17


class Family(ABC):
    """Networks that are built, loaded and exported alike.

    With `is_prepared`, the pretrained network is exported once on each machine, gives features without any
    training, and trained weights are poured into the exported files. Without, nothing but token vectors is
    pretrained, and each trained network is exported by itself.
    """

    is_prepared = True

    @abstractmethod
    def build(self, architecture: Architecture, *, vocabulary: int | None = None) -> Network:
        """Return the network with random weights. Raises `TrainingError`.

        `vocabulary` is how many different tokens a network for texts is to know; None for as many as the
        pretrained one does.
        """

    @abstractmethod
    def pretrained_state(self, network: Network, content: bytes) -> State:
        """Return the state of a network that `build` made with the weights of a file.

        Raises KeyError or ValueError when they do not fit.
        """

    @abstractmethod
    def example_inputs(self, architecture: Architecture, batch: int, length: int) -> tuple[Tensor, ...]:
        """Return inputs that mean nothing: as many as `batch`, texts of up to so many tokens."""

    def export(self, architecture: Architecture, network: Network) -> Exported:
        """Return a network in evaluation mode as ONNX and TorchScript. Raises `TrainingError`."""
        examples = self.example_inputs(architecture, BATCH, LENGTH)
        return Exported(export_stages(network, examples), trace(network, examples))

    def load_weights(self, architecture: Architecture, network: Network, content: bytes) -> None:
        """Put the weights of a file into a network. Raises `TrainingError` when they do not fit."""
        try:
            state = self.pretrained_state(network, content)
        except (KeyError, ValueError) as error:
            raise TrainingError(
                f"The weights of {architecture.name} do not fit the network ({error}). "
                "Reinstall their package, and timm as released."
            ) from error
        network.load_state_dict(state)

    def build_pretrained(self, architecture: Architecture) -> Network:
        """Return the network with its pretrained weights. Raises `TrainingError`."""
        network = self.build(architecture)
        self.load_weights(architecture, network, read_verified(architecture.weights))
        return network

    def rebuild(self, architecture: Architecture, state: State) -> Network:
        """Return a trained network, in evaluation mode, of its state."""
        vocabulary = len(state[EMBEDDING]) if EMBEDDING in state else None
        network = self.build(architecture, vocabulary=vocabulary).eval()
        network.load_state_dict(state)
        return network


def example_images(size: int, batch: int) -> tuple[Tensor, ...]:
    """Return images of noise, batch × 3 × size × size."""
    return (torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(batch)),)


def example_texts(vocabulary: int, batch: int, length: int) -> tuple[Tensor, ...]:
    """Return token ids below `vocabulary` and their mask, batch × length; the last text is half as long."""
    ids = torch.randint(vocabulary, (batch, length), generator=torch.Generator().manual_seed(length))
    mask = torch.ones_like(ids)
    mask[-1, (length + 1) // 2 :] = 0
    return ids, mask


def read_safetensors(content: bytes) -> State:
    """Return the tensors of a file."""
    from safetensors.torch import load

    state: State = load(content)
    return state
