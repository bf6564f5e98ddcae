"""Memory that a process has freed, given back to the system."""

import ctypes


def return_freed_memory() -> None:
    """Give the system what was freed: glibc keeps it, for each thread, and a bound on what is used bounds nothing."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries have none
    if trim is not None:
        trim(0)
