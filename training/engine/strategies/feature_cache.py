"""Features that earlier trainings of a project have computed with the same network, on the same kind of machine."""

import contextlib
import hashlib
import logging
from collections import defaultdict
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models_registry.artifacts.sessions import uses_gpu

from ..examples import Examples
from ..feature_files import (
    AT_ONCE,
    FEATURES,
    Columns,
    Records,
    digests_of,
    matching_rows,
    open_records,
    write_records,
)
from ..mapped_arrays import forget
from ..networks.backbones import PreparedBackbone
from ..request import FeatureSource, TrainingRequest

logger = logging.getLogger(__name__)

FORMAT = 1  # raised when features change that have the same versions of everything
LIBRARIES = ("onnxruntime", "onnxruntime-gpu", "numpy", "pillow", "tokenizers")


class FeatureCache:
    """The features that a request brings along, and the file that takes those that are new."""

    def __init__(self, request: TrainingRequest, *, writes: bool) -> None:
        self._sources = request.features
        self._target = Path(request.output_dir) if writes else None
        self._opened: list[Records] = []
        self.fingerprint = ""
        self.written = ""
        """The name of the file with what is new, in the request's output folder; empty: nothing is."""

    def open(self, backbone: PreparedBackbone, views: object, *, in_eight_bits: bool = False) -> None:
        """Open the files whose features this backbone gives here; `views` says how else it sees an example.

        A file that cannot be read is left out.
        """
        self.fingerprint = fingerprint(backbone, views, in_eight_bits=in_eight_bits)
        self._opened = [records for source in self._sources if (records := self._records(source)) is not None]

    @property
    def is_open(self) -> bool:
        """Whether a file that was opened has some of the features."""
        return bool(self._opened)

    def dimension(self) -> int | None:
        """Return the width of the features; None: no file knows."""
        return int(self._opened[0].dtype[FEATURES].shape[0]) if self._opened else None

    def restore(self, examples: Examples, columns: Columns) -> set[int]:
        """Write what is known into the columns, which have a row for each example; returns whose it is."""
        if not self._opened:
            return set()
        places: dict[bytes, list[int]] = defaultdict(list)
        for place, row in enumerate(examples.rows):
            places[bytes.fromhex(examples.manifest.digests[row])].append(place)
        known: set[int] = set()
        for records in self._fitting(columns):
            found, rows = matching_rows(records, places)
            _copy(records, rows, columns, found)
            known.update(found.tolist())
        return known

    def save(self, examples: Examples, columns: Columns, computed: Iterable[int]) -> None:
        """Write the rows of the examples that were computed now and are in no file."""
        if self._target is None:
            return
        stored = {digest for records in self._fitting(columns) for digest in digests_of(records)}
        new: dict[str, int] = {}
        for place in computed:
            digest = examples.manifest.digests[examples.rows[place]]
            if bytes.fromhex(digest) not in stored:
                new.setdefault(digest, place)
        if new:
            self.written = "features.npy"
            write_records(self._target / self.written, [*new], columns, np.array([*new.values()], np.int64))

    def _fitting(self, columns: Columns) -> list[Records]:
        """Return the files that have all of these columns."""
        return [
            records
            for records in self._opened
            if all(_fits(records, name, values) for name, values in columns.items())
        ]

    def _records(self, source: FeatureSource) -> Records | None:
        if source.fingerprint != self.fingerprint:
            return None
        try:
            return open_records(Path(source.path))
        except (OSError, ValueError) as error:
            logger.warning("Features cannot be read and are computed anew: %s", error)
            return None


def fingerprint(backbone: PreparedBackbone, views: object, *, in_eight_bits: bool = False) -> str:
    """Return a digest of all that decides the features of an example: network, preprocessing and arithmetic."""
    versions = []
    for name in LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            versions.append((name, version(name)))
    arithmetic = "int8" if in_eight_bits else "cuda" if uses_gpu() else "cpu"
    parts = (FORMAT, backbone.folder.name, arithmetic, views, *versions)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _fits(records: Records, name: str, values: npt.NDArray[np.generic]) -> bool:
    names = records.dtype.names or ()
    return name in names and records.dtype[name] == np.dtype((values.dtype, values.shape[1:]))


def _copy(
    records: Records,
    rows: npt.NDArray[np.int64],
    columns: Columns,
    places: npt.NDArray[np.int64],
) -> None:
    for start in range(0, len(rows), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        block = records[rows[some]]
        for name, values in columns.items():
            values[places[some]] = block[name]
            forget(values)
        forget(records)
