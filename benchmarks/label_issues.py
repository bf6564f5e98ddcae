"""Labels that look wrong: how many of those that were made wrong are found, and what taking the suggestions repairs.

A tenth of the training labels is changed at random. What is flagged is compared with what was changed, beside
cleanlab's filter `both` on the same held-out probabilities (`TRAINYARD_BENCH_CLEANLAB` is the folder of site packages
with cleanlab in it, benchmarks/requirements-cleanlab.txt; left out without it). Then a head is fitted on the clean
labels, on the noisy ones, and on those with every suggestion taken; the test's accuracies are in percent.
`TRAINYARD_BENCH_SEEDS` says over how many draws the figures are means, `TRAINYARD_BENCH_SETS` on which data.
"""

import os
import sys
import time
from collections import defaultdict
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.few_shot import CHOSEN, SEEDS, SETS
from training.engine.data import stratified_split
from training.engine.label_issues import find_label_issues
from training.engine.strategies.features import Seen
from training.engine.strategies.judge import held_out_once
from training.engine.strategies.linear_head import refit_head, select_head
from training.engine.strategies.out_of_fold import deal

CLEANLAB = os.environ.get("TRAINYARD_BENCH_CLEANLAB", "")
CHANGED = 0.1  # of the labels
TRAIN_PERCENT = 70

Labels = npt.NDArray[np.int64]
Features = npt.NDArray[np.float32]


def label_issues() -> dict[str, Any]:
    """Return for each set precision and recall (0…1), accuracies in percent, and the seconds that looking takes."""
    figures: dict[str, Any] = {}
    for name in CHOSEN:
        data = SETS[name]
        known, test = data.read("train"), data.read("test")
        features = data.features([*known, *test])
        _, numbers = np.unique([label for _, label in [*known, *test]], return_inverse=True)
        labels = numbers.astype(np.int64)
        found: dict[str, list[float]] = defaultdict(list)
        clean = _accuracy(features, labels[: len(known)], labels[len(known) :])[0]
        for seed in SEEDS:
            one = _measure(features, labels, len(known), seed)
            for key, value in {"clean": clean, **one}.items():
                found[key].append(value)
            print(name, seed, {key: round(value, 3) for key, value in one.items()}, flush=True)
        figures |= {f"{name}_{key}": round(float(np.mean(values)), 3) for key, values in found.items()}
    return figures


def change_labels(labels: Labels, classes: int, seed: int) -> tuple[Labels, Labels]:
    """Return labels of which a share is another class, drawn at random, and the rows that were changed."""
    generator = np.random.default_rng(seed)
    changed = labels.copy()
    rows = generator.choice(len(labels), round(CHANGED * len(labels)), replace=False)
    changed[rows] = (changed[rows] + generator.integers(1, classes, len(rows))) % classes
    return changed, np.sort(rows)


def _measure(features: Features, labels: Labels, known: int, seed: int) -> dict[str, float]:
    truth, test = labels[:known], labels[known:]
    classes = int(labels.max()) + 1
    noisy, changed = change_labels(truth, classes, seed)
    accuracy, strength = _accuracy(features, noisy, test)
    began = time.monotonic()
    folds = deal(noisy, list(range(known)), seed)
    rows, probabilities = held_out_once(Seen(features[:known]), noisy, folds, strength, check=lambda: None)
    issues = find_label_issues(probabilities, noisy[rows], rows.tolist())
    seconds = time.monotonic() - began
    mended = noisy.copy()
    for issue in issues:
        mended[issue.example] = issue.suggested
    figures = _compared("flagged", np.array([issue.example for issue in issues], np.int64), changed)
    if CLEANLAB:
        flagged = rows[_cleanlab(noisy[rows], probabilities)]
        figures |= _compared("cleanlab", flagged, changed)
    figures |= {"noisy": accuracy, "mended": _accuracy(features, mended, test)[0], "seconds": seconds}
    return figures


def _compared(name: str, flagged: Labels, changed: Labels) -> dict[str, float]:
    right = len(np.intersect1d(flagged, changed))
    return {f"{name}_precision": right / max(1, len(flagged)), f"{name}_recall": right / len(changed)}


def _cleanlab(labels: Labels, probabilities: Features) -> npt.NDArray[np.bool_]:
    """Return which labels confident learning flags."""
    if CLEANLAB not in sys.path:
        sys.path.append(CLEANLAB)
    filtered = import_module("cleanlab.filter").find_label_issues

    flagged: npt.NDArray[np.bool_] = filtered(labels, probabilities.astype(float), filter_by="both", n_jobs=1)
    return flagged


def _accuracy(features: Features, labels: Labels, test: Labels) -> tuple[float, float]:
    """Return the test's accuracy of the head that *Fast* would publish, and the strength that it chooses."""
    known, classes = len(labels), int(labels.max()) + 1
    split = stratified_split(labels.tolist(), TRAIN_PERCENT, 0)
    train, validation = list(split.train), list(split.validation)
    selection = select_head(
        (features[train], labels[train]),
        (features[validation], labels[validation]),
        classes,
        on_point=lambda *_: None,
        check=lambda: None,
    )
    head = refit_head(features[:known], labels, selection.head, selection.strength, check=lambda: None)
    return 100 * float((head.probabilities(features[known:]).argmax(1) == test).mean()), selection.strength
