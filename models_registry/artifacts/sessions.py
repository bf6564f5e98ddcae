"""ONNX Runtime sessions as this platform opens them: on a GPU where there is one, else on the CPU."""

import os
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from .errors import BrokenLimit, InvalidModel
from .watchdog import watchdog

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, RunOptions

# The runtime's builds report to their maker over the network, from a thread and a database of their own,
# unless this is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
NO_MEMORY = ("bad_alloc", "BFCArena::AllocateRaw", "Failed to allocate memory", "storage size overflowed")
LONGEST_REASON = 300  # characters of a library's error that are passed on

# y = x, a float: what the runtime can be asked to give memory back with.
IDENTITY = (
    b'\x08\x08\x12\x00:7\n\x10\n\x01x\x12\x01y"\x08Identity\x12\x01g'
    b"Z\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01"
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\x11"
)

_memory_limit: int | None = None


class Session(Protocol):
    """A network that can be run."""

    def run(
        self, output_names: Sequence[str], input_feed: dict[str, npt.NDArray[np.generic]]
    ) -> list[npt.NDArray[np.float32]]:
        """Return these outputs for these inputs. Raises `BrokenLimit`, or `InvalidModel` when it fails."""

    def get_outputs(self) -> Sequence[Any]:
        """Return what the network can give; each has a `name`."""


class LimitedSession:
    """A session whose runs end when they take more than some seconds of a core (None: never)."""

    def __init__(self, session: "InferenceSession", seconds: float | None) -> None:
        from onnxruntime import RunOptions

        self._session = session
        self._seconds = seconds
        self._run_options = RunOptions
        self.get_inputs = session.get_inputs
        self.get_outputs = session.get_outputs

    @property
    def properties(self) -> dict[str, str]:
        """Return what the file says beside the network."""
        found: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        return found

    def run(
        self, output_names: Sequence[str] | None, input_feed: dict[str, npt.NDArray[np.generic]]
    ) -> list[npt.NDArray[np.float32]]:
        """Return these outputs (None: all) without working out others.

        Raises `BrokenLimit`, or `InvalidModel` when the network cannot be run.
        """
        options = self._run_options()
        options.only_execute_path_to_fetches = True
        if self._seconds is None:
            return self._run(output_names, input_feed, options)
        limit = watchdog().limit(self._seconds, lambda: setattr(options, "terminate", True))
        try:
            with limit:
                return self._run(output_names, input_feed, options)
        except InvalidModel as error:
            if limit.is_over:
                raise BrokenLimit(f"A run took longer than {self._seconds:g} seconds.") from error
            raise

    def _run(
        self, output_names: Sequence[str] | None, feeds: dict[str, npt.NDArray[Any]], options: "RunOptions"
    ) -> list[npt.NDArray[np.float32]]:
        try:
            return self._run_again_if_fragmented(output_names, feeds, options)
        except Exception as error:  # the runtime's own exceptions have no common base
            if is_out_of_memory(error):
                raise BrokenLimit("A run needs more memory than it may have.") from error
            raise InvalidModel(f"The network cannot be run ({shortened(error)}).") from error

    def _run_again_if_fragmented(
        self, output_names: Sequence[str] | None, feeds: dict[str, npt.NDArray[Any]], options: "RunOptions"
    ) -> list[npt.NDArray[np.float32]]:
        found: list[npt.NDArray[np.float32]]
        try:
            found = self._session.run(output_names, feeds, options)
        except Exception as error:
            if not is_out_of_memory(error) or _memory_limit is None:
                raise
            shrink_memory()  # what earlier runs have left there in pieces may be all that was missing
            found = self._session.run(output_names, feeds, options)
        return found


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error of ONNX Runtime's is about memory that there is not."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in NO_MEMORY)


def shortened(error: BaseException) -> str:
    """Return what an error says, on one line and not too long."""
    return " ".join(str(error).split())[:LONGEST_REASON] or type(error).__name__


def limit_memory(most: int) -> None:
    """Let all sessions without buffers of their own share `most` bytes for what their runs need beside the weights.

    Once in a process, before the first session; later calls change nothing.
    """
    global _memory_limit
    if _memory_limit is not None or uses_gpu():
        return
    import onnxruntime

    place = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    config = {
        "max_mem": most,
        "arena_extend_strategy": 1,  # by what is asked for; the other one doubles
        "initial_chunk_size_bytes": -1,  # what is -1 is the runtime's choice
        "max_dead_bytes_per_chunk": -1,
        "initial_growth_chunk_size_bytes": -1,
        "max_power_of_two_extend_bytes": -1,
    }
    onnxruntime.create_and_register_allocator(place, onnxruntime.OrtArenaCfg(config))
    _memory_limit = most


def shrink_memory() -> None:
    """Give back what runs have left in the memory that they share; nothing where they share none."""
    if _memory_limit is None:
        return
    from onnxruntime import RunOptions

    options = RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    _smallest_session().run(None, {"x": np.zeros(1, np.float32)}, options)


@lru_cache(maxsize=1)
def _smallest_session() -> "InferenceSession":
    return open_session(IDENTITY, threads=1, keep_buffers=False)


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
    options.log_severity_level = 4  # failures are raised; the log would tell them once more
    # Bytes that begin like the runtime's own format would otherwise be read as that.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    if _memory_limit is not None and not keep_buffers:
        options.enable_cpu_mem_arena = True
        options.add_session_config_entry("session.use_env_allocators", "1")
        options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    return onnxruntime.InferenceSession(model, options, providers=providers())


def providers() -> list[str | tuple[str, dict[str, object]]]:
    """Return the execution providers to use, best first."""
    import onnxruntime

    # TF32 would cost three digits, more than the bound that .onnx and .pt are held to.
    wanted: list[str | tuple[str, dict[str, Any]]] = [(CUDA, {"use_tf32": "0"})] if uses_gpu() else []
    assert CPU in onnxruntime.get_available_providers()
    return [*wanted, CPU]


@lru_cache(maxsize=1)
def uses_gpu() -> bool:
    """Say whether sessions run on a GPU here."""
    import onnxruntime

    return CUDA in onnxruntime.get_available_providers()
