"""How gunicorn serves the pages and the REST API."""

import gc
import os
import shutil
import tempfile
from typing import Any

MOST = 8  # processes; each keeps models of its own in memory
MALLOC = {"map_from": 32 * 2**20, "trim_from": 512 * 2**20, "arenas": 2}

bind = f"{os.environ.get('HOST') or '127.0.0.1'}:{os.environ.get('PORT') or '8000'}"
worker_class = "config.web_worker.WebWorker"
# Python runs one thread of a process at a time, so that a process for each core predicts more. Processes that share
# no cache would each count requests for themselves, and let through that many times what a limit says.
cores = len(os.sched_getaffinity(0))
workers = int(os.environ.get("WEB_CONCURRENCY", min(cores, MOST) if os.environ.get("CACHE_URL") else 1))
# A prediction beside another on the same core only pushes the other's weights out of its cache.
os.environ.setdefault("PREDICTOR_SLOTS", str(max(1, cores // workers)))
threads = int(os.environ.get("WEB_THREADS", "8"))
timeout = 120
graceful_timeout = 20
accesslog = None
loglevel = "warning"
control_socket_disable = True

# The processes share their metrics in files; prometheus_client looks for the folder when it is imported.
_metrics = tempfile.mkdtemp(prefix="trainyard-metrics-")
os.environ["PROMETHEUS_MULTIPROC_DIR"] = _metrics


def post_worker_init(worker: object) -> None:
    """Let the collector of garbage pass over what lasts as long as the process: it takes longer than requests."""
    gc.collect()
    gc.freeze()
    _keep_freed_memory()


def _keep_freed_memory() -> None:
    """Let what a prediction frees be there for the next one.

    glibc would give a photo's buffers back to the system, which maps and clears them anew for the next photo,
    and have an arena for each thread. What models free goes back all the same: whoever evicts them asks for that.
    """
    from models_registry.artifacts.memory import set_malloc

    set_malloc(**MALLOC)


def child_exit(server: Any, worker: Any) -> None:
    """Forget what an ended process said about itself; what it counted stays."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)


def on_exit(server: object) -> None:
    """Remove the shared files."""
    shutil.rmtree(_metrics, ignore_errors=True)
