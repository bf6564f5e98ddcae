"""Reader of a revision: examples out of several uploads, as its manifest says.

What was checked when it was uploaded is not checked again: an image is decoded when a network looks at it.
"""

import contextlib
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from models_registry.inputs import Corrections, DataError, Limits

from ..request import Shard
from .images import open_by_name
from .manifest import TEST, TRAIN, VALIDATION, Manifest
from .texts import read_text_table


@contextlib.contextmanager
def open_images(
    manifest: Manifest, shards: Sequence[Shard], limits: Limits
) -> Iterator[Callable[[int], bytes]]:
    """Open the archives; yields what reads an example by its row. Raises `DataError`."""
    named = _needed(manifest, shards)
    with contextlib.ExitStack() as stack:
        readers = {
            shard.sha256: stack.enter_context(
                open_by_name(Path(shard.path), limits, Corrections.from_json(shard.corrections))
            )
            for shard in named.values()
        }
        yield lambda row: _read_image(readers[manifest.shards[row]], manifest.places[row])


def _read_image(read: Callable[[str], bytes], place: str) -> bytes:
    try:
        return read(place)
    except KeyError:
        raise DataError(f"There is no {place} in the archive that the list of examples names.") from None


def read_texts(manifest: Manifest, shards: Sequence[Shard], limits: Limits) -> list[str]:
    """Return the text of each row; "" of those that are excluded. Raises `DataError`."""
    texts = [""] * len(manifest)
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, shard in enumerate(manifest.shards):
        if not manifest.excluded[row]:
            rows_of[shard].append(row)
    named = _needed(manifest, shards)
    for sha256, rows in rows_of.items():
        upload = named[sha256]
        columns, corrections = {"split": "", **upload.columns}, Corrections.from_json(upload.corrections)
        table = read_text_table(Path(upload.path), columns, limits, corrections).texts
        for row in rows:
            texts[row] = _text_at(table, manifest.places[row], manifest.digests[row])
    return texts


def text_digest(text: str) -> str:
    """Return what names a text: the SHA-256 of its bytes."""
    return hashlib.sha256(text.encode()).hexdigest()


def _text_at(table: Sequence[str], place: str, digest: str) -> str:
    text = table[int(place)] if place.isdecimal() and int(place) < len(table) else ""
    if text_digest(text) != digest:
        raise DataError(f"Row {place} of the upload is not the text that the list of examples names.")
    return text


def _needed(manifest: Manifest, shards: Sequence[Shard]) -> Mapping[str, Shard]:
    named = {shard.sha256: shard for shard in shards}
    missing = {
        shard for shard, excluded in zip(manifest.shards, manifest.excluded, strict=True) if not excluded
    } - named.keys()
    if missing:
        raise DataError(f"The upload {sorted(missing)[0]} that the list of examples names is not there.")
    return named


def usable_parts(manifest: Manifest) -> dict[int, str]:
    """Return the rows that can be trained with and their parts: "train", "valid" or "test".

    Parts stick: only where a class would have no example to learn, or none to measure it on, one moves. Copies of one
    example, and what shares a group, move together; a class of one example (and its copies) is left out. What no
    training has placed yet is trained on.
    """
    parts: dict[int, str] = {}
    members: dict[str, dict[str, dict[str, list[int]]]] = defaultdict(
        lambda: {TRAIN: defaultdict(list), VALIDATION: defaultdict(list)}
    )
    for row in range(len(manifest)):
        if manifest.excluded[row]:
            continue
        if manifest.splits[row] == TEST:
            parts[row] = "test"
            continue
        split = manifest.splits[row] or TRAIN
        members[manifest.labels[row]][split][manifest.groups[row] or manifest.digests[row]].append(row)
    for bundles in members.values():
        _settle(bundles[TRAIN], bundles[VALIDATION])
        if not bundles[TRAIN] or not bundles[VALIDATION]:
            continue
        parts.update({row: "train" for rows in bundles[TRAIN].values() for row in rows})
        parts.update({row: "valid" for rows in bundles[VALIDATION].values() for row in rows})
    return dict(sorted(parts.items()))


def _settle(train: dict[str, list[int]], validation: dict[str, list[int]]) -> None:
    """Let every class have an example on both sides, if it has two that differ."""
    for digest in train.keys() & validation.keys():  # a copy of what is learnt measures nothing
        train[digest] += validation.pop(digest)
    for poor, rich in ((train, validation), (validation, train)):
        if not poor and len(rich) > 1:
            digest = min(rich)
            poor[digest] = rich.pop(digest)
