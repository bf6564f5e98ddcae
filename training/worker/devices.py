"""The GPUs of this machine, found without loading torch, and their allocation to jobs."""

import contextlib
import os
import queue
from collections.abc import Iterator, Mapping
from pathlib import Path

DEVICES = Path("/dev")


def visible_gpus(environment: Mapping[str, str] = os.environ, devices: Path = DEVICES) -> int:
    """Return how many NVIDIA GPUs the trainers of this machine can see."""
    named = environment.get("CUDA_VISIBLE_DEVICES")
    present = len([path for path in devices.glob("nvidia*") if path.name[6:].isdigit()])
    if named is None:
        return present
    chosen = [name for name in named.split(",") if name.strip() not in ("", "-1")]
    return min(present, len(chosen))


class DevicePool:
    """Allocates GPUs to the jobs that run at a time; with one GPU or none there is nothing to allocate."""

    def __init__(self, gpus: int, *, each: int = 1) -> None:
        self._free: queue.SimpleQueue[str] = queue.SimpleQueue()
        for first in range(0, gpus if gpus > 1 else 0, each):
            self._free.put(",".join(f"cuda:{number}" for number in range(first, min(first + each, gpus))))

    @contextlib.contextmanager
    def take(self) -> Iterator[str]:
        """Yield the names of the allocated devices, separated by commas; "" lets the trainer choose."""
        try:
            device = self._free.get_nowait()
        except queue.Empty:
            yield ""
            return
        try:
            yield device
        finally:
            self._free.put(device)
