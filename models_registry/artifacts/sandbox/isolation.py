"""What a sandbox gives up before it sees a model; every step is for good.

Linux only where it says so; elsewhere those steps are left out.
"""

import contextlib
import ctypes
import os
import resource
import signal
import sys
import tempfile
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38  # linux/prctl.h
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000  # linux/sched.h
NEVER = resource.RLIM_INFINITY


def leave_network() -> bool:
    """Die with the parent, gain no rights, and lose the network; says whether that last thing worked.

    Has to come before anything that starts a thread: a process of several threads may not leave its users.
    """
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    # In a user namespace of its own a process may make itself a network without any device. Containers
    # and hardened kernels often forbid the one; who is root may do the other without it.
    return any(libc.unshare(flags) == 0 for flags in (CLONE_NEWUSER | CLONE_NEWNET, CLONE_NEWNET))


def close_files(memory: int) -> None:
    """Go to an empty folder, and never again open a file, start a thread or take more than `memory` bytes.

    The bytes are those beside what is mapped already, which for the libraries is mostly not in memory.
    """
    folder = tempfile.mkdtemp(prefix="trainyard-sandbox-")
    os.chdir(folder)
    os.rmdir(folder)  # noqa: PTH106 - nothing can be made in a folder that is gone
    _set_limit(resource.RLIMIT_AS, _mapped_bytes() + memory)
    _set_limit(resource.RLIMIT_CORE, 0)
    _set_limit(resource.RLIMIT_FSIZE, 0)
    _set_limit(resource.RLIMIT_NPROC, 0)
    _set_limit(resource.RLIMIT_NOFILE, 0)  # the files that are open stay so


def allow_cpu_seconds(seconds: float) -> None:
    """Let this process run so much longer, and no more, in case its parent cannot end it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = int(used.ru_utime + used.ru_stime + seconds) + 2
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (most, NEVER))


def _set_limit(kind: int, most: int) -> None:
    with contextlib.suppress(ValueError, OSError):  # a lower one is set already, or there is none here
        resource.setrlimit(kind, (most, most))


def _mapped_bytes() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return 0
    return pages * resource.getpagesize()
