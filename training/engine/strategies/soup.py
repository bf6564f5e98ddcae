"""The mean of the weights of networks that were trained in different ways from the same pretrained ones.

Such networks lie close enough for their mean to be a network as well, which answers about as all of them together and
takes the time and room of one (Wortsman et al., "Model soups: averaging weights of multiple fine-tuned models improves
accuracy without increasing inference time", 2022). They need not have trained the same stages: where one has left a
weight as it was, the pretrained one counts.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from ..networks.stages import State
from .linear_head import Array


@dataclass
class Soup:
    """Networks whose weights are averaged, separately for each turn in which examples are held out.

    `titles` are the ways that were taken up, `cut` the least number of stages that one of them has left as they were.
    `sums` has for each turn the sums of what was trained, `counts` by how many ways each weight was. `probabilities`
    are what the means of the turns say of the examples that were held out, N × classes.
    """

    cut: int = 0
    titles: list[str] = field(default_factory=list)
    sums: list[State] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    probabilities: Array | None = None

    def __len__(self) -> int:
        return len(self.titles)

    @property
    def title(self) -> str:
        """Return what it is called on a leaderboard."""
        return self.titles[0] if len(self) == 1 else f"Mean of {len(self)} ways"

    def clear(self) -> None:
        """Begin anew."""
        self.titles.clear()
        self.sums.clear()
        self.counts.clear()
        self.probabilities = None

    def add(self, title: str, cut: int, states: Sequence[State], probabilities: Array) -> None:
        """Take up a way that was trained in every turn; `states` are what it has trained in each."""
        if not self.titles:
            self.cut, self.sums = cut, [{} for _ in states]
        self.cut = min(cut, self.cut)
        self.titles.append(title)
        self.counts.update(states[0].keys())
        for mine, more in zip(self.sums, states, strict=True):
            for name, value in more.items():
                mine[name] = mine[name] + value if name in mine else value
        self.probabilities = probabilities

    def mean(self, turn: int, pretrained: State, more: State | None = None) -> State:
        """Return the mean of a turn's networks and, where given, one more.

        `pretrained` has the weights that count where one has trained none: of all that any of them has trained.
        What is no real number, a count of batches, stays as it is there.
        """
        members = len(self) + (more is not None)
        found = {}
        for name, value in pretrained.items():
            trained = [
                part[name] for part in (self.sums[turn] if self.sums else {}, more or {}) if name in part
            ]
            left = members - self.counts[name] - (more is not None and name in more)
            is_mean = trained and value.is_floating_point()
            found[name] = sum(trained, start=left * value) / members if is_mean else value
        return found

    def of_all_turns(self) -> "Soup":
        """Return one in which the networks of all turns are averaged together."""
        turns = len(self.sums)
        names = {name for state in self.sums for name in state}
        total = {
            name: sum((state[name] for state in self.sums[1:]), start=self.sums[0][name]) for name in names
        }
        counts = Counter({name: turns * count for name, count in self.counts.items()})
        return Soup(self.cut, self.titles * turns, [total], counts, self.probabilities)

    def to_tensors(self) -> dict[str, object]:
        """Return what a checkpoint keeps; `from_tensors` the other way."""
        said = None if self.probabilities is None else torch.from_numpy(self.probabilities)
        kept = {"cut": self.cut, "titles": self.titles, "sums": self.sums, "probabilities": said}
        return {**kept, "counts": dict(self.counts)}

    @classmethod
    def from_tensors(cls, kept: Mapping[str, Any]) -> "Soup":
        """Read it."""
        said = kept["probabilities"]
        probabilities: Array | None = None if said is None else np.asarray(said)
        return cls(kept["cut"], kept["titles"], kept["sums"], Counter(kept["counts"]), probabilities)
