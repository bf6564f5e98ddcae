"""Networks made ready once on each machine: ONNX for features and files, TorchScript for files.

Exporting takes ten seconds and needs timm; a job then only loads what lies in the cache folder. Every
tensor of the prepared files has its name in the network's state, so that trained weights are poured
into them, and nothing is exported anew. Families that are not prepared export each trained network by
themselves.
"""

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ..catalogue import ARCHITECTURES, Architecture
from ..events import TrainingError
from ..export.onnx_graph import pour_weights, with_outputs
from ..export.quantized import quantize
from ..export.quantized_images import NotQuantizable, Range, calibrate, quantize_images
from ..export.torchscript import load_script
from ..specs.strategies import FROZEN, SCRATCH
from ..weights_files import WeightsFile, read_verified
from .exporter import Exported, check_exported
from .factory import get_family
from .stages import Network, State

logger = logging.getLogger(__name__)

FORMAT = 7  # raised when prepared files change, so that old ones in a cache are not used
RANGES = Path(__file__).parent / "ranges"


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
        """The same network as ONNX of eight bits, from its inputs to `features`; see `has_quantized`."""
        return self.folder / "backbone.int8.onnx"

    @property
    def has_quantized(self) -> bool:
        """Whether there is one: of networks for texts, and of those for images whose ranges come along."""
        return self.quantized.exists()

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


def exported_network(architecture: Architecture, state: State | None, cache_dir: Path) -> Exported:
    """Return a network up to its features as ONNX and as TorchScript, with the weights of a state.

    Without one, it is the pretrained network as it was.
    """
    if state is None:
        backbone = get_backbone(architecture, cache_dir)
        return Exported(backbone.onnx.read_bytes(), load_script(backbone.torchscript))
    family = get_family(architecture.family)
    if not family.is_prepared:
        return family.export(architecture, family.rebuild(architecture, state))
    backbone = get_backbone(architecture, cache_dir, pretrained=False)
    script = load_script(backbone.template)
    # Tracing keeps buffers that networks of the hub leave out of their state.
    script.load_state_dict({**script.state_dict(), **state})
    arrays = {name: value.numpy() for name, value in state.items()}
    return Exported(pour_weights(backbone.onnx.read_bytes(), arrays), script)


def quantized_network(
    architecture: Architecture,
    state: State | None,
    network: bytes,
    cache_dir: Path,
    images: Callable[[], Iterable[npt.NDArray[np.float32]]],
) -> bytes | None:
    """Return a network that `exported_network` returned as ONNX of eight bits; None where there is none.

    `images` gives batches of training examples, by which a network for images that has been trained is calibrated.
    """
    if state is None:
        backbone = get_backbone(architecture, cache_dir)
        return backbone.quantized.read_bytes() if backbone.has_quantized else None
    if not architecture.reads_images:
        return quantize(with_outputs(network, ["features"]))
    with contextlib.suppress(NotQuantizable, KeyError):  # layers, or constants, of an unknown kind
        return quantize_images(network, calibrate(network, images()))
    return None


def prepare_all(cache_dir: Path) -> None:
    """Prepare every architecture whose weights are at hand."""
    for architecture in ARCHITECTURES.values():
        reason = architecture.unavailable_because(FROZEN)
        if reason:
            logger.info("%s is not prepared: %s", architecture.name, reason)
        else:
            get_backbone(architecture, cache_dir)


def _fingerprint(architecture: Architecture, pretrained: bool) -> str:
    weights = _digest(architecture.weights) if pretrained else SCRATCH
    scale = (tuple(architecture.mean), tuple(architecture.std))
    built = (architecture.network, architecture.preprocessing.to_json(), scale)
    ranges = packaged_ranges(architecture) if pretrained else None
    parts = (FORMAT, torch.__version__, weights, *built, ranges)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def _digest(weights: WeightsFile) -> str:
    """Return the SHA-256 that weights must have, which is another once another revision was fetched."""
    try:
        return weights.digest(weights.path())
    except FileNotFoundError as error:
        raise TrainingError(str(error)) from error


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # the kernel lets go when the process dies
        yield


def _prepare(architecture: Architecture, folder: Path, pretrained: bool) -> None:
    """Write the prepared files into a temporary folder, then put it in its place."""
    logger.info("Preparing %s in %s", architecture.name, folder)
    family = get_family(architecture.family)
    network = family.build_pretrained(architecture) if pretrained else family.build(architecture)
    for left in folder.parent.glob(f".{architecture.slug}-*"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporters; the check below is what counts
            _write_files(architecture, network.eval().requires_grad_(False), temporary, pretrained)
        if architecture.tokenizer:
            (temporary / "tokenizer.json").write_bytes(read_verified(architecture.tokenizer))
        for path in temporary.iterdir():
            with path.open("rb") as file:
                os.fsync(file)
        temporary.chmod(0o755)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_files(architecture: Architecture, network: Network, folder: Path, pretrained: bool) -> None:
    family = get_family(architecture.family)
    exported = family.export(architecture, network)
    torch.jit.save(exported.torchscript, str(folder / "template.pt"))
    frozen = replace(exported, torchscript=torch.jit.freeze(exported.torchscript))
    check_exported(architecture, network, frozen, partial(family.example_inputs, architecture))
    (folder / "backbone.onnx").write_bytes(exported.onnx)
    ranges = packaged_ranges(architecture) if pretrained else None
    if not architecture.reads_images:
        (folder / "backbone.int8.onnx").write_bytes(quantize(with_outputs(exported.onnx, ["features"])))
    elif ranges is not None:
        (folder / "backbone.int8.onnx").write_bytes(quantize_images(exported.onnx, ranges))
    torch.jit.save(frozen.torchscript, str(folder / "backbone.pt"))


def ranges_file(architecture: Architecture) -> Path:
    """Return where the ranges of a packaged network's tensors come along."""
    return RANGES / f"{architecture.slug}.json"


def packaged_ranges(architecture: Architecture) -> list[Range] | None:
    """Return the ranges of a network's tensors with its pretrained weights; None where none come along."""
    try:
        found = json.loads(ranges_file(architecture).read_text())
    except FileNotFoundError:
        return None
    if found["weights"] != _digest(architecture.weights):
        return None
    return [(low, high) for low, high in found["ranges"]]
