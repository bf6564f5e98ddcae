"""*Best*: what it reaches in so many minutes, and whether its leaderboard is in the order of the test.

`TRAINYARD_BENCH_MINUTES` names the budgets, `TRAINYARD_BENCH_KINDS` the data ("zip" of photos, "csv" of texts). With
`TRAINYARD_BENCH_DEALS` above 1 the test is another part of all examples each time, and the figures are means: a test of
240 photos says little, four that have no photo in common say more. The ways that were tried in all deals are ranked by
their mean losses.

The ways to train that it tried are tested as they were when they were ranked, by the networks that had not learnt from
what they were ranked on; *Fast*, which comes first, is one of them, and the mean of what has joined the last.

What a few examples cannot tell apart they rank by chance, and a test does no better. So the correlation of the two
orders stands beside that of each with itself: between the halves of its examples, stepped up to all of them (Spearman
and Brown, 1910). Two orders cannot be expected to agree better than the root of the product of both. And the pairs of
ways are counted that the leaderboard does tell apart, as it does for people: by more than two standard errors of the
difference; and those of them that are in the same order on the test.
"""

import contextlib
import itertools
import math
import os
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from training.engine.data import Split
from training.engine.export.classifier import Head
from training.engine.networks.backbones import get_backbone
from training.engine.networks.factory import get_family
from training.engine.networks.stages import State
from training.engine.specs.strategies import FROZEN
from training.engine.strategies.best import Training
from training.engine.strategies.comparison import accuracy, calibrated_loss, compared
from training.engine.strategies.contest import Recipe
from training.engine.strategies.linear_head import Array, Labels
from training.engine.strategies.network_training import head_of, whole_state
from training.engine.strategies.recipe_trainer import Learnt

BUDGETS = [int(one) for one in os.environ.get("TRAINYARD_BENCH_MINUTES", "1,5,15").split(",")]
KINDS = os.environ.get("TRAINYARD_BENCH_KINDS", "zip,csv").split(",")
MEAN = "mean of what has joined"
TOKENS = 4096  # of a batch of texts
DEALS = int(os.environ.get("TRAINYARD_BENCH_DEALS", "1"))
HALVINGS = 50  # of examples, for how well an order agrees with itself

Ways = Sequence[Sequence[Array]]  # what each way says of all examples, N × classes, by one network or several


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
        deals = list(_dealt(train_part, test_part))
        accurate = [run_training(name, write(known), file, test) for known, test in deals]
        print([run.accuracy for run in accurate], flush=True)
        figures |= {
            f"{kind}_accurate_accuracy": _mean(run.accuracy for run in accurate),
            f"{kind}_accurate_seconds": _mean(run.seconds for run in accurate),
        }
        for minutes in BUDGETS:
            runs, rankings = [], []
            for known, test in deals:
                with _Board.watched() as board:
                    runs.append(run_training(name, write(known), file, test, budget_minutes=minutes))
                rankings.append(board.ranking(get_architecture(name), test))
                print([run.accuracy for run in runs], flush=True)
            found = {
                "accuracy": _mean(run.accuracy for run in runs),
                "seconds": _mean(run.seconds for run in runs),
                **_together(rankings),
            }
            figures |= {f"{kind}_{minutes}_minutes_{what}": figure for what, figure in found.items()}
            print(figures, flush=True)
    return figures


def _dealt(train: Labelled, test: Labelled) -> Iterator[tuple[Labelled, Labelled]]:
    """Yield the two parts, then others of the same examples whose tests have none in common with those before."""
    yield train, test
    parts = round(len(train) / len(test))
    labels = np.array([label for _, label in train])
    place, generator = np.zeros(len(train), np.int64), np.random.default_rng(0)
    for label in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == label))
        place[rows] = np.arange(len(rows)) % parts
    for part in range(min(parts, DEALS - 1)):
        rest = [one for one, its in zip(train, place, strict=True) if its != part]
        yield [*rest, *test], [one for one, its in zip(train, place, strict=True) if its == part]


def _mean(values: Iterable[float]) -> float:
    return round(statistics.mean(values), 4)


@dataclass(frozen=True)
class _Ranking:
    """What the ways that were tried lose on what was held out and on the test, by title, and what that is worth.

    `told` are the pairs that the leaderboard tells apart, the better first; `of_itself` is how well the order by the
    leaderboard's losses agrees with itself, `test_of_itself` that by the test's.
    """

    shown: Mapping[str, float]
    tested: Mapping[str, float]
    told: Sequence[tuple[str, str]]
    of_itself: float
    test_of_itself: float


def _together(deals: Sequence[_Ranking | None]) -> dict[str, Any]:
    """Return what the rankings of all deals say; little, where there was no time to try anything in one of them."""
    rankings = [ranking for ranking in deals if ranking is not None]
    if len(rankings) < len(deals):
        return {"ways": 0}
    titles = [title for title in rankings[0].shown if all(title in ranking.shown for ranking in rankings)]
    shown = [statistics.mean(ranking.shown[title] for ranking in rankings) for title in titles]
    tested = [statistics.mean(ranking.tested[title] for ranking in rankings) for title in titles]
    told = [
        ranking.tested[one] < ranking.tested[other] for ranking in rankings for one, other in ranking.told
    ]
    return {
        "ways": len(titles),
        "rank_correlation": _agreement(shown, tested),
        "rank_correlation_with_itself": _mean(ranking.of_itself for ranking in rankings),
        "test_rank_correlation_with_itself": _mean(ranking.test_of_itself for ranking in rankings),
        "pairs": sum(math.comb(len(ranking.shown), 2) for ranking in rankings),
        "pairs_told_apart": len(told),
        "pairs_told_apart_as_on_test": sum(told),
    }


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

        def watched(training: Training, recipe: Recipe, turn: Split) -> Learnt:
            learnt = learn(training, recipe, turn)
            material = training.trainer.material(recipe, turn)
            board.training = training
            network = whole_state(learnt.classifier, material), head_of(learnt.classifier)
            board.learnt[recipe.title].append(network)
            board.shown[recipe.title].append(learnt.probabilities)
            return learnt

        with mock.patch.object(Training, "learn", watched):
            yield board

    def ranking(self, architecture: Architecture, test_part: Labelled) -> _Ranking | None:
        """Return how the ways rank that were tried, *Fast* and the mean of what has joined among them; None of none.

        A way whose examples were held out in turn has several networks: their mean loss on the test counts.
        """
        training = self.training
        if training is None:
            return None
        classes = training.fast.examples.classes
        truth = np.array([classes.index(label) for _, label in test_part], np.int64)
        batches = list(_test_batches(architecture, [given for given, _ in test_part]))
        titles = [title for title in self.learnt if len(self.learnt[title]) == len(training.turns)]
        self.learnt[FROZEN] = [(training.network.state_dict(), training.fast.selection.head)]
        self.shown[FROZEN] = [training.frozen]
        titles.insert(0, FROZEN)
        soup = training.soup
        if soup.probabilities is not None and len(soup) > 1:
            averaged = training.averaged_in_turn()
            self.learnt[MEAN] = [(whole_state(*one), head_of(one[0])) for one in averaged]
            self.shown[MEAN] = [soup.probabilities]
            titles.append(MEAN)
        shown = [[np.concatenate(self.shown[title])] for title in titles]
        tested = [
            [_probabilities(architecture, *network, batches) for network in self.learnt[title]]
            for title in titles
        ]
        by_loss, by_test = _losses(shown, training.truth), _losses(tested, truth)
        for title, loss, of_test, said in zip(titles, by_loss, by_test, tested, strict=True):
            right = statistics.mean(accuracy(one, truth) for one in said)
            print(f"{title}: loss {loss:.4f}, of the test {of_test:.4f}, right {right:.4f}", flush=True)
        told = _told_apart([said[0] for said in shown], training.truth)
        return _Ranking(
            dict(zip(titles, by_loss, strict=True)),
            dict(zip(titles, by_test, strict=True)),
            [(titles[better], titles[worse]) for better, worse in told],
            _with_itself(shown, training.truth),
            _with_itself(tested, truth),
        )


def _losses(ways: Ways, truth: Labels) -> list[float]:
    return [statistics.mean(calibrated_loss(one, truth) for one in said) for said in ways]


def _told_apart(ways: Sequence[Array], truth: Labels) -> Iterator[tuple[int, int]]:
    """Yield the places of the better and the worse of each pair of ways whose difference chance does not explain."""
    for pair in itertools.combinations(range(len(ways)), 2):
        rows = compared([("", ways[place]) for place in pair], truth)
        for better, worse in (pair, pair[::-1]):
            if not rows[pair.index(worse)]["alike"]:
                yield better, worse


def _agreement(ones: Sequence[float], others: Sequence[float]) -> float:
    return round(float(spearmanr(ones, others).statistic), 3)


def _with_itself(ways: Ways, truth: Labels) -> float:
    """Return how well the order of the ways would agree with that by as many other examples."""
    generator, found = np.random.default_rng(0), []
    for _ in range(HALVINGS):
        halves = np.array_split(generator.permutation(len(truth)), 2)
        losses = (_losses([[one[rows] for one in said] for said in ways], truth[rows]) for rows in halves)
        found.append(_agreement(*losses))
    half = max(0.0, statistics.mean(found))
    return round(2 * half / (1 + half), 3)


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
