"""Encoders of the Hugging Face hub, in the transformers library's own code."""

import json
from typing import TYPE_CHECKING

from torch import Tensor, nn

from ..catalogue import Architecture
from ..events import TrainingError
from ..weights_files import read_verified
from .base import Family, example_texts, read_safetensors
from .stages import MeanPool, Network, State, TextNetwork

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FEW_TOKENS = 100  # which every tokenizer has


class HubEncoder(nn.Module):
    """An encoder as transformers builds it."""

    def __init__(self, model: "PreTrainedModel") -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, mask: Tensor | None) -> Tensor:
        """Return N × L × width."""
        return self.model(input_ids=ids, attention_mask=mask).last_hidden_state  # type: ignore[no-any-return]


class HubTexts(Family):
    """Any encoder that transformers knows, as one stage."""

    def build(self, architecture: Architecture, *, vocabulary: int | None = None) -> Network:
        """Build an encoder as its config.json says; code that a repository brings along is never run.

        Its vocabulary is always the pretrained one's. Raises `TrainingError`.
        """
        from transformers import AutoConfig, AutoModel

        assert architecture.config is not None
        described = json.loads(read_verified(architecture.config))
        described.pop("auto_map", None)
        try:
            config = AutoConfig.for_model(**described)
            model = AutoModel.from_config(config, attn_implementation="eager", trust_remote_code=False)
        except (ValueError, KeyError, TypeError) as error:
            raise TrainingError(
                f"{architecture.label} is no encoder that transformers knows: {error}"
            ) from error
        if hasattr(model, "pooler"):
            model.pooler = None  # the mean over the tokens stands in its place
        return TextNetwork([HubEncoder(model), MeanPool()], last_cut=0)

    def pretrained_state(self, network: Network, content: bytes) -> State:
        """Let transformers line up a file's tensors with its network's."""
        encoder = network.stages[0]
        assert isinstance(encoder, HubEncoder)
        ours = encoder.model
        model, info = type(ours).from_pretrained(
            None, config=ours.config, state_dict=read_safetensors(content), output_loading_info=True
        )
        lacking = sorted(name for name in info["missing_keys"] if not name.startswith("pooler."))
        if lacking:
            raise ValueError(f"{lacking[0]} is missing")
        state = {f"stages.0.model.{name}": value for name, value in model.state_dict().items()}
        return {name: state[name] for name in network.state_dict()}

    def example_inputs(self, architecture: Architecture, batch: int, length: int) -> tuple[Tensor, ...]:
        """Return ids of tokens that every tokenizer has, and their mask."""
        return example_texts(FEW_TOKENS, batch, length)
