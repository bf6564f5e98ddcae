"""The strategy `best`: as good as it gets within a number of minutes.

What `frozen` would publish comes first. Then ways to go on training are tried, which differ in how many stages learn
and at which rate (see `contest`), all measured on the same examples, which none of them has learnt from: the
validation part or, where that is small, all examples, each held out in turn. Whenever the mean of the weights of what
was trained so far and of a new network is better than either, the new one joins (see `soup`). For the rest of the time
the ways that have joined are trained on all examples, and the mean of all these networks is published. Where what was
measured is no better than `frozen`, its answer is.

The best of many on some examples owes part of its lead to chance. So the figures that are shown are those of what would
have been chosen without the example: half of the examples choose for the other half.
"""

import copy
import math
import time
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import cycle, islice
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
from ..networks.stages import Network, State, token_table
from ..specs.strategies import FROZEN, USUAL_BUDGET, find_strategy
from .base import Assignment, TrainedModel
from .comparison import accuracy, calibrated_loss, candidate, has_less_loss
from .contest import Announced, Answer, Clock, Contest, OutOfTime, Recipe, best_epoch, by_loss, rounds_of
from .features import decode, extract
from .finetune import Fast, Feeding, claiming_naively, compact_table, prepare, tokens_of
from .frozen import cross_validates, publish
from .linear_head import Array, Labels, refit_head
from .network_training import Material, choose_arithmetic, head_of, known_head, whole_state
from .out_of_fold import FEW, OutOfFold, Rows, deal, dense_out_of_fold
from .plot import draw_epochs
from .soup import Soup

FILES_SECONDS = 10  # of the time, for writing and verifying the files
NGRAM_SECONDS = 1e-3  # of the time for each text, for a head on n-grams
SLOWER = 0.3  # times the usual learning rate, the other one that is tried
LEAST_VALIDATED = 300  # examples of a validation part, of fewer of which each is held out in turn
# Of the time, for networks that are trained on all examples, when there is something to publish; the second where each
# example is held out in turn, as then the others together have seen all examples, too.
ON_ALL, ON_ALL_AFTER_TURNS = 0.5, 0.25
DRAWS = 8  # of one way, at the most
MOST_ON_ALL = 16  # networks


def train(assignment: Assignment) -> TrainedModel:
    """Try ways to train for as long as there is time. Raises `DataError`, `TrainingError`, `TrainingStopped`."""
    kept = assignment.checkpoints.load_contest() or {"spent": 0.0, "answers": [], "soup": None}
    given = assignment.request.hyperparameters
    torch.manual_seed(assignment.request.seed)
    budget = 60.0 * (given.budget_minutes or USUAL_BUDGET) - FILES_SECONDS
    if not assignment.architecture.reads_images:
        budget -= NGRAM_SECONDS * len(assignment.examples)
    clock = Clock(budget, kept["spent"])
    training = Training.begin(assignment, clock, Soup.from_tensors(kept["soup"]) if kept["soup"] else Soup())
    known = {one["title"]: one for one in kept["answers"]}
    answers: list[Answer] = []

    def keep(answer: Answer) -> None:
        answers.append(answer)
        training.show(answers)
        state = {
            "spent": clock.spent,
            "answers": [one.to_tensors() for one in answers],
            "soup": training.soup.to_tensors(),
        }
        assignment.checkpoints.save_contest(state, answers=len(answers))

    contest = Contest(
        clock,
        training.truth,
        train=training.held_out,
        prepare_seconds=training.prepare_seconds,
        epoch_seconds=training.epoch_seconds,
        publish_seconds=training.seconds_to_keep,
        keep=keep,
        known=known,
    )
    if not training.fast.is_of_few:
        contest.run(training.recipes(), [given.epochs] if given.epochs else training.rounds())
    for draw in range(2, DRAWS + 1):
        ways = [replace(recipe, draw=draw) for recipe in training.joined(answers) if recipe.draw == draw - 1]
        for way in ways:
            contest.run([way], [way.config.epochs])
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
    `looked_seconds` is how long the pretrained network took for all of them, `begun` how much of the time was gone
    then.
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
    begun: float
    soup: Soup
    sources: dict[int, tuple[int, Source]] = field(default_factory=dict)
    heads: dict[Split, Head] = field(default_factory=dict)
    board: list[RankedAnswer] = field(default_factory=list)

    @classmethod
    def begin(cls, assignment: Assignment, clock: Clock, soup: Soup) -> "Training":
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
        found = None
        if _says_too_little(fast):
            folds = deal(fast.examples.labels, fast.examples.groups, seed)
            labels, classes = fast.examples.labels, len(fast.examples.classes)
            found = dense_out_of_fold(fast.seen, labels, folds, classes, check=check)
        turns = [fast.split] if found is None else list(_turns(fast.examples, seed))
        assignment.progress.enter("train", "Ways to train are tried", round(clock.budget))
        return cls(
            assignment, clock, backbone, untouched, first, fast, turns, found, looked, clock.spent, soup
        )

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

    def rounds(self) -> list[int]:
        """Return for how many epochs ways are trained, round after round."""
        config = self._recipe_of(self.network.last_cut).config
        return rounds_of(math.ceil(len(self.turns[0].train) / config.batch_size))

    def held_out(self, recipe: Recipe) -> tuple[Array, Sequence[Epoch]]:
        """Return what networks that have not learnt from them say of the examples, and the first one's epochs.

        They join those whose weights are averaged where that helps.
        """
        states, said, curves = [], [], []
        for turn in self.turns:
            learnt = self.learn(recipe, self._material(recipe, turn))
            states.append(learnt.classifier.trained_state())  # what it has left as it was need not be kept
            said.append(learnt.probabilities)
            curves.append(learnt.epochs)
        probabilities = np.concatenate(said)
        self._let_join(recipe, states, probabilities)
        return probabilities, curves[0]

    def learn(self, recipe: Recipe, material: Material) -> "Learnt":
        """Train a recipe without the examples of one turn, and say what it makes of them."""
        classifier, context = self._classifier(material), self._context(recipe, material)
        shown = self._announced(recipe.title)
        fitted = fit(
            classifier, self._task(material), recipe.config, context, progress=shown, checkpoints=None
        )
        return Learnt(classifier, fitted.probabilities, fitted.epochs)

    def _let_join(self, recipe: Recipe, states: Sequence[State], alone: Array) -> None:
        loss = partial(calibrated_loss, labels=self.truth)
        together = alone
        if self.soup.probabilities is not None:
            together = self._averaged_say(min(recipe.cut, self.soup.cut), states)
            if loss(self.soup.probabilities) <= min(loss(alone), loss(together)):
                return
            if loss(alone) <= loss(together):
                self.soup.clear()
                together = alone
        self.soup.add(recipe.title, recipe.cut, states, together)

    def _averaged_say(self, cut: int, states: Sequence[State]) -> Array:
        """Return what the means would say if further networks joined, one in each turn."""
        found = []
        for number, turn in enumerate(self.turns):
            recipe = self._recipe_of(cut)
            material = self._material(recipe, turn)
            classifier = self.averaged(material, self.soup, number, states[number])
            task, context = self._task(material), self._context(recipe, material)
            shown = self._announced("Mean of the networks")
            found.append(predict(classifier, task, recipe.config, context, progress=shown))
        return np.concatenate(found)

    def averaged(
        self, material: Material, soup: Soup, turn: int = 0, more: State | None = None
    ) -> Classifier:
        """Return the mean of a turn's networks and, where given, one more."""
        classifier = self._classifier(material)
        classifier.restore(soup.mean(turn, classifier.trained_state(), more))
        return classifier

    def averaged_in_turn(self) -> Iterator[tuple[Classifier, Material]]:
        """Yield the means of the networks, those of one turn after the other."""
        for number, turn in enumerate(self.turns):
            material = self._material(self._recipe_of(self.soup.cut), turn)
            yield self.averaged(material, self.soup, number), material

    def joined(self, answers: Sequence[Answer]) -> list[Recipe]:
        """Return those of the ways whose weights are averaged, the best first."""
        order = by_loss(answers, self.truth)
        return [one.recipe for one in order if one.recipe.title in self.soup.titles]

    def show(self, answers: Sequence[Answer]) -> None:
        """Let people see what the ways have reached, and their mean."""
        rows = [(one.recipe.title, one.probabilities, one.seconds) for one in answers]
        if self.soup.probabilities is not None and len(self.soup) > 1:
            rows.append((self.soup.title, self.soup.probabilities, sum(one.seconds for one in answers)))
        rows.sort(key=lambda row: calibrated_loss(row[1], self.truth))
        self.board[:] = [
            RankedAnswer(name, round(accuracy(said, self.truth), 4), round(seconds, 1))
            for name, said, seconds in rows
        ]

    def prepare_seconds(self, recipe: Recipe) -> float:
        """Return about how long it takes to make ready what a recipe reads: as long as the first look took."""
        is_ready = recipe.cut == self.first.cut or recipe.cut in self.sources
        return 0.0 if is_ready else self.looked_seconds

    def epoch_seconds(self, recipe: Recipe) -> float:
        """Return about how long an epoch of a recipe takes, of all turns together."""
        material = self._material(recipe, self.turns[0])
        shown = self._announced(recipe.title)
        classifier, task = self._classifier(material), self._task(material)
        context = self._context(recipe, material)
        seconds = epoch_seconds(classifier, task, recipe.config, context, progress=shown)
        return seconds * len(self.turns)

    def seconds_to_keep(self, recipe: Recipe, each: float) -> float:
        """Return how much time a training has to leave when an epoch of all turns takes so long.

        That is what it takes to train it on all examples and, when something can be published, a share of the whole.
        """
        needed = self._seconds_on_all(recipe, each)
        share = ON_ALL if len(self.turns) == 1 else ON_ALL_AFTER_TURNS
        return max(needed, share * (self.clock.budget - self.begun)) if len(self.soup) else needed

    def _seconds_on_all(self, recipe: Recipe, each: float) -> float:
        learnt = sum(len(turn.train) for turn in self.turns)
        return recipe.config.epochs * each * len(self.fast.examples) / learnt

    def publish(self, answers: Sequence[Answer]) -> TrainedModel:
        """Return the best model with the figures of all that were tried."""
        frozen, truth, fast = self.frozen, self.truth, self.fast
        name = find_strategy(FROZEN).label
        board = [candidate(name, frozen, truth)]
        board += [candidate(one.recipe.title, one.probabilities, truth) for one in answers]
        averaged = self.soup.probabilities
        if averaged is not None and len(self.soup) > 1:
            board.append(candidate(self.soup.title, averaged, truth))
        if averaged is None or not has_less_loss(averaged, frozen, truth):
            trained = publish(
                self.assignment, fast.seen, fast.examples, fast.split, fast.selection, fast.unreadable
            )
        else:
            name = self.soup.title
            trained = self._trained(answers, [frozen, *(one.probabilities for one in answers), averaged])
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

    def _trained(self, answers: Sequence[Answer], tried: Sequence[Array]) -> TrainedModel:
        """Return the mean of the networks that have joined and of those that are trained on all examples."""
        examples, assignment = self.fast.examples, self.assignment
        assignment.progress.enter("train", "The best ways are trained on all examples")
        recipes = {recipe.title for recipe in self.joined(answers)}
        ways = [one for one in by_loss(answers, self.truth) if one.recipe.title in recipes]
        best, soup = ways[0], self.soup.of_all_turns()
        config = best.recipe.config
        everyone = Split(tuple(range(len(examples))), ())
        for number, way in enumerate(islice(cycle(self._affordable(ways)), MOST_ON_ALL)):
            seconds = self._seconds_on_all(way.recipe, way.seconds_per_epoch)
            if number and seconds > self.clock.left:
                continue  # a cheaper one may have the time
            try:
                state = self._learn_all(way, everyone, number)
            except OutOfTime:
                break
            soup.add(way.recipe.title, way.recipe.cut, [state], tried[-1])
        material = self._material(self._recipe_of(soup.cut), everyone)
        classifier, rows = self.averaged(material, soup), self.rows
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

    def _affordable(self, ways: Sequence[Answer]) -> list[Answer]:
        """Return the ways in their order, those last of which not even one training on all examples is in time."""
        left = self.clock.left
        return sorted(ways, key=lambda way: self._seconds_on_all(way.recipe, way.seconds_per_epoch) > left)

    def _learn_all(self, way: Answer, everyone: Split, number: int) -> State:
        """Train on all examples, from draw after draw; only the first may take more time than there is."""
        recipe = way.recipe
        material = self._material(recipe, everyone)
        classifier, context = self._classifier(material), self._context(recipe, material)
        context = replace(context, seed=self.assignment.request.seed + number)
        shown = self._announced(f"{recipe.title} on all examples", may_end_later=not number)
        task = self._task(material)
        refit(classifier, task, recipe.config, context, progress=shown, epochs=way.curve)
        return classifier.trained_state()

    def _recipe_of(self, cut: int) -> Recipe:
        """Return one that trains the stages from a cut on, in whatever way."""
        return Recipe("", cut, self.assignment.train_config("last" if cut else "all"))

    def _announced(self, title: str, *, may_end_later: bool = False) -> Progress:
        whole = self.assignment.progress
        return Announced(whole, self.clock, title, self.board, may_end_later=may_end_later)

    def _context(self, recipe: Recipe, material: Material) -> RunContext:
        assignment = self.assignment
        unit = "images" if assignment.architecture.reads_images else "texts"
        arithmetic = choose_arithmetic(assignment, material, self._classifier(material), recipe.config)
        seed = assignment.request.seed + recipe.draw - 1
        return RunContext(assignment.device, seed, unit, arithmetic=arithmetic)

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
        begin, source = self._source(recipe)
        network, tokens = copy.deepcopy(self.network), self.first.tokens
        table = token_table(network) if isinstance(source, Tokens) else None
        if table is not None:
            assert isinstance(source, Tokens)
            tokens, source = compact_table(network, [list(sequence) for sequence in source.sequences])
        return replace(
            self.first,
            network=network,
            head=known_head(self._head(turn)),
            source=source,
            split=turn,
            start=begin,
            cut=recipe.cut,
            tokens=tokens,
            table=table,
        )

    def _head(self, turn: Split) -> Head:
        """Return the head on pretrained features that knows a turn's training part."""
        if turn not in self.heads:
            fast, train = self.fast, list(turn.train)
            nothing = Head(np.zeros_like(fast.selection.head.weight), np.zeros_like(fast.selection.head.bias))
            features = fast.seen.only(train).with_labels(fast.examples.labels[train])
            check = self.assignment.progress.check
            self.heads[turn] = refit_head(*features, nothing, self._strength, check=check)
        return self.heads[turn]

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
        threads, progress = assignment.threads, self._announced(recipe.title)
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


def _says_too_little(fast: Fast) -> bool:
    """Return whether the validation part is too small to choose by, and each example is to be held out in turn."""
    is_small = len(fast.split.validation) < LEAST_VALIDATED and len(fast.examples) <= FEW
    return is_small or cross_validates(fast.examples)


def _turns(examples: Examples, seed: int) -> Iterator[Split]:
    """Yield splits that hold out each of few examples once, as `out_of_fold` does."""
    folds = deal(examples.labels, examples.groups, seed)
    for fold in np.unique(folds[folds >= 0]):
        held = folds == fold
        yield Split(tuple(np.flatnonzero(~held).tolist()), tuple(np.flatnonzero(held).tolist()))


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
