"""Where half the digits (bfloat16) are faster: on GPUs, and on processors with tiles for matrices (AMX).

Weights, their updates and all figures stay in float32; only what is computed in between is rounded.
"""

from functools import cache
from pathlib import Path

import torch
from torch import nn

CPUINFO = Path("/proc/cpuinfo")
WIDEST = 3  # depthwise kernels wider than this have no fast path on processors: twice the time, not half


@cache
def has_matrix_tiles() -> bool:
    """Say whether this processor multiplies bfloat16 matrices in hardware."""
    try:
        return "amx_bf16" in CPUINFO.read_text().split()
    except OSError:
        return False


def half_pays(device: torch.device, trained: nn.Module) -> bool:
    """Say whether training these layers in bfloat16 is faster than in float32 on a device."""
    if device.type == "cuda":
        return True
    return has_matrix_tiles() and not any(_is_slow(layer) for layer in trained.modules())


def _is_slow(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Conv2d):
        return layer.groups > 1 and max(layer.kernel_size) > WIDEST
    return isinstance(layer, nn.RNNBase)
