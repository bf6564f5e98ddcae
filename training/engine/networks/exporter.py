"""A network as ONNX and TorchScript: written by torch's exporters, then compared with the network itself."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from models_registry.artifacts.sessions import open_session

from ..catalogue import Architecture
from ..events import TrainingError
from ..export.constant_folding import fold_constants
from ..export.onnx_graph import initializer_names
from .stages import Network

TOLERANCE = 1e-3  # between eager network, TorchScript and ONNX, on features of order 1
SHAPES = ((1, 1), (2, 40), (5, 3))  # of the batches that are compared, none of them the exported one


@dataclass(frozen=True)
class Exported:
    """A network as ONNX, from its inputs to `features` (and to `stage.n`, what each stage takes in), and as
    TorchScript that takes other weights."""

    onnx: bytes
    torchscript: torch.jit.ScriptModule


class _WithStages(nn.Module):
    """A network that also returns what every stage but the first takes in."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.stages = network.stages  # under the same name, so that tensors keep theirs

    def forward(self, *inputs: Tensor) -> list[Tensor]:
        value, mask = inputs[0], inputs[1] if len(inputs) > 1 else None
        values = []
        for stage in self.stages:
            value = stage(value, mask)
            values.append(value)
        return [values[-1], *values[:-1]]


def export_stages(network: Network, examples: tuple[Tensor, ...]) -> bytes:
    """Return a network in evaluation mode as .onnx whose tensors have their names in its state.

    Raises `TrainingError` when the exporter renames one.
    """
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length", max=512)
    free = {0: batch, 1: length} if len(examples) > 1 else {0: batch}
    program = torch.onnx.export(
        _WithStages(network),
        examples,
        dynamo=True,
        dynamic_shapes=(tuple(free for _ in examples),),
        input_names=network.input_names,
        output_names=["features", *(f"stage.{number}" for number in range(1, len(network.stages)))],
        optimize=False,  # so that tensors keep their names; the runtime fuses layers when it loads the file
        verbose=False,
    )
    assert program is not None
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


def trace(network: nn.Module, examples: tuple[Tensor, ...]) -> torch.jit.ScriptModule:
    """Return a network in evaluation mode as TorchScript that takes other weights."""
    with torch.inference_mode(False), torch.no_grad():
        traced: torch.jit.ScriptModule = torch.jit.trace(  # type: ignore[no-untyped-call]
            network, examples, check_trace=False
        )
    return traced


def check_exported(
    architecture: Architecture,
    network: Network,
    exported: Exported,
    examples: Callable[[int, int], tuple[Tensor, ...]],
) -> None:
    """Compare both exports with the network on `SHAPES`. Raises `TrainingError` when one differs."""
    session = open_session(exported.onnx)
    for batch, length in SHAPES:
        tensors = examples(batch, length)
        feeds = {name: tensor.numpy() for name, tensor in zip(network.input_names, tensors, strict=True)}
        with torch.inference_mode():
            expected = network(*tensors).numpy()
            scripted = exported.torchscript(*tensors).numpy()
        [served] = session.run(["features"], feeds)
        for kind, found in (("ONNX", served), ("TorchScript", scripted)):
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
