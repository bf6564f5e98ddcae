"""LSTM and GRU in both directions on the token vectors of a pretrained encoder, or on none."""

import torch
from torch import Tensor, nn

from ..catalogue import Architecture
from .base import BATCH, LENGTH, Family, example_texts, read_safetensors
from .exporter import Exported, trace
from .recurrent_graph import recurrent_graph
from .stages import EMBEDDING, Network, State, TextNetwork

VOCABULARY, EMBEDDING_WIDTH = 30_522, 384  # of the encoder whose token vectors these networks begin with
PRETRAINED_TABLE = "embeddings.word_embeddings.weight"  # in that encoder's file
WIDTH, LAYERS, DROPOUT = 256, 2, 0.35
CELLS: dict[str, type[nn.LSTM | nn.GRU]] = {"lstm": nn.LSTM, "gru": nn.GRU}


class Recurrent(Family):
    """Networks of which the token vectors alone are pretrained."""

    is_prepared = False

    def build(self, architecture: Architecture, *, vocabulary: int | None = None) -> Network:
        """Return the network with random weights."""
        widths = [EMBEDDING_WIDTH, *[2 * WIDTH] * (LAYERS - 1)]
        layers = [RecurrentLayer(architecture.network, width) for width in widths]
        return TextNetwork(
            [WordVectors(vocabulary or VOCABULARY), *layers, MeanMaxPool()], last_cut=0, dropout=DROPOUT
        )

    def pretrained_state(self, network: Network, content: bytes) -> State:
        """Return the state with an encoder's token vectors.

        They are as wide as random vectors are: steps of these networks' size would wipe out narrower ones.
        """
        table = read_safetensors(content)[PRETRAINED_TABLE]
        return network.state_dict() | {EMBEDDING: table / table.std()}

    def example_inputs(self, architecture: Architecture, batch: int, length: int) -> tuple[Tensor, ...]:
        """Return token ids and their mask."""
        return example_texts(VOCABULARY, batch, length)

    def export(self, architecture: Architecture, network: Network) -> Exported:
        """Return the network as ONNX, written out node by node, and as TorchScript."""
        state = network.state_dict()
        arrays = {name: value.numpy() for name, value in state.items()}
        examples = example_texts(len(state[EMBEDDING]), BATCH, LENGTH)
        return Exported(
            recurrent_graph(architecture.network, arrays, EMBEDDING, LAYERS), trace(network, examples)
        )


class WordVectors(nn.Module):
    """One vector for each piece of a word."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, EMBEDDING_WIDTH)

    def forward(self, ids: Tensor, mask: Tensor | None) -> Tensor:
        """Return N × L × width."""
        return self.words(ids)  # type: ignore[no-any-return]


class RecurrentLayer(nn.Module):
    """An LSTM or GRU in both directions; padding at the end of a text changes nothing.

    The backward one reads each text from its last token, so that both see padding last and what they
    say about tokens does not depend on it. That runs faster than packed sequences do.
    """

    def __init__(self, kind: str, width: int) -> None:
        super().__init__()
        layer = CELLS[kind]
        self.dropout = nn.Dropout(DROPOUT)
        self.ahead = layer(width, WIDTH, batch_first=True)
        self.back = layer(width, WIDTH, batch_first=True)

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """Return N × L × 2 · WIDTH."""
        assert mask is not None
        hidden = self.dropout(hidden)
        places = torch.arange(mask.shape[1], device=mask.device).unsqueeze(0)
        lengths = mask.sum(1, keepdim=True)
        mirrored = torch.where(places < lengths, lengths - 1 - places, places).unsqueeze(-1)
        turned = hidden.gather(1, mirrored.expand(-1, -1, hidden.shape[2]))
        ahead = self.ahead(hidden)[0]
        back = self.back(turned)[0]
        return torch.cat([ahead, back.gather(1, mirrored.expand(-1, -1, back.shape[2]))], dim=2)


class MeanMaxPool(nn.Module):
    """The mean and the largest value over a text's tokens, padding left out."""

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """Return features, N × 2 · width."""
        assert mask is not None
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)
        # What comes out of these layers lies in -1…1.
        largest = (hidden - 2 * (1 - weights)).amax(1)
        return torch.cat([mean, largest], dim=1)
