import re
from pathlib import Path

import numpy as np
import pytest

from training.engine import mapped_arrays
from training.engine.loop.inputs import shared_array
from training.engine.mapped_arrays import forget, pieces, taken

ROWS, COLUMNS = 64, 65_536  # 16 MB
MEGABYTE = 1 << 20


def resident() -> int:
    """Return how many bytes of mapped files this process has in memory."""
    found = re.findall(r"Rss(?:File|Shmem):\s+(\d+) kB", Path("/proc/self/status").read_text())
    return 1024 * sum(map(int, found))


@pytest.fixture
def array(tmp_path: Path) -> np.ndarray:
    values = shared_array(tmp_path, (ROWS, COLUMNS), np.float32)
    values[:] = np.arange(ROWS)[:, None]
    return values


def test_what_is_forgotten_takes_no_memory_and_is_still_there(array: np.ndarray) -> None:
    before = resident()
    forget(array[3:5])
    assert before - resident() > 12 * MEGABYTE
    assert (array.mean(1) == np.arange(ROWS)).all()


def test_array_in_memory_cannot_be_forgotten() -> None:
    values = np.arange(9)
    forget(values)
    assert (values == np.arange(9)).all()


def test_pieces_are_read_in_memory_of_one(array: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped_arrays, "PIECE", 10)
    forget(array)
    before, places = resident(), []
    for rows, piece in pieces(array):
        assert (piece.mean(1) == np.arange(ROWS)[rows]).all()
        places += range(ROWS)[rows]
        assert resident() - before < 8 * MEGABYTE
    assert places == list(range(ROWS))


def test_rows_are_taken_in_memory_of_them(array: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped_arrays, "PIECE", 10)
    forget(array)
    before, wanted = resident(), np.array([5, 63, 0, 5, 17])
    found = taken(array, wanted)
    assert (found == wanted[:, None]).all()
    assert type(found) is np.ndarray
    assert resident() - before < 4 * MEGABYTE
