"""Pretrained backbones, made ready once on each machine: ONNX for features and files, TorchScript for files.

Exporting takes ten seconds and needs timm or transformers; a job then only loads what lies in the
cache folder. Image backbones take input normalised by ImageNet's mean and std, as all clients send
it, and convert it inside the graph to what they were trained with.
"""

import contextlib
import fcntl
import hashlib
import io
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from models_registry.artifacts.images import IMAGENET_MEAN, IMAGENET_STD
from models_registry.artifacts.metadata import IMAGE_CLASSIFICATION
from models_registry.artifacts.sessions import open_session
from training.catalogue import ARCHITECTURES, Architecture, PackagedFile

from .events import TrainingError

logger = logging.getLogger(__name__)

FORMAT = 1  # raised when prepared files change, so that old ones in a cache are not used
TOLERANCE = 1e-3  # between eager network, TorchScript and ONNX, on features of order 1


@dataclass(frozen=True)
class PreparedBackbone:
    """Where a backbone's prepared files lie."""

    architecture: Architecture
    folder: Path

    @property
    def onnx(self) -> Path:
        """The network as ONNX, from its inputs to the output `features`."""
        return self.folder / "backbone.onnx"

    @property
    def torchscript(self) -> Path:
        """The same network as TorchScript."""
        return self.folder / "backbone.pt"

    def tokenizer(self) -> str | None:
        """Return the tokenizer's file; None for images."""
        path = self.folder / "tokenizer.json"
        return path.read_text(encoding="utf-8") if path.exists() else None


def get_backbone(architecture: Architecture, cache_dir: Path) -> PreparedBackbone:
    """Return the prepared backbone, preparing it when this machine has not done so yet.

    Raises `TrainingError` when the weights are missing or are not the pinned ones.
    """
    folder = cache_dir / f"{architecture.slug}-{_fingerprint(architecture)}"
    if not folder.is_dir():
        cache_dir.mkdir(parents=True, exist_ok=True)
        with _locked(cache_dir / f"{architecture.slug}.lock"):
            if not folder.is_dir():
                _prepare(architecture, folder)
    return PreparedBackbone(architecture, folder)


def prepare_all(cache_dir: Path) -> None:
    """Prepare every architecture whose weights are at hand."""
    for architecture in ARCHITECTURES.values():
        reason = architecture.unavailable_because()
        if reason:
            logger.warning("%s is not prepared: %s", architecture.name, reason)
        else:
            get_backbone(architecture, cache_dir)


def _fingerprint(architecture: Architecture) -> str:
    parts = (FORMAT, torch.__version__, architecture.weights.sha256, architecture.preprocessing.to_json())
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # the kernel lets go when the process dies
        yield


def _prepare(architecture: Architecture, folder: Path) -> None:
    """Write the prepared files into a temporary folder, then put it in its place."""
    logger.info("Preparing %s in %s", architecture.name, folder)
    weights = read_pinned(architecture.weights)
    for left in folder.parent.glob(f".{architecture.slug}-*"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporters; the check below is what counts
            network = BUILDERS[architecture.name](weights).eval().requires_grad_(False)
            is_image = architecture.task_type == IMAGE_CLASSIFICATION
            examples = _image_examples if is_image else _text_examples
            onnx = _export_onnx(network, examples(3, 17), is_image)
            with torch.inference_mode():
                traced = torch.jit.trace(  # type: ignore[no-untyped-call]
                    network, examples(3, 17), check_trace=False
                )
            script = torch.jit.freeze(traced)
            _check(architecture, network, script, onnx, examples)
            (temporary / "backbone.onnx").write_bytes(onnx)
            torch.jit.save(script, str(temporary / "backbone.pt"))
        if architecture.tokenizer:
            (temporary / "tokenizer.json").write_bytes(read_pinned(architecture.tokenizer))
        for path in temporary.iterdir():
            with path.open("rb") as file:
                os.fsync(file)
        temporary.chmod(0o755)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read_pinned(source: PackagedFile) -> bytes:
    """Read a packaged file and check its digest. Raises `TrainingError`."""
    try:
        content = source.path().read_bytes()
    except OSError as error:
        raise TrainingError(str(error)) from error
    found = hashlib.sha256(content).hexdigest()
    if found != source.sha256:
        raise TrainingError(
            f"{source.file} of the package {source.package} has the SHA-256 {found}, not the expected "
            f"{source.sha256}. Reinstall the package."
        )
    return content


class ImageBackbone(nn.Module):
    """A network for images that takes ImageNet's normalisation, whatever its own is."""

    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, mean: float, std: float) -> None:
        super().__init__()
        self.network = network
        theirs, spread = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
        self.register_buffer("scale", spread / std)
        self.register_buffer("shift", (theirs - mean) / std)

    def forward(self, image: Tensor) -> Tensor:
        """Return features, N × dimension."""
        image = image * self.scale + self.shift
        # On CPUs, convolutions run twice as fast in this layout; a no-op in ONNX.
        return self.network(image.contiguous(memory_format=torch.channels_last))  # type: ignore[no-any-return]


class TextBackbone(nn.Module):
    """An encoder for texts and the mean over its tokens, padding left out."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return features, N × dimension."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)  # type: ignore[no-any-return]


def _build_lite0(weights: bytes) -> nn.Module:
    import timm

    network = timm.create_model("tf_efficientnet_lite0", pretrained=False, scriptable=False)
    ours = network.state_dict()
    theirs = torch.load(io.BytesIO(weights), weights_only=True, map_location="cpu")
    # The package's names are of another library, but the tensors line up one to one, in order.
    if [value.shape for value in ours.values()] != [value.shape for value in theirs.values()]:
        raise TrainingError(
            "The weights of efficientnet lite0 do not fit the installed timm. Pin timm as released."
        )
    network.load_state_dict(dict(zip(ours, theirs.values(), strict=True)))
    network.reset_classifier(0)
    return ImageBackbone(network, mean=0.5, std=0.5)


def _build_minilm(weights: bytes) -> nn.Module:
    from safetensors.torch import load
    from transformers import BertConfig, BertModel

    # all-MiniLM-L6-v2's config.json; everything else is BERT's default.
    config = BertConfig(
        vocab_size=30522,
        hidden_size=384,
        num_hidden_layers=6,
        num_attention_heads=12,
        intermediate_size=1536,
        attn_implementation="eager",
    )
    encoder = BertModel(config, add_pooling_layer=False)
    tensors = {name: value for name, value in load(weights).items() if not name.startswith("pooler.")}
    missing, _ = encoder.load_state_dict(tensors, strict=False)
    if missing:
        raise TrainingError(f"The weights of minilm lack {', '.join(missing)}. Reinstall their package.")
    return TextBackbone(encoder)


BUILDERS: dict[str, Callable[[bytes], nn.Module]] = {
    "efficientnet lite0": _build_lite0,
    "minilm": _build_minilm,
}


def _image_examples(batch: int, _: int) -> tuple[Tensor, ...]:
    return (torch.randn(batch, 3, 224, 224, generator=torch.Generator().manual_seed(batch)),)


def _text_examples(batch: int, length: int) -> tuple[Tensor, ...]:
    ids = torch.randint(999, 20_000, (batch, length), generator=torch.Generator().manual_seed(length))
    mask = torch.ones_like(ids)
    mask[-1, (length + 1) // 2 :] = 0
    return ids, mask


def _export_onnx(network: nn.Module, examples: tuple[Tensor, ...], is_image: bool) -> bytes:
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length", max=512)
    free = {0: batch} if is_image else {0: batch, 1: length}
    program: Any = torch.onnx.export(
        network,
        examples,
        dynamo=True,
        dynamic_shapes=tuple(free for _ in examples),
        input_names=["image"] if is_image else ["input_ids", "attention_mask"],
        output_names=["features"],
        verbose=False,
    )
    model = program.model_proto
    for node in model.graph.node:  # stack traces with this machine's paths
        del node.metadata_props[:]
        node.doc_string = ""
    content: bytes = model.SerializeToString()
    return content


def _check(
    architecture: Architecture,
    network: nn.Module,
    script: torch.jit.ScriptModule,
    onnx: bytes,
    examples: Callable[[int, int], tuple[Tensor, ...]],
) -> None:
    """Compare both exports with the network on shapes other than the exported one's."""
    session = open_session(onnx)
    names = [given.name for given in session.get_inputs()]
    for batch, length in ((1, 1), (2, 40), (5, 3)):
        tensors = examples(batch, length)
        feeds = {name: tensor.numpy() for name, tensor in zip(names, tensors, strict=True)}
        with torch.inference_mode():
            expected = network(*tensors).numpy()
            scripted = script(*tensors).numpy()
        for kind, found in (("ONNX", session.run(None, feeds)[0]), ("TorchScript", scripted)):
            _compare(architecture, kind, expected, found)


def _compare(
    architecture: Architecture, kind: str, expected: npt.NDArray[np.float32], found: npt.NDArray[np.float32]
) -> None:
    difference = float(np.abs(expected - found).max())
    if not difference <= TOLERANCE or expected.shape[1] != architecture.dimension:
        raise TrainingError(
            f"{architecture.name} as {kind} differs from the network by {difference:.1e}. "
            "Install the versions of torch and onnx that requirements.txt pins."
        )
