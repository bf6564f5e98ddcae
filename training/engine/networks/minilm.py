"""all-MiniLM-L6-v2: BERT's layers for texts of one segment, written out.

The transformers library has the same network, and the tests compare this one with it. Here every layer is a stage,
queries, keys and values are one matrix, and a job imports nothing but torch (docs/decisions/042-libraries.md).
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..catalogue import Architecture
from .base import Family, example_texts, read_safetensors
from .stages import EMBEDDING, MeanPool, Network, State, TextNetwork

LAYERS, HEADS, INNER = 6, 12, 1536  # of all-MiniLM-L6-v2's config.json; everything else is BERT's default
POSITIONS, VOCABULARY, WIDTH = 512, 30_522, 384
NORM_EPSILON = 1e-12
DROPOUT = 0.1
UNSEEN = -1e4  # a score whose exponential is 0

ENCODER_NAMES = {
    "attended": "attention.output.dense",
    "attended_norm": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "down_norm": "output.LayerNorm",
}


class MiniLM(Family):
    """The one encoder with pretrained weights that are a Python package."""

    def build(self, architecture: Architecture, *, vocabulary: int | None = None) -> Network:
        """Return the network with random weights."""
        layers = [EncoderLayer() for _ in range(LAYERS)]
        network = TextNetwork([Embeddings(vocabulary or VOCABULARY), *layers, MeanPool()], last_cut=LAYERS)
        for module in network.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
        return network

    def pretrained_state(self, network: Network, content: bytes) -> State:
        """Return the state with the weights of a file that has BERT's names."""
        return network.state_dict() | _state(read_safetensors(content))

    def example_inputs(self, architecture: Architecture, batch: int, length: int) -> tuple[Tensor, ...]:
        """Return token ids and their mask."""
        return example_texts(VOCABULARY, batch, length)


class Embeddings(nn.Module):
    """BERT's embeddings for texts of one segment; the segment's vector is added to every position's."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, WIDTH)
        self.positions = nn.Embedding(POSITIONS, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=NORM_EPSILON)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, ids: Tensor, mask: Tensor | None) -> Tensor:
        """Return N × L × width."""
        places = self.positions(torch.arange(ids.shape[1], device=ids.device))
        return self.dropout(self.norm(self.words(ids) + places))  # type: ignore[no-any-return]


class EncoderLayer(nn.Module):
    """A layer of BERT (Devlin, Chang, Lee and Toutanova, 2019): attention, then two dense layers."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.Linear(WIDTH, 3 * WIDTH)  # queries, keys and values at once
        self.attended = nn.Linear(WIDTH, WIDTH)
        self.attended_norm = nn.LayerNorm(WIDTH, eps=NORM_EPSILON)
        self.up = nn.Linear(WIDTH, INNER)
        self.down = nn.Linear(INNER, WIDTH)
        self.down_norm = nn.LayerNorm(WIDTH, eps=NORM_EPSILON)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """Return N × L × width."""
        assert mask is not None
        batch, length = hidden.shape[0], hidden.shape[1]
        parts = self.attention(hidden).view(batch, length, 3, HEADS, WIDTH // HEADS)
        query, key, value = (parts[:, :, number].transpose(1, 2) for number in range(3))
        attended = _attend(query, key, value, mask[:, None, None, :])
        attended = self.attended(attended.transpose(1, 2).reshape(batch, length, WIDTH))
        hidden = self.attended_norm(hidden + self.dropout(attended))
        inner = self.down(functional.gelu(self.up(hidden)))
        return self.down_norm(hidden + self.dropout(inner))  # type: ignore[no-any-return]


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """Return scaled dot-product attention, N × heads × L × width of a head; padding (0 in the mask) is not seen.

    On processors step by step: torch's fused kernel takes half of a training step's time to go back through
    short texts, and is exported as three times as many operators.
    """
    if query.is_cuda:
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask.bool())
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    scores = scores + (1 - mask.to(scores.dtype)) * UNSEEN
    return scores.softmax(-1).to(value.dtype) @ value


def _state(found: Mapping[str, Tensor]) -> State:
    words, segment = "embeddings.word_embeddings.weight", "embeddings.token_type_embeddings.weight"
    state = {
        EMBEDDING: found[words],
        "stages.0.positions.weight": found["embeddings.position_embeddings.weight"] + found[segment][0],
        "stages.0.norm.weight": found["embeddings.LayerNorm.weight"],
        "stages.0.norm.bias": found["embeddings.LayerNorm.bias"],
    }
    for number in range(LAYERS):
        theirs, ours = f"encoder.layer.{number}", f"stages.{number + 1}"
        for kind in ("weight", "bias"):
            parts = [found[f"{theirs}.attention.self.{name}.{kind}"] for name in ("query", "key", "value")]
            state[f"{ours}.attention.{kind}"] = torch.cat(parts)
            for name, their_name in ENCODER_NAMES.items():
                state[f"{ours}.{name}.{kind}"] = found[f"{theirs}.{their_name}.{kind}"]
    return state
