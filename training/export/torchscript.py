"""The .pt of a trained model: its network's TorchScript and a scripted head.

`torch.jit.load` alone loads it, without this package, timm or transformers: whoever serves it needs
nothing else. It returns logits.
"""

import contextlib
import io
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from models_registry.artifacts import METADATA_KEY, TOKENIZER_KEY, ModelMetadata
from models_registry.artifacts.metadata import IMAGE_CLASSIFICATION

METADATA_FILE = f"{METADATA_KEY}.json"


class ImageClassifier(nn.Module):
    """A backbone for images and a linear head."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, image: Tensor) -> Tensor:
        """Return logits, N × classes, of images N × 3 × H × W normalised by ImageNet's mean and std."""
        return self.head(self.backbone(image))  # type: ignore[no-any-return]


class TextClassifier(nn.Module):
    """A backbone for texts and a linear head."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return logits, N × classes, of int64 token ids and their mask, both N × L."""
        return self.head(self.backbone(input_ids, attention_mask))  # type: ignore[no-any-return]


def attach_head(
    backbone: torch.jit.ScriptModule,
    weight: npt.NDArray[np.float32],
    bias: npt.NDArray[np.float32],
    metadata: ModelMetadata,
    tokenizer: str | None,
) -> bytes:
    """Return the .pt of a backbone with a head of `weight` (dimension × classes) and `bias`."""
    head = nn.Linear(*weight.shape)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight.T.copy()))
        head.bias.copy_(torch.from_numpy(bias))
    kind = ImageClassifier if metadata.task_type == IMAGE_CLASSIFICATION else TextClassifier
    extra_files = {METADATA_FILE: metadata.to_json()}
    if tokenizer is not None:
        extra_files[TOKENIZER_KEY] = tokenizer
    buffer = io.BytesIO()
    with _without_deprecations():
        network = kind(backbone, head).eval()
        torch.jit.save(torch.jit.script(network), buffer, _extra_files=extra_files)
    return buffer.getvalue()


def load_torchscript(path: Path) -> tuple[torch.jit.ScriptModule, dict[str, str]]:
    """Load a .pt as any client would; returns the network and its extra files."""
    extra_files = {METADATA_FILE: "", TOKENIZER_KEY: ""}
    with _without_deprecations():
        network = _load(path, extra_files)
    texts = {
        name: content.decode() if isinstance(content, bytes) else content
        for name, content in extra_files.items()
    }
    return network.eval(), texts


def load_script(path: Path) -> torch.jit.ScriptModule:
    """Load TorchScript of this platform's own."""
    with _without_deprecations():
        return _load(path)


def _load(path: Path, extra_files: dict[str, str] | None = None) -> torch.jit.ScriptModule:
    network: torch.jit.ScriptModule = torch.jit.load(  # type: ignore[no-untyped-call]
        str(path), map_location="cpu", _extra_files=extra_files
    )
    return network


@contextlib.contextmanager
def _without_deprecations() -> Iterator[None]:
    """TorchScript is deprecated, and what clients of this platform's models load."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield
