"""What a call costs in memory and time, measured in a process of its own."""

import importlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DEADLINE = 120  # seconds


@dataclass(frozen=True)
class Cost:
    """What a call returned (as JSON has it) or raised, how long it took, by how much the process grew meanwhile."""

    result: Any
    error: str
    seconds: float
    peak_growth: int  # bytes


def cost_of(call: Callable[..., Any], *arguments: Any) -> Cost:
    """Make a call of a module's function in a new process. Arguments and result have to be plain values."""
    command = [
        sys.executable,
        "-m",
        "devtools.costs",
        call.__module__,
        call.__qualname__,
        json.dumps(arguments),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE, check=True)
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def _memory(name: str) -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition(f"{name}:")[2].split()[0]) * 1024


def _main(module: str, name: str, arguments: str) -> None:
    call = getattr(importlib.import_module(module), name)
    before, began = _memory("VmRSS"), time.perf_counter()
    result, error = None, ""
    try:
        result = call(*json.loads(arguments))
    except Exception as raised:
        error = f"{type(raised).__name__}: {raised}"
    cost = Cost(result, error, time.perf_counter() - began, _memory("VmHWM") - before)
    print(json.dumps(cost.__dict__))


if __name__ == "__main__":
    _main(*sys.argv[1:])
