"""Networks made ready once on each machine: ONNX for features and files, TorchScript for files.

Exporting takes ten seconds and needs timm; a job then only loads what lies in the cache folder. Every
tensor of the prepared files has its name in the network's state, so that trained weights are poured
into them, and nothing is exported anew. Recurrent networks need no preparation: see
`training.engine.export.recurrent_graph`.
"""

import contextlib
import fcntl
import hashlib
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from models_registry.artifacts import ImagePreprocessing
from models_registry.artifacts.sessions import open_session

from ..catalogue import ARCHITECTURES, Architecture
from ..events import TrainingError
from ..export.constant_folding import fold_constants
from ..export.onnx_graph import initializer_names, pour_weights, with_outputs
from ..export.quantized import quantize
from ..export.recurrent_graph import recurrent_graph
from ..export.torchscript import load_script
from ..specs.strategies import FROZEN, SCRATCH
from .checksums import read_pinned
from .stages import (
    EMBEDDING,
    RECURRENT_LAYERS,
    VOCABULARY,
    Network,
    State,
    TextNetwork,
    build,
    pretrained_state,
)

logger = logging.getLogger(__name__)

FORMAT = 6  # raised when prepared files change, so that old ones in a cache are not used
FEW_TOKENS = 100  # which every tokenizer has
TOLERANCE = 1e-3  # between eager network, TorchScript and ONNX, on features of order 1


@dataclass(frozen=True)
class PreparedBackbone:
    """Where a backbone's prepared files lie."""

    architecture: Architecture
    folder: Path

    @property
    def onnx(self) -> Path:
        """The network as ONNX, from its inputs to `features` and to `stage.n`, what each stage takes in."""
        return self.folder / "backbone.onnx"

    @property
    def torchscript(self) -> Path:
        """The same network as TorchScript, its weights frozen into it."""
        return self.folder / "backbone.pt"

    @property
    def template(self) -> Path:
        """The same network as TorchScript that takes other weights."""
        return self.folder / "template.pt"

    @property
    def quantized(self) -> Path:
        """The same network as ONNX of eight bits, from its inputs to `features`; of texts only."""
        return self.folder / "backbone.int8.onnx"

    def tokenizer(self) -> str | None:
        """Return the tokenizer's file; None for images."""
        path = self.folder / "tokenizer.json"
        return path.read_text(encoding="utf-8") if path.exists() else None


def get_backbone(architecture: Architecture, cache_dir: Path, *, pretrained: bool = True) -> PreparedBackbone:
    """Return the prepared network, preparing it when this machine has not done so yet.

    Without `pretrained` its weights need not be at hand: it is then good only for pouring others in.
    Raises `TrainingError` when the weights are missing or are not the pinned ones.
    """
    pretrained = pretrained or not architecture.unavailable_because(FROZEN)
    folder = cache_dir / f"{architecture.slug}-{_fingerprint(architecture, pretrained)}"
    if not folder.is_dir():
        cache_dir.mkdir(parents=True, exist_ok=True)
        with _locked(cache_dir / f"{architecture.slug}.lock"):
            if not folder.is_dir():
                _prepare(architecture, folder, pretrained)
    return PreparedBackbone(architecture, folder)


def exported_network(
    architecture: Architecture, state: State | None, cache_dir: Path
) -> tuple[bytes, torch.jit.ScriptModule]:
    """Return a network up to its features as ONNX and as TorchScript, with the weights of a state.

    Without one, it is the pretrained network as it was.
    """
    if state is None:
        backbone = get_backbone(architecture, cache_dir)
        return backbone.onnx.read_bytes(), load_script(backbone.torchscript)
    arrays = {name: value.numpy() for name, value in state.items()}
    if architecture.family == "recurrent":
        network = build(architecture, vocabulary=len(state[EMBEDDING])).eval()
        network.load_state_dict(state)
        graph = recurrent_graph(architecture.network, arrays, EMBEDDING, RECURRENT_LAYERS)
        return graph, trace(network, _text_examples(3, 17, vocabulary=len(state[EMBEDDING])))
    backbone = get_backbone(architecture, cache_dir, pretrained=False)
    script = load_script(backbone.template)
    # Tracing keeps buffers that networks of the hub leave out of their state.
    script.load_state_dict({**script.state_dict(), **state})
    return pour_weights(backbone.onnx.read_bytes(), arrays), script


def quantized_network(
    architecture: Architecture, state: State | None, network: bytes, cache_dir: Path
) -> bytes:
    """Return a network for texts that `exported_network` returned as ONNX of eight bits."""
    if state is None:
        return get_backbone(architecture, cache_dir).quantized.read_bytes()
    return quantize(with_outputs(network, ["features"]))


def prepare_all(cache_dir: Path) -> None:
    """Prepare every architecture whose weights are at hand."""
    for architecture in ARCHITECTURES.values():
        reason = architecture.unavailable_because(FROZEN)
        if reason:
            logger.info("%s is not prepared: %s", architecture.name, reason)
        else:
            get_backbone(architecture, cache_dir)


def _fingerprint(architecture: Architecture, pretrained: bool) -> str:
    weights = repr(architecture.weights) if pretrained else SCRATCH
    parts = (FORMAT, torch.__version__, weights, architecture.network, architecture.preprocessing.to_json())
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # the kernel lets go when the process dies
        yield


def _prepare(architecture: Architecture, folder: Path, pretrained: bool) -> None:
    """Write the prepared files into a temporary folder, then put it in its place."""
    logger.info("Preparing %s in %s", architecture.name, folder)
    network = build(architecture)
    if pretrained:
        content = read_pinned(architecture.weights)
        network.load_state_dict(pretrained_state(architecture, network, content))
    for left in folder.parent.glob(f".{architecture.slug}-*"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporters; the check below is what counts
            _write_files(architecture, network.eval().requires_grad_(False), temporary)
        if architecture.tokenizer:
            (temporary / "tokenizer.json").write_bytes(read_pinned(architecture.tokenizer))
        for path in temporary.iterdir():
            with path.open("rb") as file:
                os.fsync(file)
        temporary.chmod(0o755)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_files(architecture: Architecture, network: Network, folder: Path) -> None:
    examples = example_inputs(architecture)
    onnx = _export_onnx(network, examples(3, 17))
    script = trace(network, examples(3, 17))
    torch.jit.save(script, str(folder / "template.pt"))
    frozen = torch.jit.freeze(script)
    _check(architecture, network, frozen, onnx, examples)
    (folder / "backbone.onnx").write_bytes(onnx)
    if isinstance(network, TextNetwork):
        (folder / "backbone.int8.onnx").write_bytes(quantize(with_outputs(onnx, ["features"])))
    torch.jit.save(frozen, str(folder / "backbone.pt"))


def trace(network: nn.Module, examples: tuple[Tensor, ...]) -> torch.jit.ScriptModule:
    """Return a network in evaluation mode as TorchScript that takes other weights."""
    with torch.inference_mode(False), torch.no_grad():
        traced: torch.jit.ScriptModule = torch.jit.trace(  # type: ignore[no-untyped-call]
            network, examples, check_trace=False
        )
    return traced


def example_inputs(architecture: Architecture) -> Callable[[int, int], tuple[Tensor, ...]]:
    """Return what makes inputs for a network, of a batch and a length (of texts)."""
    if isinstance(architecture.preprocessing, ImagePreprocessing):
        return partial(_image_examples, architecture.preprocessing.crop)
    if architecture.family == "hub":
        return partial(_text_examples, vocabulary=FEW_TOKENS)
    return _text_examples


def _image_examples(size: int, batch: int, _: int) -> tuple[Tensor, ...]:
    return (torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(batch)),)


def _text_examples(batch: int, length: int, vocabulary: int = VOCABULARY) -> tuple[Tensor, ...]:
    ids = torch.randint(vocabulary, (batch, length), generator=torch.Generator().manual_seed(length))
    mask = torch.ones_like(ids)
    mask[-1, (length + 1) // 2 :] = 0
    return ids, mask


class _WithStages(nn.Module):
    """A network that also returns what every stage but the first takes in."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.stages = network.stages  # under the same name, so that tensors keep theirs
        self.texts = isinstance(network, TextNetwork)

    def forward(self, *inputs: Tensor) -> list[Tensor]:
        value, mask = inputs[0], inputs[1] if self.texts else None
        values = []
        for stage in self.stages:
            value = stage(value, mask)
            values.append(value)
        return [values[-1], *values[:-1]]


def _export_onnx(network: Network, examples: tuple[Tensor, ...]) -> bytes:
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length", max=512)
    is_text = isinstance(network, TextNetwork)
    free = {0: batch, 1: length} if is_text else {0: batch}
    program: Any = torch.onnx.export(
        _WithStages(network),
        examples,
        dynamo=True,
        dynamic_shapes=(tuple(free for _ in examples),),
        input_names=["input_ids", "attention_mask"] if is_text else ["image"],
        output_names=["features", *(f"stage.{number}" for number in range(1, len(network.stages)))],
        optimize=False,  # so that tensors keep their names; the runtime fuses layers when it loads the file
        verbose=False,
    )
    model = program.model_proto
    for node in model.graph.node:  # stack traces with this machine's paths
        del node.metadata_props[:]
        node.doc_string = ""
    missing = {name for name, value in network.state_dict().items() if value.ndim} - initializer_names(model)
    if missing:
        raise TrainingError(
            f"The exporter renamed {min(missing)}. Install the torch that requirements.txt pins."
        )
    fold_constants(model)
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
        for kind, found in (("ONNX", session.run(["features"], feeds)[0]), ("TorchScript", scripted)):
            _compare(architecture, kind, expected, found)


def _compare(
    architecture: Architecture, kind: str, expected: npt.NDArray[np.float32], found: npt.NDArray[np.float32]
) -> None:
    difference = float(np.abs(expected - found).max())
    if not difference <= TOLERANCE or expected.shape[1] != (architecture.dimension or expected.shape[1]):
        raise TrainingError(
            f"{architecture.name} as {kind} differs from the network by {difference:.1e}. "
            "Install the versions of torch and onnx that requirements.txt pins."
        )
