from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from training.engine.data import DataError
from training.engine.data.manifest import Manifest, read_manifest, write_manifest
from training.engine.data.revision import usable_parts


def manifest_of(*rows: tuple[str, str, str]) -> Manifest:
    """Return a manifest of rows of digest, label and split."""
    digests, labels, splits = zip(*rows, strict=True)
    return Manifest.of_upload("5" * 64, [str(row) for row in range(len(rows))], digests, labels, splits)


def test_manifest_comes_back_as_it_was_written(tmp_path: Path) -> None:
    manifest = manifest_of(("a", "rose", "train"), ("b", "Lilie ☘", ""), ("c", "rose", "test"))
    manifest = replace(manifest, excluded=np.array([False, True, False]))
    write_manifest(tmp_path / "m.parquet", manifest)
    found = read_manifest(tmp_path / "m.parquet")
    for name, values in manifest.columns().items():
        assert list(found.columns()[name]) == list(values), name


def test_other_files_are_no_manifest(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    path.write_bytes(b"no table")
    with pytest.raises(DataError, match="no list of examples"):
        read_manifest(path)
    table = manifest_of(("a", "rose", "train")).table()
    odd = table.set_column(4, "split", pyarrow.array(["sometimes"]))
    pyarrow.parquet.write_table(odd, path)
    with pytest.raises(DataError, match="'sometimes' is no part"):
        read_manifest(path)


def test_parts_stick() -> None:
    manifest = manifest_of(
        ("a", "x", "train"), ("b", "x", "validation"), ("c", "x", "test"), ("d", "x", "train"), ("e", "x", "")
    )
    assert usable_parts(manifest) == {0: "train", 1: "valid", 2: "test", 3: "train", 4: "train"}


def test_excluded_rows_have_no_part() -> None:
    manifest = manifest_of(("a", "x", "train"), ("b", "x", "validation"), ("c", "x", "train"))
    manifest = replace(manifest, excluded=np.array([False, False, True]))
    assert usable_parts(manifest) == {0: "train", 1: "valid"}


def test_class_without_a_part_gets_one_of_the_other() -> None:
    assert usable_parts(manifest_of(("b", "x", "validation"), ("a", "x", "validation"))) == {
        0: "valid",
        1: "train",
    }
    assert usable_parts(manifest_of(("b", "x", "train"), ("a", "x", "train"))) == {0: "train", 1: "valid"}


def test_class_of_copies_alone_is_left_out() -> None:
    assert usable_parts(manifest_of(("a", "x", "train"), ("a", "x", "validation"))) == {}


def test_copy_of_what_is_learnt_measures_nothing() -> None:
    manifest = manifest_of(("a", "x", "train"), ("a", "x", "validation"), ("b", "x", "validation"))
    assert usable_parts(manifest) == {0: "train", 1: "train", 2: "valid"}
