"""Arrays in files that are mapped into memory, for what is larger than a process may keep there.

What is read of such an array, or written to it, stays resident until the system wants the memory for something else.
`pieces` and `taken` read without that, and `forget` lets go of what others have read or written.
"""

import mmap
from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

PIECE = 8_192  # rows that are read at a time

Number = TypeVar("Number", bound=np.generic)


def forget(array: npt.NDArray[Any]) -> None:
    """Let go of the memory that a mapped file takes; what was written stays in it. Does nothing to other arrays."""
    source: object = array
    while isinstance(source, np.ndarray):
        source = source.base
    if isinstance(source, mmap.mmap):
        source.madvise(mmap.MADV_DONTNEED)


def blocks(count: int) -> Iterator[slice]:
    """Yield which of so many rows to read at a time."""
    for start in range(0, count, PIECE):
        yield slice(start, min(start + PIECE, count))


def pieces(array: npt.NDArray[Number]) -> Iterator[tuple[slice, npt.NDArray[Number]]]:
    """Yield some rows after the other with their places, in memory of these."""
    for rows in blocks(len(array)):
        yield rows, array[rows]
        forget(array)


def taken(array: npt.NDArray[Number], rows: npt.NDArray[np.int64]) -> npt.NDArray[Number]:
    """Return some rows, by their numbers, in memory of these."""
    found = np.empty((len(rows), *array.shape[1:]), array.dtype)
    for places in blocks(len(rows)):
        np.take(array, rows[places], 0, out=found[places], mode="clip")
        forget(array)
    return found
