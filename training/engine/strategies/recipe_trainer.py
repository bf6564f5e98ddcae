"""How *Best* trains one of its recipes on some of the examples: what its epochs read, what its head knows before."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..data import Split
from ..events import Progress, RankedAnswer
from ..export.classifier import Head
from ..loop.inputs import Source, Tokens
from ..loop.loop import Classifier, Epoch, RunContext, epoch_seconds, fit, predict, refit
from ..networks.backbones import PreparedBackbone
from ..networks.stages import Network, State, token_table
from .base import Assignment
from .contest import Announced, Clock, Recipe
from .features import decode, extract
from .finetune import Fast, Feeding, compact_table, tokens_of
from .linear_head import Array, refit_head
from .network_training import Material, choose_arithmetic, known_head, task_of


@dataclass(frozen=True)
class Learnt:
    """What a recipe has made of a split: a network, probabilities, N × classes, of what was held out, and epochs."""

    classifier: Classifier
    probabilities: Array
    epochs: Sequence[Epoch]


@dataclass(frozen=True)
class RecipeTrainer:
    """What the trainings of all recipes have in common.

    `network` is the pretrained one, untouched; `first` what the cheapest recipe trains on, `fast` what the strategy
    `frozen` knows of the examples, and `strength` the regularisation of the heads that networks start from. `board` is
    what people are shown meanwhile.
    """

    assignment: Assignment
    clock: Clock
    backbone: PreparedBackbone
    network: Network
    first: Material
    fast: Fast
    strength: float
    board: list[RankedAnswer] = field(default_factory=list)
    _sources: dict[int, tuple[int, Source]] = field(default_factory=dict)
    _heads: dict[Split, Head] = field(default_factory=dict)

    def learn(self, recipe: Recipe, material: Material) -> Learnt:
        """Train a recipe, and return what it says of the examples that are held out."""
        classifier, context = self.classifier(material), self._context(recipe, material)
        shown, task = self._announced(recipe.title), task_of(material)
        fitted = fit(classifier, task, recipe.config, context, progress=shown, checkpoints=None)
        return Learnt(classifier, fitted.probabilities, fitted.epochs)

    def learn_all(self, recipe: Recipe, material: Material, epochs: Sequence[Epoch], number: int) -> State:
        """Train on all examples, with draws of the number's own; only the first, 0, may take more time than there is.

        `epochs` are those of a training that held some out.
        """
        classifier, context = self.classifier(material), self._context(recipe, material)
        context = replace(context, seed=self.assignment.request.seed + number)
        shown = self._announced(f"{recipe.title} on all examples", may_end_later=not number)
        refit(classifier, task_of(material), recipe.config, context, progress=shown, epochs=epochs)
        return classifier.trained_state()

    def say(self, classifier: Classifier, recipe: Recipe, material: Material) -> Array:
        """Return what a mean of networks says of the examples that are held out, N × classes."""
        shown, context = self._announced("Mean of the networks"), self._context(recipe, material)
        return predict(classifier, task_of(material), recipe.config, context, progress=shown)

    def epoch_seconds(self, recipe: Recipe, material: Material) -> float:
        """Return about how long an epoch takes."""
        classifier, context = self.classifier(material), self._context(recipe, material)
        shown = self._announced(recipe.title)
        return epoch_seconds(classifier, task_of(material), recipe.config, context, progress=shown)

    def recipe_of(self, cut: int) -> Recipe:
        """Return one that trains the stages from a cut on, in whatever way."""
        return Recipe("", cut, self.assignment.train_config("last" if cut else "all"))

    def is_ready(self, recipe: Recipe) -> bool:
        """Return whether what a recipe reads is at hand."""
        return recipe.cut == self.first.cut or recipe.cut in self._sources

    def material(self, recipe: Recipe, split: Split) -> Material:
        """Return what a recipe trains on; its head knows the training part only."""
        begin, source = self._source(recipe)
        network, tokens = copy.deepcopy(self.network), self.first.tokens
        table = token_table(network) if isinstance(source, Tokens) else None
        if table is not None:
            assert isinstance(source, Tokens)
            tokens, source = compact_table(network, source.sequences)
        return replace(
            self.first,
            network=network,
            head=known_head(self._head(split)),
            source=source,
            split=split,
            start=begin,
            cut=recipe.cut,
            tokens=tokens,
            table=table,
        )

    def classifier(self, material: Material) -> Classifier:
        """Return an untrained copy of the network with its head."""
        network, head = copy.deepcopy(material.network), copy.deepcopy(material.head)
        return Classifier(network, head, start=material.start, cut=material.cut)

    def _announced(self, title: str, *, may_end_later: bool = False) -> Progress:
        whole = self.assignment.progress
        return Announced(whole, self.clock, title, self.board, may_end_later=may_end_later)

    def _context(self, recipe: Recipe, material: Material) -> RunContext:
        assignment = self.assignment
        unit = "images" if assignment.architecture.reads_images else "texts"
        arithmetic = choose_arithmetic(assignment, material, self.classifier(material), recipe.config)
        seed = assignment.request.seed + recipe.draw - 1
        return RunContext(assignment.device, seed, unit, arithmetic=arithmetic)

    def _head(self, split: Split) -> Head:
        """Return the head on pretrained features that knows a split's training part."""
        if split not in self._heads:
            fast, train = self.fast, list(split.train)
            nothing = Head(np.zeros_like(fast.selection.head.weight), np.zeros_like(fast.selection.head.bias))
            features = fast.seen.only(train).with_labels(fast.examples.labels[train])
            check = self.assignment.progress.check
            self._heads[split] = refit_head(*features, nothing, self.strength, check=check)
        return self._heads[split]

    def _source(self, recipe: Recipe) -> tuple[int, Source]:
        """Return at which stage a recipe's epochs begin, and what they read; computed once for each cut."""
        if recipe.cut == self.first.cut:
            return self.first.start, self.first.source
        if recipe.cut not in self._sources:
            self._sources[recipe.cut] = self._look_again(recipe)
        return self._sources[recipe.cut]

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
