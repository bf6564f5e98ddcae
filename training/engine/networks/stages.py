"""Networks as rows of stages, so that each can be cut into a frozen trunk and a trained tail.

Behind the stages comes a linear head, which is no part of them. A cut is a number of stages: 0 trains
everything, all of them trains the head alone. Image networks take input normalised by ImageNet's mean
and std, as all clients send it, and convert it themselves to what they were pretrained with.
"""

import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from models_registry.artifacts.images import IMAGENET_MEAN, IMAGENET_STD

from ..catalogue import Architecture
from ..events import TrainingError
from .checksums import read_pinned

LAYERS, HEADS, INNER = 6, 12, 1536  # of all-MiniLM-L6-v2's config.json; everything else is BERT's default
POSITIONS, VOCABULARY, WIDTH = 512, 30_522, 384
NORM_EPSILON = 1e-12
ENCODER_DROPOUT = 0.1
UNSEEN = -1e4  # a score whose exponential is 0
RECURRENT_WIDTH, RECURRENT_LAYERS, RECURRENT_DROPOUT = 256, 2, 0.35
EMBEDDING = "stages.0.words.weight"  # of the networks for texts

CLASSIFIER = ("weight", "bias")  # what a file of weights may have beside the features' layers

State = dict[str, Tensor]


class Network(nn.Module):
    """A row of stages. `last_cut` is the cut that leaves only the last stages to train; `origin` has what
    another library calls the tensors, in their order."""

    def __init__(
        self,
        stages: Sequence[nn.Module],
        *,
        last_cut: int,
        dropout: float = 0.0,
        origin: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.last_cut = last_cut
        self.origin = tuple(origin)
        self.dropout = dropout  # in front of the head

    def walk(self, value: Tensor, mask: Tensor | None, first: int, end: int) -> Tensor:
        """Return what comes out of the stages `first` to `end` (exclusive) for what goes in.

        That is images N × 3 × H × W or token ids N × L before the first, features N × dimension
        behind the last. `mask` (N × L, 1 for tokens, 0 for padding) is for texts only.
        """
        for number in range(first, end):
            value = self.stages[number](value, mask)
        return value


class ImageNetwork(Network):
    """A network for images."""

    def forward(self, image: Tensor) -> Tensor:
        """Return features, N × dimension."""
        return self.walk(image, None, 0, len(self.stages))


class TextNetwork(Network):
    """A network for texts."""

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


class Embeddings(nn.Module):
    """BERT's embeddings for texts of one segment; the segment's vector is added to every position's."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, WIDTH)
        self.positions = nn.Embedding(POSITIONS, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=NORM_EPSILON)
        self.dropout = nn.Dropout(ENCODER_DROPOUT)

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
        self.dropout = nn.Dropout(ENCODER_DROPOUT)

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


class HubEncoder(nn.Module):
    """An encoder of the Hugging Face hub, in the transformers library's own code."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, mask: Tensor | None) -> Tensor:
        """Return N × L × width."""
        return self.model(input_ids=ids, attention_mask=mask).last_hidden_state  # type: ignore[no-any-return]


class MeanPool(nn.Module):
    """The mean over a text's tokens, padding left out."""

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """Return features, N × width."""
        assert mask is not None
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)


class WordVectors(nn.Module):
    """One vector for each piece of a word."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, WIDTH)

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
        layer = {"lstm": nn.LSTM, "gru": nn.GRU}[kind]
        self.dropout = nn.Dropout(RECURRENT_DROPOUT)
        self.ahead = layer(width, RECURRENT_WIDTH, batch_first=True)
        self.back = layer(width, RECURRENT_WIDTH, batch_first=True)

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """Return N × L × 2 · RECURRENT_WIDTH."""
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


def build(architecture: Architecture, *, vocabulary: int = VOCABULARY) -> Network:
    """Return the network with random weights, for texts of so many different tokens. Raises `TrainingError`."""
    return BUILDERS[architecture.family](architecture, vocabulary)


def _efficientnet(architecture: Architecture, _: int) -> Network:
    network = _of_timm(architecture)
    stem = ImageStage(Normalise(architecture.mean, architecture.std), network.conv_stem, network.bn1)
    blocks = [ImageStage(block) for block in network.blocks]
    top = ImageStage(network.conv_head, network.bn2, Pool(network.global_pool))
    return ImageNetwork([stem, *blocks, top], last_cut=len(blocks), origin=list(network.state_dict()))


def _resnet(architecture: Architecture, _: int) -> Network:
    network = _of_timm(architecture)
    stem = ImageStage(
        Normalise(architecture.mean, architecture.std),
        *(network.conv1, network.bn1, network.act1, network.maxpool),
    )
    layers = [ImageStage(getattr(network, f"layer{number}")) for number in range(1, 5)]
    pool = ImageStage(Pool(network.global_pool))
    return ImageNetwork([stem, *layers, pool], last_cut=4, origin=list(network.state_dict()))


def _any_of_timm(architecture: Architecture, _: int) -> Network:
    network = _of_timm(architecture)
    whole = ImageStage(Normalise(architecture.mean, architecture.std), Pooled(network))
    return ImageNetwork([whole], last_cut=0, origin=list(network.state_dict()))


def _of_timm(architecture: Architecture) -> Any:
    import timm

    try:
        return timm.create_model(architecture.network, pretrained=False, scriptable=False, num_classes=0)
    except RuntimeError as error:
        raise TrainingError(f"timm has no network {architecture.network!r}: {error}") from error


def _encoder(_: Architecture, vocabulary: int) -> Network:
    layers = [EncoderLayer() for _ in range(LAYERS)]
    network = TextNetwork([Embeddings(vocabulary), *layers, MeanPool()], last_cut=LAYERS)
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
    return network


def _of_hub(architecture: Architecture, _: int) -> Network:
    """Build an encoder as its config.json says; code that a repository brings along is never run."""
    from transformers import AutoConfig, AutoModel

    assert architecture.config is not None
    described = json.loads(read_pinned(architecture.config))
    described.pop("auto_map", None)
    try:
        config = AutoConfig.for_model(**described)
        model = AutoModel.from_config(config, attn_implementation="eager", trust_remote_code=False)
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{architecture.label} is no encoder that transformers knows: {error}") from error
    if hasattr(model, "pooler"):
        model.pooler = None  # the mean over the tokens stands in its place
    return TextNetwork([HubEncoder(model), MeanPool()], last_cut=0)


def _recurrent(architecture: Architecture, vocabulary: int) -> Network:
    layers = [
        RecurrentLayer(architecture.network, WIDTH if number == 0 else 2 * RECURRENT_WIDTH)
        for number in range(RECURRENT_LAYERS)
    ]
    return TextNetwork(
        [WordVectors(vocabulary), *layers, MeanMaxPool()], last_cut=0, dropout=RECURRENT_DROPOUT
    )


BUILDERS: dict[str, Callable[[Architecture, int], Network]] = {
    "efficientnet": _efficientnet,
    "resnet": _resnet,
    "timm": _any_of_timm,
    "encoder": _encoder,
    "recurrent": _recurrent,
    "hub": _of_hub,
}


def pretrained_state(architecture: Architecture, network: Network, content: bytes) -> State:
    """Return a network's state with the weights of a file. Raises `TrainingError` when they do not fit."""
    try:
        if architecture.family == "encoder":
            return network.state_dict() | _encoder_state(_read_safetensors(content))
        if architecture.family == "hub":
            return network.state_dict() | _hub_state(network, _read_safetensors(content))
        if architecture.family == "recurrent":
            table = _read_safetensors(content)["embeddings.word_embeddings.weight"]
            # As wide as random vectors are: steps of these networks' size would wipe out narrower ones.
            return network.state_dict() | {EMBEDDING: table / table.std()}
        return _image_state(network, _read_any(content))
    except (KeyError, ValueError) as error:
        raise TrainingError(
            f"The weights of {architecture.name} do not fit the network ({error}). "
            "Reinstall their package, and timm as released."
        ) from error


def _read_any(content: bytes) -> State:
    if content[:4] == b"PK\x03\x04" or content[:2] == b"\x80\x02":  # a zip, or torch's format before that
        state: State = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
        return state
    return _read_safetensors(content)


def _read_safetensors(content: bytes) -> State:
    from safetensors.torch import load

    state: State = load(content)
    return state


def _image_state(network: Network, found: Mapping[str, Tensor]) -> State:
    """Line up a file's tensors with the network's, by timm's names or by their order.

    Names differ from library to library, but the order of the layers does not. What a file has beside the
    network's tensors, or behind them, is its classifier.
    """
    ours = network.state_dict()
    names = [name for name in ours if not name.startswith("stages.0.0.")]  # the normalisation is ours alone
    if set(network.origin) <= set(found):
        theirs = [found[name] for name in network.origin]
    else:
        theirs = list(found.values())[: len(names)]
    shapes = [ours[name].shape for name in names]
    if [tensor.shape for tensor in theirs] != shapes or len(found) - len(names) > len(CLASSIFIER):
        raise ValueError("the layers differ")
    return ours | dict(zip(names, theirs, strict=True))


def _hub_state(network: Network, found: State) -> State:
    """Let transformers line up a file's tensors with its network's; raises ValueError when some are missing."""
    ours: Any = network.stages[0].model
    model, info = type(ours).from_pretrained(
        None, config=ours.config, state_dict=found, output_loading_info=True
    )
    lacking = sorted(name for name in info["missing_keys"] if not name.startswith("pooler."))
    if lacking:
        raise ValueError(f"{lacking[0]} is missing")
    state = {f"stages.0.model.{name}": value for name, value in model.state_dict().items()}
    return {name: state[name] for name in network.state_dict()}


def _encoder_state(found: Mapping[str, Tensor]) -> State:
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


ENCODER_NAMES = {
    "attended": "attention.output.dense",
    "attended_norm": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "down_norm": "output.LayerNorm",
}
