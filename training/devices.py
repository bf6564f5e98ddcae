"""Which GPUs this machine has, found without loading torch, and which job may use which."""

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
    """Gives each of several jobs at a time a GPU of its own; with one GPU or none nobody has to choose."""

    def __init__(self, gpus: int) -> None:
        self._free: queue.SimpleQueue[str] = queue.SimpleQueue()
        for number in range(gpus if gpus > 1 else 0):
            self._free.put(f"cuda:{number}")

    @contextlib.contextmanager
    def take(self) -> Iterator[str]:
        """Lend a device's name; "" lets the trainer choose."""
        try:
            device = self._free.get_nowait()
        except queue.Empty:
            yield ""
            return
        try:
            yield device
        finally:
            self._free.put(device)
