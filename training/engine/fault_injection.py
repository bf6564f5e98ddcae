"""Named places where a test can make the process die as if it were killed.

The variable `FAULT` names one, as "name" or as "name:n" for its n-th passing; the process then ends
at once, with nothing flushed or cleaned up. Without the variable a passing costs a look at a constant.
"""

import os
from collections import Counter

CRASH_POINTS = (
    "features.chunk",  # a piece of the features is on disk and told
    "features.done",
    "fit.done",
    "train.begin",  # before the first epoch
    "epoch.begin",
    "epoch.middle",
    "checkpoint.write",  # a checkpoint's temporary file is written, not yet in its place
    "checkpoint.replace",  # it is in its place, but nobody knows yet
    "checkpoint.told",
    "train.done",
    "export.onnx",
    "export.done",
    "verify.done",
)
EXIT_CODE = 86

_passed: Counter[str] = Counter()


def crash_point(name: str) -> None:
    """Die here if the environment asks for it."""
    wanted = os.environ.get("FAULT")
    if not wanted:
        return
    place, _, number = wanted.partition(":")
    if place not in CRASH_POINTS:
        raise ValueError(f"There is no crash point {place!r}. Known: {', '.join(CRASH_POINTS)}.")
    _passed[name] += 1
    if place == name and _passed[name] == int(number or 1):
        os._exit(EXIT_CODE)
