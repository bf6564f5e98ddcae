"""The .pt of a trained model: its network's TorchScript and a scripted head.

`torch.jit.load` alone loads it, without this package, timm or transformers: whoever serves it needs
nothing else. It returns logits.
"""

import contextlib
import io
import math
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from models_registry.artifacts import METADATA_KEY, TOKENIZER_KEY
from models_registry.artifacts.metadata import IMAGE_CLASSIFICATION, NGRAMS_KEY

from .classifier import LEAST_SUM, SMOOTH, ExportedClassifier, Head

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


class Roots(nn.Module):
    """What stands before a head that reads the roots of features (see `classifier.roots_of`)."""

    def __init__(self) -> None:
        super().__init__()
        self.least_sum, self.smooth, self.least = LEAST_SUM, SMOOTH, math.sqrt(SMOOTH)

    def forward(self, features: Tensor) -> Tensor:
        """Return the roots, N × dimension."""
        kept = features.relu()
        shares = kept * (kept.shape[1] / (kept.sum(1, keepdim=True) + self.least_sum))
        return (shares + self.smooth).sqrt() - self.least


class TextClassifier(nn.Module):
    """A backbone for texts and a linear head."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return logits, N × classes, of int64 token ids and their mask, both N × L."""
        return self.head(self.backbone(input_ids, attention_mask))  # type: ignore[no-any-return]


class WindowClassifier(nn.Module):
    """A classifier on a network for texts, which are read in several windows."""

    def __init__(self, network: TextClassifier) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, window_ids: Tensor, window_weights: Tensor
    ) -> Tensor:
        """Return logits, N × classes, of all windows' token ids and their mask, and of which are a text's own:
        their numbers and weights, both N × windows."""
        logits = self.network(input_ids, attention_mask)
        return torch.bmm(window_weights.unsqueeze(1), logits[window_ids]).squeeze(1)


class NgramClassifier(nn.Module):
    """A linear head on n-grams."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.from_numpy(head.weight.copy()), requires_grad=False)
        self.bias = nn.Parameter(torch.from_numpy(head.bias.copy()), requires_grad=False)

    def forward(self, ngram_ids: Tensor, ngram_weights: Tensor) -> Tensor:
        """Return logits, N × classes, of int64 numbers of n-grams and their weights, both N × n-grams."""
        rows = self.weight[ngram_ids]
        return torch.bmm(ngram_weights.unsqueeze(1), rows).squeeze(1) + self.bias


class JointClassifier(nn.Module):
    """A classifier on a network for texts and one on n-grams, whose logits are summed."""

    def __init__(self, network: TextClassifier, ngrams: NgramClassifier) -> None:
        super().__init__()
        self.network = network
        self.ngrams = ngrams

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, ngram_ids: Tensor, ngram_weights: Tensor
    ) -> Tensor:
        """Return logits, N × classes, of what both take."""
        logits: Tensor = self.network(input_ids, attention_mask) + self.ngrams(ngram_ids, ngram_weights)
        return logits


class JointWindowClassifier(nn.Module):
    """A classifier on a network for texts in several windows and one on n-grams, whose logits are summed."""

    def __init__(self, network: WindowClassifier, ngrams: NgramClassifier) -> None:
        super().__init__()
        self.network = network
        self.ngrams = ngrams

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        window_ids: Tensor,
        window_weights: Tensor,
        ngram_ids: Tensor,
        ngram_weights: Tensor,
    ) -> Tensor:
        """Return logits, N × classes, of what both take."""
        logits: Tensor = self.network(input_ids, attention_mask, window_ids, window_weights)
        return logits + self.ngrams(ngram_ids, ngram_weights)  # type: ignore[no-any-return]


def export_torchscript(network: torch.jit.ScriptModule | None, classifier: ExportedClassifier) -> bytes:
    """Return the .pt of a network with the heads of a classifier; without one, that of the n-grams alone."""
    extra_files = {
        METADATA_FILE if name == METADATA_KEY else name: text
        for name, text in classifier.properties().items()
    }
    buffer = io.BytesIO()
    with _without_deprecations():
        module = _module(network, classifier).eval()
        torch.jit.save(torch.jit.script(module), buffer, _extra_files=extra_files)
    return buffer.getvalue()


def _module(network: torch.jit.ScriptModule | None, classifier: ExportedClassifier) -> nn.Module:
    ngrams = None if classifier.ngrams is None else NgramClassifier(classifier.ngrams.head)
    if network is None or classifier.head is None:
        assert ngrams is not None
        return ngrams
    head = nn.Linear(*classifier.head.weight.shape)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(classifier.head.weight.T.copy()))
        head.bias.copy_(torch.from_numpy(classifier.head.bias))
    if classifier.metadata.task_type == IMAGE_CLASSIFICATION:
        return ImageClassifier(network, nn.Sequential(Roots(), head) if classifier.head.reads_roots else head)
    texts = TextClassifier(network, head)
    if classifier.reads_windows:
        windows = WindowClassifier(texts)
        return windows if ngrams is None else JointWindowClassifier(windows, ngrams)
    return texts if ngrams is None else JointClassifier(texts, ngrams)


def load_torchscript(path: Path) -> tuple[torch.jit.ScriptModule, dict[str, str]]:
    """Load a .pt as any client would; returns the network and its extra files."""
    extra_files = {METADATA_FILE: "", TOKENIZER_KEY: "", NGRAMS_KEY: ""}
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
