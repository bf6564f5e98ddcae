"""Several processes that train one network together, each on a device of its own.

torchrun starts them and tells each its number (its rank). All of them run the same program on the same
data set: what is read or computed once for every example is shared out, each step's batch is shared out,
and what has to be known to all is added up. The first rank alone tells, keeps checkpoints and exports.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

Shared = TypeVar("Shared")  # whatever can be sliced


@dataclass(frozen=True)
class Distributed:
    """This process's rank, counted from 0, and how many there are."""

    rank: int = 0
    world_size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the process that speaks for all."""
        return self.rank == 0

    def share(self, of: Shared) -> Shared:
        """Return this rank's part of a sequence that all of them have."""
        part: Shared = of[self.rank :: self.world_size]  # type: ignore[index]
        return part

    def wait(self) -> None:
        """Return when all ranks have come here."""
        if self.world_size > 1:
            dist.barrier()

    def add_up(self, value: Tensor) -> Tensor:
        """Return the sum of all ranks' tensors, which have one shape."""
        if self.world_size > 1:
            dist.all_reduce(value)
        return value

    def merge(self, found: Mapping[int, str]) -> dict[int, str]:
        """Return what all ranks have found; when it returns, all have come here."""
        if self.world_size == 1:
            return dict(found)
        everybody: list[Any] = [None] * self.world_size
        dist.all_gather_object(everybody, dict(found))
        return {key: value for one in everybody for key, value in one.items()}


ALONE = Distributed()


def own_rank() -> int | None:
    """Return the number that torchrun gave this process; None for a process that is alone."""
    number = os.environ.get("LOCAL_RANK")
    return None if number is None else int(number)


@contextlib.contextmanager
def joined(device: torch.device) -> Iterator[Distributed]:
    """Meet the other ranks, if torchrun has started this process."""
    if own_rank() is None:
        yield ALONE
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Distributed(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
