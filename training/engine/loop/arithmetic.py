"""Which arithmetic trains a network fastest here: found by a few steps of the very network, and kept for this machine.

In bfloat16 (half the digits) one processor trains in half the time and another in twice of it, by its kernels for
each kind of layer, and so it is with the layout of convolutions. What a processor claims to know says
little about that. On a GPU both pay, and nothing is measured.

Weights, their updates and all figures stay in float32; only what is computed in between is rounded.
"""

import contextlib
import copy
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models_registry.artifacts.machine import Measured, processor

logger = logging.getLogger(__name__)

KEPT_IN = "arithmetic.json"
MOST = 16  # examples in a step that is measured
WORTH = 2_500  # examples, ten times as many as the measurement looks at
ROUNDS = 3  # steps of each kind, of which the fastest counts: others' load can only slow one down
TRIAL = 2  # examples of the steps that come first
# Times as long as the fastest of those steps: who takes more takes no other. Without kernels for bfloat16, one step of
# a whole batch can take as long as twelve in float32.
HOPELESS = 4
IMAGE_DIMENSIONS = 4  # of a batch
CLEARLY = 0.93  # of the time that float32 takes: what gains less is not worth its rounding


@dataclass(frozen=True)
class Arithmetic:
    """Whether steps are computed in bfloat16, and whether the weights of convolutions lie with their channels last."""

    half: bool = False
    channels_last: bool = False

    def __str__(self) -> str:
        """Return it in words."""
        return ("bfloat16" if self.half else "float32") + (", channels last" if self.channels_last else "")

    def autocast(self, device: torch.device) -> contextlib.AbstractContextManager[object]:
        """Return the context in which a step computes its forward pass."""
        return torch.autocast(device.type, torch.bfloat16) if self.half else contextlib.nullcontext()

    def lay_out(self, network: nn.Module) -> None:
        """Lay a network's weights as they are to lie."""
        if self.channels_last:
            network.to(memory_format=torch.channels_last)


FLOAT32, ON_GPU = Arithmetic(), Arithmetic(half=True)
KINDS = tuple(Arithmetic(half, channels_last) for half in (False, True) for channels_last in (False, True))


def choose(
    measured: Measured,
    network: str,
    trained: nn.Module,
    batch: tuple[Tensor, Tensor | None, Tensor],
    *,
    examples: int,
) -> Arithmetic:
    """Return what trains a network fastest on this machine: what was found before, or what some steps show now.

    `network` names it and the part of it that is trained; `batch` are inputs, the mask of texts, and classes.
    A training that sees fewer than `WORTH` examples, counted in every epoch, goes on in float32 as long as nothing was
    found: it would not win back what the steps take.
    """
    machine = f"{processor()}; torch {torch.__version__}; {torch.get_num_threads()} threads"
    key = f"{machine}; {network}; {len(batch[0])} at a time"
    seconds = measured.find(key)
    if seconds is None:
        if examples < WORTH:
            return FLOAT32
        seconds = {str(kind): round(took, 5) for kind, took in measure(trained, *batch).items()}
        measured.keep(key, seconds)
        logger.info("%s; seconds of a step: %s", key, seconds)
    return fastest(seconds)


def fastest(seconds: Mapping[str, float]) -> Arithmetic:
    """Return the arithmetic of the shortest step, by its name; float32 unless another's is clearly shorter."""
    known = {kind: seconds[str(kind)] for kind in KINDS if str(kind) in seconds}
    best = min(known, key=lambda kind: known[kind], default=FLOAT32)
    return best if known and known[best] < CLEARLY * known.get(FLOAT32, 0.0) else FLOAT32


def measure(trained: nn.Module, value: Tensor, mask: Tensor | None, truth: Tensor) -> dict[Arithmetic, float]:
    """Return the seconds of the fastest of some steps on a batch, in each arithmetic; texts have no channels.

    Steps are taken by copies: neither the weights nor the random numbers of the training change. What is hopeless on a
    few examples is left out.
    """
    kinds = [kind for kind in KINDS if value.ndim == IMAGE_DIMENSIONS or not kind.channels_last]
    copies = {kind: copy.deepcopy(trained).train() for kind in kinds}
    for kind, network in copies.items():
        kind.lay_out(network)
    few = value[:TRIAL], None if mask is None else mask[:TRIAL], truth[:TRIAL]
    with torch.random.fork_rng(devices=[]):
        tried = _shortest_steps(copies, few, rounds=2)
        longest = HOPELESS * min(tried.values())
        hopeful = {
            kind: network for kind, network in copies.items() if kind == FLOAT32 or tried[kind] <= longest
        }
        return _shortest_steps(hopeful, (value, mask, truth), ROUNDS)


def _shortest_steps(
    copies: Mapping[Arithmetic, nn.Module], batch: tuple[Tensor, Tensor | None, Tensor], rounds: int
) -> dict[Arithmetic, float]:
    """Return the seconds of the fastest of some steps; the kinds take turns, so that others' load falls on all."""
    found: dict[Arithmetic, float] = {}
    for number in range(rounds + 1):
        for kind, network in copies.items():
            took = _step(kind, network, batch)
            if number:  # the first makes kernels ready
                found[kind] = min(took, found.get(kind, took))
    return found


def _step(kind: Arithmetic, network: nn.Module, batch: tuple[Tensor, Tensor | None, Tensor]) -> float:
    """Return the seconds of a pass forward and backward."""
    value, mask, truth = batch
    began = time.perf_counter()
    with kind.autocast(value.device):
        logits = network(value, mask)
    functional.cross_entropy(logits.float(), truth).backward()  # type: ignore[no-untyped-call]
    network.zero_grad(set_to_none=True)
    return time.perf_counter() - began
