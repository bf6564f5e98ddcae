"""*Best*: what it reaches in so many minutes, and whether its leaderboard is in the order of the test.

`TRAINYARD_BENCH_MINUTES` names the budgets, `TRAINYARD_BENCH_KINDS` the data ("zip" of photos, "csv" of texts). The
ways to train that it tried are tested as they were when they were ranked, by the networks that had not learnt from what
they were ranked on; *Fast*, which comes first, is one of them, and the mean of what has joined the last.
"""

import contextlib
import os
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self
from unittest import mock

import numpy as np
import torch
from scipy.stats import spearmanr  # type: ignore[import-untyped]
from torch import Tensor

from benchmarks.finetune import BATCH, photos, run_training, sentences
from benchmarks.labelled_data import CACHE, Labelled, write_csv, write_zip
from models_registry.artifacts.texts import TextEncoder, length_batches, pad
from training.engine.catalogue import Architecture, get_architecture
from training.engine.export.classifier import Head
from training.engine.networks.backbones import get_backbone
from training.engine.networks.factory import get_family
from training.engine.networks.stages import State
from training.engine.specs.strategies import FROZEN
from training.engine.strategies.best import Learnt, Training
from training.engine.strategies.comparison import accuracy, calibrated_loss
from training.engine.strategies.contest import Recipe
from training.engine.strategies.linear_head import Array
from training.engine.strategies.network_training import Material, head_of, whole_state

BUDGETS = [int(one) for one in os.environ.get("TRAINYARD_BENCH_MINUTES", "1,5,15").split(",")]
KINDS = os.environ.get("TRAINYARD_BENCH_KINDS", "zip,csv").split(",")
TOKENS = 4096  # of a batch of texts


def best() -> dict[str, Any]:
    """*Best* on flowers12 and banking77 with several budgets, beside *Accurate*."""
    figures: dict[str, Any] = {}
    for name, (train_part, test_part), write, file in (
        ("efficientnet lite0", photos(), write_zip, "train.zip"),
        ("minilm", sentences(), write_csv, "train.csv"),
    ):
        kind = Path(file).suffix.removeprefix(".")
        if kind not in KINDS:
            continue
        data = write(train_part)
        accurate = run_training(name, data, file, test_part)
        figures |= {
            f"{kind}_accurate_accuracy": accurate.accuracy,
            f"{kind}_accurate_seconds": accurate.seconds,
        }
        for minutes in BUDGETS:
            with _Board.watched() as board:
                run = run_training(name, data, file, test_part, budget_minutes=minutes)
            figures |= {
                f"{kind}_{minutes}_minutes_{what}": figure
                for what, figure in (
                    ("accuracy", run.accuracy),
                    ("seconds", run.seconds),
                    *board.figures(get_architecture(name), test_part),
                )
            }
            print(figures, flush=True)
    return figures


class _Board:
    """The ways to train that *Best* has tried, as their networks were when they were ranked."""

    def __init__(self) -> None:
        self.training: Training | None = None
        self.learnt: dict[str, list[tuple[State, Head]]] = defaultdict(list)  # by title, one for each turn
        self.shown: dict[str, list[Array]] = defaultdict(list)

    @classmethod
    @contextlib.contextmanager
    def watched(cls) -> Iterator[Self]:
        """Keep the networks that are trained meanwhile."""
        board, learn = cls(), Training.learn

        def watched(training: Training, recipe: Recipe, material: Material) -> Learnt:
            learnt = learn(training, recipe, material)
            board.training = training
            network = whole_state(learnt.classifier, material), head_of(learnt.classifier)
            board.learnt[recipe.title].append(network)
            board.shown[recipe.title].append(learnt.probabilities)
            return learnt

        with mock.patch.object(Training, "learn", watched):
            yield board

    def figures(self, architecture: Architecture, test_part: Labelled) -> Iterator[tuple[str, Any]]:
        """Yield how many were tried, and how well their order by loss agrees with that by loss on the test.

        A way whose examples were held out in turn has several networks: their mean loss counts.
        """
        training = self.training
        yield "tried", len(self.learnt)
        if training is None:
            return
        classes = training.fast.examples.classes
        truth = np.array([classes.index(label) for _, label in test_part], np.int64)
        batches = list(_test_batches(architecture, [given for given, _ in test_part]))
        complete = [title for title in self.learnt if len(self.learnt[title]) == len(training.turns)]
        self.learnt[FROZEN] = [(training.network.state_dict(), training.fast.selection.head)]
        self.shown[FROZEN] = [training.frozen]
        soup = training.soup
        if soup.probabilities is not None and len(soup) > 1:
            averaged = training.averaged_in_turn()
            self.learnt[soup.title] = [(whole_state(*one), head_of(one[0])) for one in averaged]
            self.shown[soup.title] = [soup.probabilities]
            complete.append(soup.title)
        shown, tested = [], []
        for title in (FROZEN, *complete):
            shown.append(calibrated_loss(np.concatenate(self.shown[title]), training.truth))
            found = [_probabilities(architecture, *network, batches) for network in self.learnt[title]]
            tested.append(statistics.mean(calibrated_loss(one, truth) for one in found))
            right = statistics.mean(accuracy(one, truth) for one in found)
            print(
                f"{title}: loss {shown[-1]:.4f}, of the test {tested[-1]:.4f}, right {right:.4f}", flush=True
            )
        yield "rank_correlation", round(float(spearmanr(shown, tested).statistic), 3)


def _test_batches(
    architecture: Architecture, given: Sequence[bytes | str]
) -> Iterator[tuple[list[int], tuple[Tensor, ...]]]:
    """Yield the rows of batches and what a network takes in for them."""
    if architecture.reads_images:
        preprocessing = architecture.image_preprocessing
        for start in range(0, len(given), BATCH):
            rows = list(range(start, min(start + BATCH, len(given))))
            pixels = [preprocessing.pixels(one) for row in rows if isinstance(one := given[row], bytes)]
            yield rows, (torch.from_numpy(preprocessing.normalise(pixels)),)
        return
    encoder = TextEncoder(
        get_backbone(architecture, CACHE).tokenizer() or "", architecture.text_preprocessing
    )
    sequences = encoder.encode([str(one) for one in given])
    for rows in length_batches([len(one) for one in sequences], tokens=TOKENS):
        padded = pad([sequences[row] for row in rows])
        yield rows, tuple(torch.from_numpy(padded[name]) for name in ("input_ids", "attention_mask"))


def _probabilities(
    architecture: Architecture,
    state: State,
    head: Head,
    batches: Sequence[tuple[list[int], tuple[Tensor, ...]]],
) -> Array:
    """Return what a network says of all rows, N × classes."""
    network = get_family(architecture.family).build_pretrained(architecture)
    network.load_state_dict(state)
    found = np.zeros((sum(len(rows) for rows, _ in batches), len(head.bias)), np.float32)
    with torch.inference_mode():
        for rows, inputs in batches:
            found[rows] = head.probabilities(network.eval()(*inputs).numpy())
    return found
