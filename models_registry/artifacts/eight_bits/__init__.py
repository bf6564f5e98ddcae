"""Whether this machine answers faster in eight bits: measured once, on a block of layers as networks have them.

Some processors multiply bytes at twice the speed of floats, some do not, and some lose digits while they do. So both
forms of one block are run, and their answers compared. `devtools/eight_bits.py` made the two files.
"""

import time
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..machine import Measured, processor
from ..sessions import open_session, uses_gpu

FOLDER = Path(__file__).parent
SHAPE = (1, 24, 56, 56)  # of the input: one image, early in a small network
KEPT_IN = "eight_bits.json"
ROUNDS = 12  # of which the fastest counts: others' load can only slow one down
FASTER = 1.25  # times, from which another arithmetic is worth it
ALIKE = 0.02  # of the largest number that may come out


@lru_cache(maxsize=4)
def eight_bits_pay(folder: Path) -> bool:
    """Return whether convolutional networks run clearly faster here in eight bits, and as exactly as they should.

    What was measured is kept in a file of the folder, so that all processes of a machine do alike.
    """
    if uses_gpu():
        return False
    import onnxruntime

    measured, key = Measured(folder / KEPT_IN), f"{processor()}; onnxruntime {onnxruntime.__version__}"
    known = measured.find(key)
    if known is None:
        known = {"speedup": round(speedup(), 2)}
        measured.keep(key, known)
    return known.get("speedup", 0.0) >= FASTER


def speedup() -> float:
    """Return how many times as fast the block runs in eight bits; 0 where it answers otherwise than in floats."""
    full, smaller = (
        open_session(str(FOLDER / f"{name}.onnx"), threads=1, keep_buffers=False)
        for name in ("float32", "eight_bits")
    )
    feeds = {"image": np.ones(SHAPE, np.float32)}
    seconds, answers = [np.inf, np.inf], [np.empty(0), np.empty(0)]
    for _ in range(ROUNDS):
        for place, session in enumerate((full, smaller)):
            began = time.perf_counter()
            answers[place] = session.run(None, feeds)[0]
            seconds[place] = min(seconds[place], time.perf_counter() - began)
    if np.abs(answers[0] - answers[1]).max() > ALIKE * np.abs(answers[0]).max():
        return 0.0
    return seconds[0] / seconds[1]
