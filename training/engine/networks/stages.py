"""Networks as rows of stages, so that each can be cut into a frozen trunk and a trained tail.

Behind the stages comes a linear head, which is no part of them. A cut is a number of stages: 0 trains
everything, all of them trains the head alone. Image networks take input normalised by ImageNet's mean
and std, as all clients send it, and convert it themselves to what they were pretrained with.
"""

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

EMBEDDING = "stages.0.words.weight"  # the table of token vectors in a state, where there is one

State = dict[str, Tensor]


class Network(nn.Module):
    """A row of stages. `last_cut` is the cut that leaves only the last stages to train; `dropout` is the
    probability of the one in front of the head; `input_names` are those of the exported inputs."""

    input_names: ClassVar[tuple[str, ...]]

    def __init__(self, stages: Sequence[nn.Module], *, last_cut: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.last_cut = last_cut
        self.dropout = dropout

    def walk(self, value: Tensor, mask: Tensor | None, first: int, end: int) -> Tensor:
        """Return what comes out of the stages `first` to `end` (exclusive) for what goes in.

        That is images N × 3 × H × W or token ids N × L before the first, features N × dimension
        behind the last. `mask` (N × L, 1 for tokens, 0 for padding) is for texts only.
        """
        for number in range(first, end):
            value = self.stages[number](value, mask)
        return value


class ImageNetwork(Network):
    """A network for images. `origin` has what another library calls the tensors, in their order."""

    input_names = ("image",)

    def __init__(self, stages: Sequence[nn.Module], *, last_cut: int, origin: Sequence[str]) -> None:
        super().__init__(stages, last_cut=last_cut)
        self.origin = tuple(origin)

    def forward(self, image: Tensor) -> Tensor:
        """Return features, N × dimension."""
        return self.walk(image, None, 0, len(self.stages))


class TextNetwork(Network):
    """A network for texts."""

    input_names = ("input_ids", "attention_mask")

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return features, N × dimension."""
        return self.walk(input_ids, attention_mask, 0, len(self.stages))


class ImageStage(nn.Sequential):
    """Layers one after the other."""

    def forward(self, value: Tensor, mask: Tensor | None) -> Tensor:  # type: ignore[override]
        """Return the value behind the layers; images have no mask."""
        for layer in self:
            value = layer(value)
        return value


class MeanPool(nn.Module):
    """The mean over a text's tokens, padding left out."""

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """Return features, N × width."""
        assert mask is not None
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)


def token_table(network: Network) -> Tensor | None:
    """Return the vectors of all tokens, tokens × width; None of a network without such a table of its own."""
    return network.state_dict().get(EMBEDDING)


def keep_tokens(network: Network, tokens: Sequence[int]) -> None:
    """Leave a network's table with the vectors of these tokens, which are numbered anew in this order."""
    words = network.stages[0].words
    assert isinstance(words, nn.Embedding)
    network.stages[0].words = nn.Embedding.from_pretrained(  # type: ignore[no-untyped-call]
        words.weight.detach()[list(tokens)], freeze=False
    )
