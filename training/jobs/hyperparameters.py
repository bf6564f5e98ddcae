"""What may be set about a training, in which range, and why: one table for forms, REST, shell and rows.

Plain data without Django. Ranges hold what older clients of the platform offer, and more. A value
that is missing or None leaves the choice to the strategy.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Number:
    """A number from `least` to `most`, both included; `why` tells what the ends are for."""

    least: float
    most: float
    why: str
    whole: bool = False

    def check(self, value: Any) -> int | float:
        """Return the value. Raises ValueError that says what is expected."""
        wanted = int if self.whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, wanted) or not math.isfinite(value):
            raise ValueError(f"give a {'whole ' if self.whole else ''}number from {self.span}")
        if not self.least <= value <= self.most:
            raise ValueError(f"{value:g} is not from {self.span}. {self.why}")
        return value if self.whole else float(value)

    @property
    def span(self) -> str:
        """Return the range in words."""
        return f"{plain(self.least)} to {plain(self.most)}"


@dataclass(frozen=True)
class Choice:
    """One of some words."""

    words: tuple[str, ...]
    why: str

    def check(self, value: Any) -> str:
        """Return the value. Raises ValueError that lists the words."""
        if value not in self.words:
            raise ValueError(f"{value!r} is none of {', '.join(self.words)}")
        return str(value)


@dataclass(frozen=True)
class Switch:
    """On or off."""

    why: str

    def check(self, value: Any) -> bool:
        """Return the value. Raises ValueError."""
        if not isinstance(value, bool):
            raise ValueError("give true or false")
        return value


Option = Number | Choice | Switch

LEARNING_RATE = Number(
    1e-6, 2, "Too large does not settle, too small takes for ever: 0.001 suits Adam and AdamW, 0.01 SGD."
)
BATCH_SIZE = Number(
    1, 1024, "Examples in one step: larger is faster for each example and needs more memory.", whole=True
)
EPOCHS = Number(
    1, 500, "Passes over the training part: more help until the validation loss stops falling.", whole=True
)
SEED = Number(
    0, 2**31 - 1, "Decides the split and every draw: the same data and seed give the same model.", whole=True
)
TRAIN_PERCENT = Number(
    10, 95, "The rest is the validation part, which the accuracy is measured on.", whole=True
)

PLATEAU: Mapping[str, Number] = {
    "factor": Number(0.01, 0.9, "The learning rate is multiplied by it."),
    "patience": Number(1, 100, "Epochs without progress before that.", whole=True),
    "min_lr": Number(1e-8, 2, "The learning rate never falls below it."),
}
PLATEAU_DEFAULTS: Mapping[str, Any] = {"factor": 0.1, "patience": 5, "min_lr": 1e-5}

STEP: Mapping[str, Number] = {
    "step_size": Number(1, 100, "Epochs between two steps.", whole=True),
    "gamma": Number(0.01, 0.99, "The learning rate is multiplied by it at each step."),
}
STEP_DEFAULTS: Mapping[str, Any] = {"step_size": 4, "gamma": 0.1}

ADVANCED: Mapping[str, Option] = {
    "one_cycle": Switch("Raises the learning rate and lowers it again over the whole training."),
    "early_stopping": Number(
        1, 100, "Epochs without a better validation loss before training ends.", whole=True
    ),
    "class_weights": Switch("Counts examples of small classes for more, so that they are not forgotten."),
    "augmentation": Choice(
        ("none", "light", "strong"),
        "Varies the training examples, so that a network learns what matters and not what happens to be.",
    ),
    "mixed_precision": Switch("Computes with half the digits where that is enough: faster on a GPU."),
    "gradient_clipping": Number(
        0.01, 100, "Longer gradients are cut to it, so that one step cannot ruin all."
    ),
    "label_smoothing": Number(
        0, 0.5, "Share of certainty withheld from each label, so that a model is less sure of itself."
    ),
    "trainable": Choice(
        ("head", "last", "all"), "Which layers fine-tuning changes: fewer are faster and need fewer examples."
    ),
}


class UnusableOptions(ValueError):
    """Options that cannot be used; `problems` maps each option to what to change."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__(" ".join(f"{name}: {words.rstrip('.')}." for name, words in problems.items()))
        self.problems = dict(problems)


def check_options(given: Any, known: Mapping[str, Option], *, complete: bool = False) -> dict[str, Any]:
    """Return the options that are set, each within its range; `complete` wants every one.

    Raises `UnusableOptions` that names all that cannot be used.
    """
    if not isinstance(given, Mapping):
        raise UnusableOptions({"options": f"give an object with {', '.join(known)}"})
    problems = {
        str(name): f"is not known; known are {', '.join(known)}" for name in given if name not in known
    }
    kept: dict[str, Any] = {}
    for name, option in known.items():
        value = given.get(name)
        if value is None:
            if complete:
                problems[name] = "is missing"
            continue
        try:
            kept[name] = option.check(value)
        except ValueError as error:
            problems[name] = str(error)
    if problems:
        raise UnusableOptions(problems)
    return kept


@dataclass(frozen=True)
class Defaults:
    """What a strategy works with when nothing is chosen."""

    optimizer: str
    learning_rate: float
    batch_size: int
    epochs: int


# What the trainers work with; a test holds them to it. The frozen strategy computes its layer directly:
# its values are what training.json shows of it.
DEFAULTS: Mapping[tuple[str, str, str], Defaults] = {
    ("frozen", "", ""): Defaults("adam", 1e-3, 32, 10),
    ("finetune", "image", "head"): Defaults("adamw", 1e-3, 32, 8),
    ("finetune", "image", "last"): Defaults("adamw", 1e-3, 32, 3),
    ("finetune", "image", "all"): Defaults("adamw", 5e-4, 32, 10),
    ("finetune", "encoder", "head"): Defaults("adamw", 1e-3, 32, 4),
    ("finetune", "encoder", "last"): Defaults("adamw", 1e-3, 32, 3),
    ("finetune", "encoder", "all"): Defaults("adamw", 2e-4, 32, 4),
    ("finetune", "recurrent", "all"): Defaults("adam", 2e-3, 32, 6),
    ("scratch", "image", ""): Defaults("adamw", 2e-3, 32, 30),
    ("scratch", "encoder", ""): Defaults("adamw", 5e-4, 32, 20),
    ("scratch", "recurrent", ""): Defaults("adamw", 3e-3, 64, 15),
}
SGD_FACTOR = 10.0  # on the learning rate of the others


def defaults_of(strategy: str, kind: str, *, trainable: str = "", optimizer: str = "") -> Defaults:
    """Return what a strategy works with when nothing else is chosen. Raises KeyError.

    `kind` is image, encoder or recurrent. `trainable` and `optimizer` are what was chosen of them, if
    anything: other layers and optimizers want other learning rates. Which layers are best is chosen by
    the size of the data and the device; what is returned is for a CPU.
    """
    if strategy == "frozen":
        found = DEFAULTS[strategy, "", ""]
    elif strategy == "finetune":
        found = DEFAULTS[strategy, kind, "all" if kind == "recurrent" else trainable or "last"]
    else:
        found = DEFAULTS[strategy, kind, ""]
    if strategy != "frozen" and optimizer == "sgd":
        return replace(found, learning_rate=found.learning_rate * SGD_FACTOR)
    return found


def plain(number: float) -> str:
    """Return a number without an exponent: 0.00001, 1,024."""
    if float(number).is_integer():
        return f"{int(number):,}"
    return f"{number:.10f}".rstrip("0")
