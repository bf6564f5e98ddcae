"""The resources that a job needs, those that the machine has, and what to do when they do not suffice.

Estimates, on the low side: a job that is refused although it would have fitted is worse than one that
fails. Sizes are bytes.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from django.template.defaultfilters import filesizeformat

from ..engine.specs.strategies import MIB, find_strategy

FILES = 400 * MIB  # the model's files, and the export's drafts of them
IMAGE_IN_CACHE = 240 * 240 * 3  # decoded and resized once, uint8
FEATURES = {True: 4 * 1280, False: 4 * 384}  # of an image or a text, in float32
MOST_FEATURES = 1500 * MIB  # in memory while a head is fitted, whatever lies on the disk
MEMORY_OF_EXAMPLE = 8 * MIB  # activations and gradients of one example in a step

MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Needs:
    """The resources that a job takes while it runs."""

    disk: int
    memory: int


@dataclass(frozen=True)
class Machine:
    """The resources of a machine, free and in total. None: unknown."""

    disk_free: int
    disk_total: int
    memory_free: int | None = None
    memory_total: int | None = None


@dataclass(frozen=True)
class Shortage:
    """Why a job cannot start now; `lasting` if waiting does not help."""

    words: str
    lasting: bool


def needs_of(*, strategy: str, is_image: bool, dataset_bytes: int, examples: int, batch_size: int) -> Needs:
    """Estimate what a training takes. Raises ValueError for an unknown strategy."""
    spec = find_strategy(strategy)
    cache = examples * IMAGE_IN_CACHE if is_image and spec.trains_network else 0
    features = examples * FEATURES[is_image]
    # Of the two copies of features one is kept in the bucket; while a head is fitted they are in memory about twice.
    at_once = batch_size * MEMORY_OF_EXAMPLE if spec.trains_network else min(2 * features, MOST_FEATURES)
    return Needs(disk=dataset_bytes + cache + 2 * features + FILES, memory=spec.memory + at_once)


def shortage_of(needs: Needs, machine: Machine) -> Shortage | None:
    """Return what is missing, with what to do about it; None when there is room."""
    if needs.disk > machine.disk_free:
        lasting = needs.disk > machine.disk_total
        return Shortage(
            f"This job needs about {_size(needs.disk)} of disk and the worker has {_size(machine.disk_free)} free. "
            + (
                "Use fewer or smaller files, or a worker with a larger disk."
                if lasting
                else "It waits for room."
            ),
            lasting,
        )
    if machine.memory_free is not None and needs.memory > machine.memory_free:
        lasting = machine.memory_total is not None and needs.memory > machine.memory_total
        return Shortage(
            f"This job needs about {_size(needs.memory)} of memory and the worker has "
            f"{_size(machine.memory_free)} free. "
            + ("Use a smaller batch size or Fast, or a larger worker." if lasting else "It waits for room."),
            lasting,
        )
    return None


def this_machine(folder: Path) -> Machine:
    """Measure the machine; `folder` lies on the disk that jobs use."""
    disk = shutil.disk_usage(folder)
    free, total = _memory()
    return Machine(disk.free, disk.total, free, total)


def _memory() -> tuple[int | None, int | None]:
    """Return the memory that is free and all of it, of the container where there is one."""
    try:
        lines = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
        free, total = (int(lines[name].split()[0]) * 1024 for name in ("MemAvailable", "MemTotal"))
    except (OSError, KeyError, ValueError):
        return None, None
    try:
        limit = int((CGROUP / "memory.max").read_text())
        used = int((CGROUP / "memory.current").read_text())
        reclaimable = _reclaimable((CGROUP / "memory.stat").read_text())
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return free, total
    return min(free, limit - used + reclaimable), min(total, limit)


def _reclaimable(stat: str) -> int:
    """Return what the kernel would give up of a container's memory: files that it holds for speed."""
    counted = dict(line.split() for line in stat.splitlines())
    return int(counted.get("inactive_file", 0)) + int(counted.get("active_file", 0))


def _size(count: int) -> str:
    return filesizeformat(count).replace("\xa0", " ")
