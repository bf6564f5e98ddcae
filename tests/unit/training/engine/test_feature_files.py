import hashlib
from pathlib import Path

import numpy as np
import pytest

from training.engine.feature_files import (
    FEATURES,
    SKETCH,
    digests_of,
    matching_rows,
    merge_files,
    open_records,
    write_records,
)


def digest(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def write(path: Path, numbers: list[int], width: int = 4) -> Path:
    """Write features of examples that are their numbers, out of a table that has others as well."""
    rows = np.array(numbers, np.int64)
    features = np.repeat(np.arange(20, dtype=np.float32)[:, None], width, axis=1)
    columns = {FEATURES: features, SKETCH: features.astype(np.uint8)}
    write_records(path, [digest(number) for number in numbers], columns, rows)
    return path


def test_what_is_written_is_found_again(tmp_path: Path) -> None:
    records = open_records(write(tmp_path / "a.npy", [3, 1, 7]))
    assert isinstance(records, np.memmap)
    places = {bytes.fromhex(digest(7)): [0, 5], bytes.fromhex(digest(9)): [1], bytes.fromhex(digest(3)): [2]}
    found, rows = matching_rows(records, places)
    assert dict(zip(found.tolist(), records[FEATURES][rows][:, 0].tolist(), strict=True)) == {
        0: 7,
        5: 7,
        2: 3,
    }
    assert records[SKETCH][rows].dtype == np.uint8


def test_merging_keeps_what_is_wanted_once(tmp_path: Path) -> None:
    paths = [
        write(tmp_path / "other.npy", [9], width=3),
        write(tmp_path / "a.npy", [1, 2]),
        write(tmp_path / "b.npy", [2, 3, 4]),
    ]
    wanted = {bytes.fromhex(digest(number)) for number in (1, 2, 4, 9)}
    target = tmp_path / "merged.npy"
    assert merge_files(paths, target, wanted.__contains__, lambda: None) == 3
    records = open_records(target)
    assert sorted(records[FEATURES][:, 0].tolist()) == [1, 2, 4]
    assert set(digests_of(records)) == {bytes.fromhex(digest(number)) for number in (1, 2, 4)}


def test_merging_may_leave_nothing(tmp_path: Path) -> None:
    paths = [write(tmp_path / "a.npy", [1])]
    assert merge_files(paths, tmp_path / "merged.npy", lambda _: False, lambda: None) == 0


@pytest.mark.parametrize("content", [b"", b"no array", b"pickle"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.npy"
    if content == b"pickle":
        np.save(path, np.array([object()]), allow_pickle=True)
    else:
        path.write_bytes(content)
    with pytest.raises((ValueError, OSError)):
        open_records(path)
    np.save(path, np.zeros((3, 2)))
    with pytest.raises(ValueError, match="holds no features"):
        open_records(path)
