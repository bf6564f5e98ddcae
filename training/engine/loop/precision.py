"""Where half the digits (bfloat16) are faster: on GPUs, and on processors that multiply them in hardware.

On those with tiles for matrices (AMX) that halves the time of the last stages, on those with AVX-512's instructions
for them it takes a third or more off.

Weights, their updates and all figures stay in float32; only what is computed in between is rounded.
"""

from functools import cache
from pathlib import Path

import torch
from torch import nn

CPUINFO = Path("/proc/cpuinfo")
MULTIPLIES = {"amx_bf16", "avx512_bf16"}  # the processor's features of which any is enough
WIDEST = 3  # depthwise kernels wider than this have no fast path on processors: twice the time, not half


@cache
def multiplies_in_hardware() -> bool:
    """Say whether this processor multiplies bfloat16 numbers in hardware."""
    try:
        return not MULTIPLIES.isdisjoint(CPUINFO.read_text().split())
    except OSError:
        return False


def half_pays(device: torch.device, trained: nn.Module) -> bool:
    """Say whether training these layers in bfloat16 is faster than in float32 on a device."""
    if device.type == "cuda":
        return True
    return multiplies_in_hardware() and not any(_is_slow(layer) for layer in trained.modules())


def _is_slow(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Conv2d):
        return layer.groups > 1 and max(layer.kernel_size) > WIDEST
    return isinstance(layer, nn.RNNBase)
