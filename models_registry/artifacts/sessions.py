"""ONNX Runtime sessions as this platform opens them: on a GPU where there is one, else on the CPU."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"


class Session(Protocol):
    """A network that can be run."""

    def run(
        self, output_names: Sequence[str], input_feed: dict[str, npt.NDArray[Any]], run_options: Any = None
    ) -> list[npt.NDArray[np.float32]]:
        """Return these outputs for these inputs."""

    def get_outputs(self) -> Sequence[Any]:
        """Return what the network can give; each has a `name`."""


def open_session(
    model: bytes | str, *, threads: int | None = None, keep_buffers: bool = True
) -> "InferenceSession":
    """Load a model from bytes or a file's path; `threads` within one call, None for one per core.

    Without `keep_buffers` a session holds little more than its weights between calls: half the memory for
    a small network, and nothing that a large call once needed. Only large batches run faster with them.
    """
    import onnxruntime  # 0.2 s that a process which never predicts does not pay

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.enable_cpu_mem_arena = keep_buffers
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=providers())


def providers() -> list[str | tuple[str, dict[str, Any]]]:
    """Return the execution providers to use, best first."""
    import onnxruntime

    # TF32 would cost three digits, more than the bound that .onnx and .pt are held to.
    wanted: list[str | tuple[str, dict[str, Any]]] = [(CUDA, {"use_tf32": "0"})] if uses_gpu() else []
    assert CPU in onnxruntime.get_available_providers()
    return [*wanted, CPU]


def uses_gpu() -> bool:
    """Say whether sessions run on a GPU here."""
    import onnxruntime

    return CUDA in onnxruntime.get_available_providers()


@lru_cache(maxsize=1)
def asked_for_only() -> Any:
    """Return how to run a network that can give more than is asked for, without working that out."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.only_execute_path_to_fetches = True
    return options
