import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[5]

PROBE = """
import os, socket, sys, threading
sys.path.append(sys.argv[1])
from models_registry.artifacts.sandbox.isolation import allow_cpu_seconds, close_files, leave_network
without_network = leave_network()
close_files(64 << 20)
def attempt(name, work):
    try:
        work()
    except (OSError, RuntimeError, MemoryError) as error:
        print(name, type(error).__name__)
    else:
        print(name, "worked")
attempt("open", lambda: open("/etc/passwd"))
attempt("itself", lambda: open("/proc/self/environ"))
attempt("descriptor", lambda: os.dup(0))
attempt("socket", socket.socket)
attempt("memory", lambda: bytearray(128 << 20))
attempt("little_memory", lambda: bytearray(16 << 20))
attempt("folder", os.getcwd)
print("network", "gone" if without_network else "there")
sys.stdout.flush()
allow_cpu_seconds(0)
while True:
    pass
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_what_a_sandbox_gave_up_is_gone() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", PROBE, str(ROOT)],
        env={"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -24, f"SIGXCPU ends what does not end itself: {done.stderr}"
    found = dict(line.split() for line in done.stdout.splitlines())
    del found["network"]
    assert found == {
        "open": "OSError",
        "itself": "OSError",
        "descriptor": "OSError",
        "socket": "OSError",
        "memory": "MemoryError",
        "little_memory": "worked",
        "folder": "FileNotFoundError",
    }


NETWORK = """
import socket, sys
sys.path.append(sys.argv[1])
from models_registry.artifacts.sandbox.isolation import leave_network
if not leave_network():
    sys.exit("not permitted here")
try:
    socket.create_connection(("127.0.0.1", int(sys.argv[2])), timeout=5)
except OSError as error:
    print(error.strerror)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces of Linux")
def test_network_is_out_of_reach() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = subprocess.run(
            [sys.executable, "-I", "-c", NETWORK, str(ROOT), str(server.getsockname()[1])],
            env={"OPENBLAS_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    if "not permitted" in done.stderr:
        pytest.skip("this system does not let processes leave the network")
    assert done.stdout.strip() == "Network is unreachable", done.stderr
