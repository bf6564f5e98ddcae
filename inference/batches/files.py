"""The keys of a batch's files, all below one folder that is deleted as a whole."""

from bucket.factory import get_bucket
from documents.drift import KnownFiles

from .models import Batch

BATCHES = "inference/batches/"


def folder_of(batch: Batch) -> str:
    """Return a batch's folder, with a slash at its end."""
    return f"{BATCHES}{batch.identifier}/"


def source_key(batch: Batch) -> str:
    """Return the key of its inputs, with a known suffix and nothing else of the uploaded file's name."""
    return f"{folder_of(batch)}input{batch.suffix}"


def part_key(batch: Batch, attempt: int, start: int) -> str:
    """Return where the lines of a portion lie that begins with input `start`.

    Each attempt has a folder of its own: one that lost its lease and does not know cannot disturb another.
    """
    return f"{folder_of(batch)}parts/{attempt}/{start:09}.csv"


def parts_of(batch: Batch) -> list[str]:
    """Return the keys of the portions that make up what is done, in order."""
    keys, bucket = [], get_bucket()
    for attempt, first, end in batch.parts:
        written = {key for key, _ in bucket.list(f"{folder_of(batch)}parts/{attempt}/")}
        keys += sorted(
            key for key in written if part_key(batch, attempt, first) <= key < part_key(batch, attempt, end)
        )
    return keys


def tidy(batch: Batch) -> int:
    """Delete everything of a batch that has ended but its result; returns how many files."""
    kept = batch.result_key if batch.state == Batch.State.SUCCEEDED else ""
    if not kept:
        return get_bucket().delete_folder(folder_of(batch))
    bucket, deleted = get_bucket(), 0
    for key, _ in list(bucket.list(folder_of(batch))):
        if key != kept:
            bucket.delete(key)
            deleted += 1
    return deleted


def known_files() -> KnownFiles:
    """Return the files that the table expects: inputs of unfinished batches, results of those that succeeded."""
    batches = Batch.objects.only("identifier", "state", "suffix", "size", "result_key", "result_size")
    files: dict[str, int] = {}
    for batch in batches:
        if not batch.is_final:
            files[source_key(batch)] = batch.size
        elif batch.result_key:
            files[batch.result_key] = batch.result_size or 0
    return KnownFiles(files, tuple(folder_of(batch) for batch in batches))
