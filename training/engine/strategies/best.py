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
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import cycle, islice
from typing import cast

import numpy as np
import torch

from models_registry.artifacts.model_metrics import ModelMetrics, ViewMetrics

from ..data import Split
from ..events import RankedAnswer
from ..examples import Examples
from ..loop.evaluation import evaluate
from ..loop.loop import Classifier, Epoch
from ..networks.backbones import get_backbone
from ..networks.factory import get_family
from ..networks.stages import Network, State
from ..specs.strategies import FROZEN, USUAL_BUDGET, find_strategy
from .base import Assignment, TrainedModel
from .comparison import calibrated_loss, compared, has_less_loss
from .contest import (
    Answer,
    Clock,
    Contest,
    OutOfTime,
    Recipe,
    best_epoch,
    by_loss,
    fewest_epochs,
    rounds_of,
)
from .finetune import Fast, claiming_naively, prepare
from .frozen import cross_validates, publish
from .linear_head import Array, Labels
from .network_training import Material, head_of, whole_state
from .out_of_fold import FEW, OutOfFold, Rows, deal, dense_out_of_fold
from .plot import draw_epochs
from .recipe_trainer import Learnt, RecipeTrainer
from .soup import Soup

FAST = find_strategy(FROZEN).label  # what the answer of the strategy `frozen` is called
FILES_SECONDS = 7  # of the time, for writing and verifying the files
NGRAM_SECONDS = 5e-4  # of the time for each text, for a head on n-grams
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
        recipes = training.recipes()
        contest.run(recipes, [given.epochs] if given.epochs else rounds_of(training.steps_of_epoch))
        if not contest.answers and not given.epochs:  # there is no time for as many epochs as usual
            contest.run(recipes[:1], [fewest_epochs(training.steps_of_epoch)])
    for draw in range(2, DRAWS + 1):
        ways = [replace(recipe, draw=draw) for recipe in training.joined(answers) if recipe.draw == draw - 1]
        for way in ways:
            contest.run([way], [way.config.epochs])
    return training.publish(contest.answers)


@dataclass(frozen=True)
class Training:
    """What has been tried so far, on the same examples, and what comes of it.

    `turns` are the splits in which examples are held out, and `rows` these examples, one turn after the other; `found`
    is what `frozen` says of few, each held out in turn. `looked_seconds` is how long the pretrained network took for
    all of them, `begun` how much of the time was gone then.
    """

    trainer: RecipeTrainer
    turns: Sequence[Split]
    found: OutOfFold | None
    looked_seconds: float
    begun: float
    soup: Soup

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
        strength = fast.selection.strength if found is None else found.strength
        trainer = RecipeTrainer(assignment, clock, backbone, untouched, first, fast, strength)
        return cls(trainer, turns, found, looked, clock.spent, soup)

    @property
    def assignment(self) -> Assignment:
        """Return what is to be trained on what."""
        return self.trainer.assignment

    @property
    def fast(self) -> Fast:
        """Return what the strategy `frozen` would publish."""
        return self.trainer.fast

    @property
    def network(self) -> Network:
        """Return the pretrained network."""
        return self.trainer.network

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

    @property
    def steps_of_epoch(self) -> int:
        """Return how many steps a pass over a turn's training part takes."""
        config = self.trainer.recipe_of(self.network.last_cut).config
        return math.ceil(len(self.turns[0].train) / config.batch_size)

    def held_out(self, recipe: Recipe) -> tuple[Array, Sequence[Epoch]]:
        """Return what networks that have not learnt from them say of the examples, and the first one's epochs.

        They join those whose weights are averaged where that helps.
        """
        states, said, curves = [], [], []
        for turn in self.turns:
            learnt = self.learn(recipe, turn)
            states.append(learnt.classifier.trained_state())  # what it has left as it was need not be kept
            said.append(learnt.probabilities)
            curves.append(learnt.epochs)
        probabilities = np.concatenate(said)
        self._let_join(recipe, states, probabilities)
        return probabilities, curves[0]

    def learn(self, recipe: Recipe, turn: Split) -> Learnt:
        """Train a recipe without the examples of one turn, and say what it makes of them."""
        return self.trainer.learn(recipe, self.trainer.material(recipe, turn))

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
            recipe = self.trainer.recipe_of(cut)
            material = self.trainer.material(recipe, turn)
            classifier = self.averaged(material, self.soup, number, states[number])
            found.append(self.trainer.say(classifier, recipe, material))
        return np.concatenate(found)

    def averaged(
        self, material: Material, soup: Soup, turn: int = 0, more: State | None = None
    ) -> Classifier:
        """Return the mean of a turn's networks and, where given, one more."""
        classifier = self.trainer.classifier(material)
        classifier.restore(soup.mean(turn, classifier.trained_state(), more))
        return classifier

    def averaged_in_turn(self) -> Iterator[tuple[Classifier, Material]]:
        """Yield the means of the networks, those of one turn after the other."""
        for number, turn in enumerate(self.turns):
            material = self.trainer.material(self.trainer.recipe_of(self.soup.cut), turn)
            yield self.averaged(material, self.soup, number), material

    def joined(self, answers: Sequence[Answer]) -> list[Recipe]:
        """Return those of the ways whose weights are averaged, the best first."""
        order = by_loss(answers, self.truth)
        return [one.recipe for one in order if one.recipe.title in self.soup.titles]

    def show(self, answers: Sequence[Answer]) -> None:
        """Let people see what the ways have reached, and their mean."""
        seconds = {one.recipe.title: one.seconds for one in answers}
        seconds |= {FAST: self.looked_seconds}
        seconds.setdefault(self.soup.title, sum(one.seconds for one in answers))
        self.trainer.board[:] = [
            RankedAnswer(row["name"], row["accuracy"], round(seconds[row["name"]], 1), row["alike"])
            for row in self.leaderboard(answers)
        ]

    def leaderboard(self, answers: Sequence[Answer]) -> list[ViewMetrics]:
        """Return the figures of `frozen`, of all ways and of the mean of those that have joined, by their loss."""
        rows = [(FAST, self.frozen), *((one.recipe.title, one.probabilities) for one in answers)]
        if self.soup.probabilities is not None and len(self.soup) > 1:
            rows.append((self.soup.title, self.soup.probabilities))
        return sorted(compared(rows, self.truth), key=lambda row: row["loss"])

    def prepare_seconds(self, recipe: Recipe) -> float:
        """Return about how long it takes to make ready what a recipe reads: as long as the first look took."""
        return 0.0 if self.trainer.is_ready(recipe) else self.looked_seconds

    def epoch_seconds(self, recipe: Recipe) -> float:
        """Return about how long an epoch of a recipe takes, of all turns together."""
        material = self.trainer.material(recipe, self.turns[0])
        return self.trainer.epoch_seconds(recipe, material) * len(self.turns)

    def seconds_to_keep(self, recipe: Recipe, each: float) -> float:
        """Return how much time a training has to leave when an epoch of all turns takes so long.

        That is what it takes to train it on all examples and, when something can be published, a share of the whole.
        """
        needed = self._seconds_on_all(recipe, each)
        share = ON_ALL if len(self.turns) == 1 else ON_ALL_AFTER_TURNS
        return max(needed, share * (self.trainer.clock.budget - self.begun)) if len(self.soup) else needed

    def _seconds_on_all(self, recipe: Recipe, each: float) -> float:
        learnt = sum(len(turn.train) for turn in self.turns)
        return recipe.config.epochs * each * len(self.fast.examples) / learnt

    def publish(self, answers: Sequence[Answer]) -> TrainedModel:
        """Return the best model with the figures of all that were tried."""
        frozen, averaged, fast, name = self.frozen, self.soup.probabilities, self.fast, FAST
        if averaged is None or not has_less_loss(averaged, frozen, self.truth):
            trained = publish(
                self.assignment, fast.seen, fast.examples, fast.split, fast.selection, fast.unreadable
            )
        else:
            name = self.soup.title
            trained = self._trained(answers, [frozen, *(one.probabilities for one in answers), averaged])
        trained.metrics.update({"candidates": self.leaderboard(answers), "kept": name})
        trained.metrics["too_few_to_train"] = fast.is_of_few
        return trained

    @property
    def frozen(self) -> Array:
        """Return what `frozen` says of the examples that were held out."""
        if self.found is not None:
            return self.found.probabilities
        return self.fast.selection.head.probabilities(self.fast.seen.features[self.rows])

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
            if number and seconds > self.trainer.clock.left:
                continue  # a cheaper one may have the time
            try:
                state = self._learn_all(way, everyone, number)
            except OutOfTime:
                break
            soup.add(way.recipe.title, way.recipe.cut, [state], tried[-1])
        material = self.trainer.material(self.trainer.recipe_of(soup.cut), everyone)
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
            strength=self.trainer.strength,
        )
        return trained if found else claiming_naively(assignment, trained, self.fast)

    def _affordable(self, ways: Sequence[Answer]) -> list[Answer]:
        """Return the ways in their order, those last of which not even one training on all examples is in time."""
        left = self.trainer.clock.left
        return sorted(ways, key=lambda way: self._seconds_on_all(way.recipe, way.seconds_per_epoch) > left)

    def _learn_all(self, way: Answer, everyone: Split, number: int) -> State:
        """Train on all examples, from draw after draw; only the first may take more time than there is."""
        material = self.trainer.material(way.recipe, everyone)
        return self.trainer.learn_all(way.recipe, material, way.curve, number)


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
