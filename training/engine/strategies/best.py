"""The strategy `best`: as good as it gets within a number of minutes.

What `frozen` would publish comes first. Then ways to go on training are tried, which differ in how many stages learn
and at which rate (see `contest`), all measured on the same examples, which none of them has learnt from: the
validation part or, where examples are few, all of them, each held out in turn. The best is trained once more on all
examples, from different draws as often as there is time for, and the mean of these networks' weights is published
(Wortsman et al., "Model soups", 2022). Where none is better than `frozen` by more than chance, its answer is.

The best of many on some examples owes part of its lead to chance. So the figures that are shown are those of what would
have been chosen without the example: half of the examples choose for the other half.
"""

import copy
import time
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch

from models_registry.artifacts.model_metrics import ModelMetrics

from ..data import Split
from ..events import Progress, RankedAnswer
from ..examples import Examples
from ..export.classifier import Head
from ..loop.evaluation import evaluate
from ..loop.inputs import Source, Tokens
from ..loop.loop import Classifier, Epoch, RunContext, Task, epoch_seconds, fit, predict, refit
from ..networks.backbones import PreparedBackbone, get_backbone
from ..networks.factory import get_family
from ..networks.stages import Network, token_table
from ..specs.strategies import FROZEN, USUAL_BUDGET, find_strategy
from .base import Assignment, TrainedModel
from .comparison import calibrated_loss, candidate, is_better
from .contest import ROUNDS, Announced, Answer, Clock, Contest, Recipe, best_epoch, best_of, ranked
from .features import decode, extract
from .finetune import Fast, Feeding, claiming_naively, compact_table, prepare, tokens_of
from .frozen import held_out_in_turn, publish
from .linear_head import Array, Labels, refit_head
from .network_training import Material, choose_arithmetic, head_of, known_head, whole_state
from .out_of_fold import OutOfFold, Rows, deal
from .plot import draw_epochs

FILES_SECONDS = 10  # of the time, for writing and verifying the files
SLOWER = 0.3  # times the usual learning rate, the other one that is tried
AVERAGED = 3  # networks whose mean is tried at the end


def train(assignment: Assignment) -> TrainedModel:
    """Try ways to train for as long as there is time. Raises `DataError`, `TrainingError`, `TrainingStopped`."""
    kept = assignment.checkpoints.load_contest() or {"spent": 0.0, "answers": []}
    given = assignment.request.hyperparameters
    torch.manual_seed(assignment.request.seed)
    clock = Clock(60 * (given.budget_minutes or USUAL_BUDGET) - FILES_SECONDS, kept["spent"])
    training = Training.begin(assignment, clock)
    known = {one["title"]: one for one in kept["answers"]}
    answers: list[Answer] = []

    def keep(answer: Answer) -> None:
        answers.append(answer)
        training.board[:] = ranked(answers, training.truth)
        state = {"spent": clock.spent, "answers": [one.to_tensors() for one in answers]}
        assignment.checkpoints.save_contest(state, answers=len(answers))

    contest = Contest(
        clock,
        training.truth,
        train=training.held_out,
        prepare_seconds=training.prepare_seconds,
        epoch_seconds=training.epoch_seconds,
        publish_seconds=training.publish_seconds,
        keep=keep,
        known=known,
    )
    if not training.fast.is_of_few:
        contest.run(training.recipes(), (given.epochs,) if given.epochs else ROUNDS)
    best = best_of(contest.answers, training.truth)
    if best is not None:
        contest.run([replace(best.recipe, members=AVERAGED)], [best.recipe.config.epochs])
    return training.publish(contest.answers)


@dataclass(frozen=True)
class Learnt:
    """What a recipe has made of a turn: a network, its probabilities, N × classes, of what was held out, and epochs."""

    classifier: Classifier
    probabilities: Array
    epochs: Sequence[Epoch]


@dataclass(frozen=True)
class Training:
    """What all ways to train have in common: examples, how they are held out, and what `frozen` says of them.

    `turns` are the splits in which examples are held out, and `rows` these examples, one turn after the other.
    `looked_seconds` is how long the pretrained network took for all of them.
    """

    assignment: Assignment
    clock: Clock
    backbone: PreparedBackbone
    network: Network
    first: Material
    fast: Fast
    turns: Sequence[Split]
    found: OutOfFold | None
    looked_seconds: float
    sources: dict[int, tuple[int, Source]] = field(default_factory=dict)
    board: list[RankedAnswer] = field(default_factory=list)

    @classmethod
    def begin(cls, assignment: Assignment, clock: Clock) -> "Training":
        """Let the pretrained network look at every example."""
        architecture = assignment.architecture
        backbone = get_backbone(architecture, assignment.cache_dir)
        network = get_family(architecture.family).build_pretrained(architecture)
        untouched = copy.deepcopy(network)
        layers = "last" if network.last_cut else "all"
        config = assignment.train_config(layers)
        began = time.monotonic()
        first, fast = prepare(assignment, backbone, network, network.last_cut, config)
        looked = time.monotonic() - began
        seed, check = assignment.request.seed, assignment.progress.check
        found = held_out_in_turn(fast.seen, fast.examples, seed, check)
        turns = [fast.split] if found is None else list(_turns(fast.examples, seed))
        assignment.progress.enter("train", "Ways to train are tried", round(clock.budget))
        return cls(assignment, clock, backbone, untouched, first, fast, turns, found, looked)

    @property
    def rows(self) -> Rows:
        """Return the examples that are held out, each once."""
        return np.concatenate([np.array(turn.validation, np.int64) for turn in self.turns])

    @property
    def truth(self) -> Labels:
        """Return their classes."""
        return self.fast.examples.labels[self.rows]

    def recipes(self) -> list[Recipe]:
        """Return the ways to train, the cheapest first."""
        last, stages = self.network.last_cut, len(self.network.stages)
        cuts = {"last stages": last, "more stages": last - (stages - last), "whole network": 0}
        if last <= stages - last:
            del cuts["more stages"]
        found = []
        for name, cut in cuts.items():
            if name == "whole network" or cut > 0:
                config = self.assignment.train_config("last" if cut else "all")
                rates = [config.learning_rate]
                if self.assignment.request.hyperparameters.learning_rate is None:
                    rates.append(config.learning_rate * SLOWER)
                found += [Recipe(name, cut, replace(config, learning_rate=rate)) for rate in rates]
        return found

    def held_out(self, recipe: Recipe) -> tuple[Array, Sequence[Epoch]]:
        """Return what networks that have not learnt from them say of the examples, and the first one's epochs."""
        found = [self.learn(recipe, self._material(recipe, turn)) for turn in self.turns]
        return np.concatenate([one.probabilities for one in found]), found[0].epochs

    def learn(self, recipe: Recipe, material: Material) -> "Learnt":
        """Train a recipe without the examples of one turn, and say what it makes of them."""
        shown = self._announced(recipe)
        task, context = self._task(material), self._context(recipe, material)
        networks, found = [], []
        for member in range(recipe.members):
            classifier = self._classifier(material)
            own = replace(context, seed=context.seed + member)
            found.append(fit(classifier, task, recipe.config, own, progress=shown, checkpoints=None))
            networks.append(classifier)
        mean, probabilities = _mean(networks), found[0].probabilities
        if len(networks) > 1:
            probabilities = predict(mean, task, recipe.config, context, progress=shown)
        return Learnt(mean, probabilities, found[0].epochs)

    def prepare_seconds(self, recipe: Recipe) -> float:
        """Return about how long it takes to make ready what a recipe reads: as long as the first look took."""
        is_ready = recipe.cut == self.first.cut or recipe.cut in self.sources
        return 0.0 if is_ready else self.looked_seconds

    def epoch_seconds(self, recipe: Recipe) -> float:
        """Return about how long an epoch of a recipe takes, of all turns and members together."""
        material = self._material(recipe, self.turns[0])
        shown = self._announced(recipe)
        classifier, task = self._classifier(material), self._task(material)
        context = self._context(recipe, material)
        seconds = epoch_seconds(classifier, task, recipe.config, context, progress=shown)
        return seconds * len(self.turns) * recipe.members

    def publish_seconds(self, recipe: Recipe, each: float) -> float:
        """Return how long it takes to train a recipe on all examples, when an epoch of all turns takes so long."""
        learnt = sum(len(turn.train) for turn in self.turns)
        return recipe.config.epochs * each * len(self.fast.examples) / learnt

    def publish(self, answers: Sequence[Answer]) -> TrainedModel:
        """Return the best model with the figures of all that were tried."""
        frozen, truth, fast = self.frozen, self.truth, self.fast
        name = find_strategy(FROZEN).label
        board = [candidate(name, frozen, truth)]
        board += [candidate(one.recipe.title, one.probabilities, truth) for one in answers]
        best = best_of(answers, truth)
        if best is None or not is_better(best.probabilities, frozen, truth):
            trained = publish(
                self.assignment, fast.seen, fast.examples, fast.split, fast.selection, fast.unreadable
            )
        else:
            name = best.recipe.title
            trained = self._trained(best, [frozen, *(one.probabilities for one in answers)])
        trained.metrics.update({"candidates": sorted(board, key=lambda row: row["loss"]), "kept": name})
        trained.metrics["too_few_to_train"] = fast.is_of_few
        return trained

    @property
    def frozen(self) -> Array:
        """Return what `frozen` says of the examples that were held out."""
        if self.found is not None:
            return self.found.probabilities
        return self.fast.selection.head.probabilities(self.fast.seen.features[self.rows])

    @property
    def _strength(self) -> float:
        """Return the regularisation that suits a head on the pretrained features."""
        return self.fast.selection.strength if self.found is None else self.found.strength

    def _trained(self, best: Answer, tried: Sequence[Array]) -> TrainedModel:
        """Train the best recipe on all examples."""
        examples, assignment, config = self.fast.examples, self.assignment, best.recipe.config
        everyone = Split(tuple(range(len(examples))), ())
        material = self._material(best.recipe, everyone)
        assignment.progress.enter("train", "The best way is trained on all examples")
        shown = self._announced(best.recipe, may_end_later=True)
        networks = []
        for member in range(best.recipe.members):
            classifier = self._classifier(material)
            context = self._context(best.recipe, material)
            context = replace(context, seed=assignment.request.seed + member)
            refit(classifier, self._task(material), config, context, progress=shown, epochs=best.curve)
            networks.append(classifier)
        classifier, rows = _mean(networks), self.rows
        groups = examples.groups_of(rows.tolist())
        probabilities = chosen_by_others(tried, self.truth, groups, assignment.request.seed)
        names = [examples.names[row] for row in rows]
        metrics = evaluate(probabilities, self.truth, examples.classes, names, groups)
        metrics.update(cast(ModelMetrics, examples.independence))
        found = self.found
        metrics |= {
            "train_examples": len(examples) if found else len(self.turns[0].train),
            "validation_examples": len(rows),
            "cross_validated": found is not None,
            "curve": [epoch.shown().to_json() for epoch in best.curve],
            "best_epoch": best_epoch(best.curve),
            "chosen_point": best_epoch(best.curve) - 1,
            "refit_on_all": True,
            "unreadable": self.fast.unreadable,
            "settings": asdict(config),
            "trained_stages": len(self.network.stages) - material.cut,
            "unused_settings": [],
        }
        trained = TrainedModel(
            head=head_of(classifier),
            state=whole_state(classifier, material),
            tokenizer=material.tokenizer,
            classes=examples.classes,
            metrics=metrics,
            draw=partial(draw_epochs, best.curve, best_epoch(best.curve), metrics["majority_baseline"]),
            examples=examples,
            validation=tuple(rows.tolist()),
            probabilities=probabilities,
            out_of_fold=found
            and replace(found, factor=1.0, logits=np.log(np.clip(probabilities, 1e-30, None))),
            seen=self.fast.seen,
            strength=self._strength,
        )
        return trained if found else claiming_naively(assignment, trained, self.fast)

    def _announced(self, recipe: Recipe, *, may_end_later: bool = False) -> Progress:
        whole = self.assignment.progress
        return Announced(whole, self.clock, recipe.title, self.board, may_end_later=may_end_later)

    def _context(self, recipe: Recipe, material: Material) -> RunContext:
        assignment = self.assignment
        unit = "images" if assignment.architecture.reads_images else "texts"
        arithmetic = choose_arithmetic(assignment, material, self._classifier(material), recipe.config)
        return RunContext(assignment.device, assignment.request.seed, unit, arithmetic=arithmetic)

    def _task(self, material: Material) -> Task:
        return Task(
            source=material.source,
            labels=material.examples.labels,
            classes=len(material.examples.classes),
            train=np.array(material.split.train, np.int64),
            validation=np.array(material.split.validation, np.int64),
        )

    def _classifier(self, material: Material) -> Classifier:
        """Return an untrained copy of the network with its head."""
        network, head = copy.deepcopy(material.network), copy.deepcopy(material.head)
        return Classifier(network, head, start=material.start, cut=material.cut)

    def _material(self, recipe: Recipe, turn: Split) -> Material:
        """Return what a recipe trains on; its head knows the turn's training part only."""
        fast = self.fast
        train = list(turn.train)
        start = Head(np.zeros_like(fast.selection.head.weight), np.zeros_like(fast.selection.head.bias))
        features = fast.seen.only(train).with_labels(fast.examples.labels[train])
        head = refit_head(*features, start, self._strength, check=self.assignment.progress.check)
        begin, source = self._source(recipe)
        network, tokens = copy.deepcopy(self.network), self.first.tokens
        table = token_table(network) if isinstance(source, Tokens) else None
        if table is not None:
            assert isinstance(source, Tokens)
            tokens, source = compact_table(network, [list(sequence) for sequence in source.sequences])
        return replace(
            self.first,
            network=network,
            head=known_head(head),
            source=source,
            split=turn,
            start=begin,
            cut=recipe.cut,
            tokens=tokens,
            table=table,
        )

    def _source(self, recipe: Recipe) -> tuple[int, Source]:
        """Return at which stage a recipe's epochs begin, and what they read; computed once for each cut."""
        if recipe.cut == self.first.cut:
            return self.first.start, self.first.source
        if recipe.cut not in self.sources:
            self.sources[recipe.cut] = self._look_again(recipe)
        return self.sources[recipe.cut]

    def _look_again(self, recipe: Recipe) -> tuple[int, Source]:
        assignment = self.assignment
        tokens = None if assignment.architecture.reads_images else tokens_of(assignment)
        feeding = Feeding.choose(assignment, self.network, recipe.cut, recipe.config, tokens)
        if tokens is not None and not feeding.start:
            readable = [tokens[row] for row in self._readable]
            return 0, Tokens(readable)
        threads, progress = assignment.threads, self._announced(recipe)
        if feeding.start:
            extracted = extract(
                self.backbone,
                assignment.examples,
                feeding.wanted,
                threads=threads,
                progress=progress,
                checkpoints=assignment.checkpoints,
                cache=assignment.features,
            )
        else:
            preprocessing = assignment.architecture.image_preprocessing
            folder = Path(assignment.request.output_dir)
            extracted = decode(preprocessing, assignment.examples, folder, threads=threads, progress=progress)
        return feeding.start, feeding.source(extracted, recipe.config).only(np.array(self._readable))

    @property
    def _readable(self) -> list[int]:
        """Return the places, among all examples, of those that could be read."""
        places = {row: place for place, row in enumerate(self.assignment.examples.rows)}
        return [places[row] for row in self.fast.examples.rows]


def _turns(examples: Examples, seed: int) -> Iterator[Split]:
    """Yield splits that hold out each of few examples once, as `out_of_fold` does."""
    folds = deal(examples.labels, examples.groups, seed)
    for fold in np.unique(folds[folds >= 0]):
        held = folds == fold
        yield Split(tuple(np.flatnonzero(~held).tolist()), tuple(np.flatnonzero(held).tolist()))


def _mean(classifiers: Sequence[Classifier]) -> Classifier:
    """Return a classifier with the mean of the trained weights; what is counted is that of the first."""
    if len(classifiers) == 1:
        return classifiers[0]
    states = [classifier.trained_state() for classifier in classifiers]
    mean = {
        name: torch.stack([state[name] for state in states]).mean(0) if value.is_floating_point() else value
        for name, value in states[0].items()
    }
    classifiers[0].restore(mean)
    return classifiers[0]


def chosen_by_others(tried: Sequence[Array], truth: Labels, groups: Sequence[Hashable], seed: int) -> Array:
    """Return, of each example, the probabilities by the answer that does best on the other half of the examples.

    `tried` are N × classes each; examples of one group are in one half.
    """
    names = list(dict.fromkeys(groups))
    half = dict(zip(names, np.random.default_rng(seed).permutation(len(names)) % 2, strict=True))
    halves = np.array([half[group] for group in groups])
    found = tried[0].copy()
    for own in (0, 1):
        others = halves != own
        if others.any():
            best = min(tried, key=lambda one: calibrated_loss(one[others], truth[others]))
            found[~others] = best[~others]
    return found
