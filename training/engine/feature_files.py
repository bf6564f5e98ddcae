"""Files with the features of examples, so that no photo and no text is looked at twice.

A file is a NumPy array of records (`.npy`, without pickles), which is read through a memory map: the SHA-256 of an
example, its features, of photos the features of other views, where there are, and a sketch, and of texts the features
of the whole, where some are longer than what a network reads at a time. Files are never
changed: what is new becomes a further one, and several are merged into one.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .mapped_arrays import forget

DIGEST, FEATURES, VIEWS, SKETCH, WHOLE = "digest", "features", "views", "sketch", "whole"
AT_ONCE = 4_096  # records that are copied at a time

Records = npt.NDArray[np.void]
Columns = Mapping[str, npt.NDArray[np.generic]]


def record_type(columns: Columns) -> np.dtype[np.void]:
    """Return the type of records that hold a row of each column beside a digest."""
    fields: list[tuple[str, np.dtype[np.generic], tuple[int, ...]]] = [(DIGEST, np.dtype("V32"), ())]
    fields += [(name, values.dtype, values.shape[1:]) for name, values in columns.items()]
    return np.dtype(fields)


def open_records(path: Path) -> Records:
    """Return the records of a file, through a memory map. Raises `ValueError` or `OSError` for another file."""
    try:
        records: Records = np.load(path, mmap_mode="r", allow_pickle=False)
    except EOFError as error:
        raise ValueError(f"{path.name} is cut off.") from error
    names = records.dtype.names or ()
    if records.ndim != 1 or DIGEST not in names or FEATURES not in names:
        raise ValueError(f"{path.name} holds no features.")
    return records


def digests_of(records: Records) -> Iterator[bytes]:
    """Yield the digest of each record."""
    for start in range(0, len(records), AT_ONCE):
        yield from (digest.tobytes() for digest in records[DIGEST][start : start + AT_ONCE])
        forget(records)


def write_records(path: Path, digests: Sequence[str], columns: Columns, rows: npt.NDArray[np.int64]) -> None:
    """Write some rows of columns under their digests (hexadecimal; one for each of `rows`)."""
    kind = record_type(columns)
    target = np.lib.format.open_memmap(path, "w+", kind, (len(rows),))
    for start in range(0, len(rows), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        joined = b"".join(map(bytes.fromhex, digests[some]))
        target[DIGEST][some] = np.frombuffer(joined, "V32")
        for name, values in columns.items():
            target[name][some] = values[rows[some]]
            forget(values)
        forget(target)
    target.flush()


def merge_files(
    paths: Sequence[Path], target: Path, wanted: Callable[[bytes], bool], check: Callable[[], None]
) -> int:
    """Write the records of files whose digests are wanted into one, each digest once; returns how many.

    Of files whose records differ in kind, those like the last one's count. `check` may raise to stop.
    """
    files = [open_records(path) for path in paths]
    alike = [records for records in files if records.dtype == files[-1].dtype]
    seen: set[bytes] = set()
    chosen = [_chosen(records, wanted, seen) for records in reversed(alike)]
    count = sum(map(len, chosen))
    if not count:
        return 0
    merged = np.lib.format.open_memmap(target, "w+", files[-1].dtype, (count,))
    place = 0
    for records, rows in zip(reversed(alike), chosen, strict=True):
        for start in range(0, len(rows), AT_ONCE):
            check()
            some = rows[start : start + AT_ONCE]
            merged[place : place + len(some)] = records[some]
            place += len(some)
            forget(records)
            forget(merged)
    merged.flush()
    return count


def _chosen(records: Records, wanted: Callable[[bytes], bool], seen: set[bytes]) -> npt.NDArray[np.int64]:
    rows = []
    for row, digest in enumerate(digests_of(records)):
        if digest not in seen and wanted(digest):
            seen.add(digest)
            rows.append(row)
    return np.array(rows, np.int64)


def matching_rows(
    records: Records, places: Mapping[bytes, Collection[int]]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return which places (of each digest, those where it is wanted) have a record, and the rows of these records."""
    found = [
        (place, row) for row, digest in enumerate(digests_of(records)) for place in places.get(digest, ())
    ]
    pairs = np.array(found, np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]
