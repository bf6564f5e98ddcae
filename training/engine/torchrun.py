"""Train on several devices: torchrun starts a rank for each, and their events pass through here.

Nothing here imports torch. The ranks read this process's wishes from their standard input, which ends
when this process does, however that comes about; so nothing of a training outlives its worker.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from .events import Event, FailureEvent, FindingsEvent, ResultEvent, event_from_json
from .request import TrainingRequest

ROOT = Path(__file__).resolve().parents[2]
POLL = 0.1  # seconds


def relay(request: TrainingRequest, emit: Callable[[Event], None], stopping: threading.Event) -> bool:
    """Run a training on all of its devices and pass its events on; says whether it succeeded.

    Raises SystemExit when a rank dies without a word, as a process does that trains alone.
    """
    count = len(request.devices)
    description = Path(request.output_dir, "request.json")
    description.write_text(json.dumps(request.to_json()), encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    command += ["-m", "training.engine.run", str(description), "--listen"]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=_environment(request, count),
        text=True,
        encoding="utf-8",
    )
    threading.Thread(target=_pass_on_wish, args=(process, stopping), name="stop", daemon=True).start()
    last: Event | None = None
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):
            last = event_from_json(json.loads(line))
            emit(last)
    code = process.wait()
    if isinstance(last, ResultEvent | FindingsEvent | FailureEvent):
        return not isinstance(last, FailureEvent)
    raise SystemExit(code or 1)


def _environment(request: TrainingRequest, count: int) -> dict[str, str]:
    """Return the ranks' environment; they are all on this machine, and meet on its own interface."""
    threads = request.threads or len(os.sched_getaffinity(0))
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {
        "GLOO_SOCKET_IFNAME": "lo",
        "NCCL_SOCKET_IFNAME": "lo",
        **os.environ,
        "PYTHONPATH": path,
        "OMP_NUM_THREADS": str(max(1, threads // count)),
    }


def _pass_on_wish(process: "subprocess.Popen[str]", stopping: threading.Event) -> None:
    """Tell the first rank when somebody wants the training to stop."""
    assert process.stdin is not None
    while process.poll() is None:
        if stopping.wait(POLL):
            try:
                process.stdin.write("stop\n")
                process.stdin.flush()
            except OSError:  # it ended in this moment
                pass
            return
