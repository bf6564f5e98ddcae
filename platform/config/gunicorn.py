"""How gunicorn serves the pages and the REST API."""

import gc
import os
import shutil
import tempfile
from typing import Any

MOST = 8  # processes; each keeps models of its own in memory

bind = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
worker_class = "gthread"
# Python runs one thread of a process at a time, so that a process for each core predicts more. Processes that share
# no cache would each count requests for themselves, and let through that many times what a limit says.
cores = len(os.sched_getaffinity(0))
workers = int(os.environ.get("WEB_CONCURRENCY", min(cores, MOST) if os.environ.get("CACHE_URL") else 1))
# Connections do not come evenly: each process may run one prediction more than its share of the cores.
os.environ.setdefault("PREDICTOR_SLOTS", str(cores if workers == 1 else cores // workers + 1))
threads = int(os.environ.get("WEB_THREADS", "8"))
timeout = 120
graceful_timeout = 20
accesslog = None
loglevel = "warning"
control_socket_disable = True

# The processes share their metrics in files; prometheus_client looks for the folder when it is imported.
_metrics = tempfile.mkdtemp(prefix="trainyard-metrics-")
os.environ["PROMETHEUS_MULTIPROC_DIR"] = _metrics


def post_worker_init(worker: Any) -> None:
    """Let the collector of garbage pass over what lasts as long as the process: it takes longer than requests."""
    gc.collect()
    gc.freeze()


def child_exit(server: Any, worker: Any) -> None:
    """Forget what an ended process said about itself; what it counted stays."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)


def on_exit(server: Any) -> None:
    """Remove the shared files."""
    shutil.rmtree(_metrics, ignore_errors=True)
