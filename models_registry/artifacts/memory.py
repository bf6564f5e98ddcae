"""How glibc deals with memory that a process has freed. With other C libraries nothing here does anything."""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # mallopt(3)


def return_freed_memory() -> None:
    """Give the system what was freed: glibc keeps it, for each thread, and a bound on what is used bounds nothing."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def set_malloc(*, map_from: int, trim_from: int | None = None, arenas: int | None = None) -> None:
    """Map what has so many bytes or more by itself, so that it goes back to the system when it is freed.

    `trim_from` is from how many free bytes at its end on a heap is made smaller, `arenas` how many heaps there are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    options = {M_MMAP_THRESHOLD: map_from, M_TRIM_THRESHOLD: trim_from, M_ARENA_MAX: arenas}
    for option, value in options.items():
        if mallopt is not None and value is not None:
            mallopt(option, value)
