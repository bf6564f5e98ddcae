"""Examples that are like one of a project, by the directions that its newest training left (`engine.seen_examples`)."""

import tempfile
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from django.conf import settings

from bucket.kept_files import provide, prune
from core.exceptions import InvalidRequest

from ..engine.seen_examples import SCALE, read_directions
from .models import Example, Findings

MOST = 100  # examples of an answer
KEPT_BYTES = 2**30  # of files of findings, on this machine
KEPT_PROJECTS = 4  # whose directions a process keeps; 100,000 examples take 10 MB
BLOCK = 16_384  # directions that are compared at a time


class Similar(NamedTuple):
    """An example and how alike it is, the cosine: 1 is the same, 0 unrelated."""

    example: Example
    likeness: float


class _Directions(NamedTuple):
    """Directions, N × axes in eight bits, and the digests of the examples, hexadecimal in ASCII."""

    digests: npt.NDArray[np.bytes_]
    values: npt.NDArray[np.int8]

    def nearest(self, digest: str, count: int) -> list[tuple[str, float]]:
        """Return the digests most like one, each with its cosine, the most alike first; none of an unknown one."""
        places = np.flatnonzero(self.digests == digest.encode())
        if not len(places):
            return []
        wanted = self.values[places[0]].astype(np.float32) / np.float32(SCALE**2)
        blocks = [self.values[start : start + BLOCK] for start in range(0, len(self.values), BLOCK)]
        alike = np.concatenate([block.astype(np.float32) @ wanted for block in blocks])
        alike[places] = -2
        best = np.argpartition(-alike, min(count, len(alike) - 1))[:count]
        best = best[np.argsort(-alike[best], kind="stable")]
        return [(self.digests[row].decode(), float(alike[row])) for row in best if alike[row] > -2]


def similar_to(example: Example, count: int = 12) -> list[Similar]:
    """Return the examples most like one, the most alike first, without those that are excluded.

    Raises `InvalidRequest` for one that no training has seen yet, `BucketError`.
    """
    findings = Findings.objects.filter(project=example.project_id, applied_at__isnull=False).first()
    nearest = _directions(findings).nearest(example.sha256, min(count, MOST)) if findings else []
    if not nearest:
        raise InvalidRequest("No training has looked at this example yet. Train again, then ask once more.")
    alike = dict(nearest)
    rows = Example.objects.filter(project=example.project_id, sha256__in=alike, excluded=False)
    found = [Similar(row, alike[row.sha256]) for row in rows.order_by("id")]
    return sorted(found, key=lambda one: -one.likeness)[:count]


def _directions(findings: Findings) -> _Directions:
    return _read(findings.key, findings.sha256, findings.size)


@lru_cache(maxsize=KEPT_PROJECTS)
def _read(key: str, sha256: str, size: int) -> _Directions:
    kept = Path(settings.HOME, "findings")
    with tempfile.TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR) as folder:
        path = Path(folder, "examples.parquet")
        provide(key, path, kept, sha256=sha256, size=size)
        prune(kept, KEPT_BYTES)
        digests, values = read_directions(path)
    return _Directions(np.array(digests, np.bytes_), values)
