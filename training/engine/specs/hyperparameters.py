"""The hyperparameters: what may be set about a training, in which range, and why.

Ranges hold what older clients of the platform offer, and more. Forms, REST, the shell, rows and trainers
derive from the fields of `Hyperparameters`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace

from .options import Choice, Group, Number, Option, Switch, Values

# Of a job, whatever its strategy.
SEED = Number(
    "Seed",
    0,
    2**31 - 1,
    "Decides the split and every draw: the same data and seed give the same model.",
    whole=True,
    default=0,
)
TRAIN_PERCENT = Number(
    "Training split, in percent",
    10,
    95,
    "The rest is the validation set, which the accuracy is measured on.",
    whole=True,
    default=70,
)

BUDGET = Number(
    "Budget, in minutes",
    1,
    1440,
    "How long Best may try out ways to train; the other presets take the time that they need.",
    whole=True,
)
OPTIMIZER = Choice(
    "Optimizer",
    {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"},
    "Adam and AdamW find their own step sizes; SGD often ends a little better when the learning rate is right.",
)
LEARNING_RATE = Number(
    "Learning rate",
    1e-6,
    2,
    "Too large does not settle, too small takes for ever: 0.001 suits Adam and AdamW, 0.01 SGD.",
)
BATCH_SIZE = Number(
    "Batch size",
    1,
    1024,
    "Examples in one step: larger is faster for each example and needs more memory.",
    whole=True,
)
EPOCHS = Number(
    "Epochs",
    1,
    500,
    "Passes over the training set: more help until the validation loss stops falling.",
    whole=True,
)
LAYERS = Choice(
    "Trainable layers",
    {"head": "Head", "last": "Last", "all": "All"},
    "Which layers fine-tuning changes: fewer are faster and need fewer examples.",
)
AUGMENTATION = Choice(
    "Augmentation",
    {"none": "None", "light": "Light", "strong": "Strong"},
    "Varies the training examples, so that a network learns what matters and not what happens to be.",
)
EARLY_STOPPING = Number(
    "Early stopping",
    1,
    100,
    "Epochs without a better validation loss before training ends.",
    whole=True,
)
CLASS_WEIGHTS = Switch(
    "Class weights", "Counts examples of small classes for more, so that they are not forgotten."
)
LABEL_SMOOTHING = Number(
    "Label smoothing",
    0,
    0.5,
    "Share of certainty withheld from each label, so that a model is less sure of itself.",
)
GRADIENT_CLIPPING = Number(
    "Gradient clipping", 0.01, 100, "Longer gradients are cut to it, so that one step cannot ruin all."
)
MIXED_PRECISION = Switch(
    "Mixed precision", "Computes with half the digits where that is enough: faster on a GPU."
)
ONE_CYCLE = Switch(
    "One-cycle learning rate", "Raises the learning rate and lowers it again over the whole training."
)
PLATEAU = Group(
    "Reduce the learning rate on a plateau",
    "Takes smaller steps once the validation loss has stopped falling.",
    {
        "factor": Number("Factor", 0.01, 0.9, "The learning rate is multiplied by it.", default=0.1),
        "patience": Number("Patience", 1, 100, "Epochs without progress before that.", whole=True, default=5),
        "min_lr": Number(
            "Smallest learning rate", 1e-8, 2, "The learning rate never falls below it.", default=1e-5
        ),
    },
)
STEP = Group(
    "Lower the learning rate in steps",
    "Takes smaller steps after a fixed number of epochs, whatever the loss does.",
    {
        "step_size": Number("Step size", 1, 100, "Epochs between two steps.", whole=True, default=4),
        "gamma": Number(
            "Gamma", 0.01, 0.99, "The learning rate is multiplied by it at each step.", default=0.1
        ),
    },
)


def _in_documents(option: Option) -> dict[str, object]:
    """Describe what training.json sets as well: a job's row has a column for it."""
    return {"option": option, "in_documents": True}


def _advanced(option: Option) -> dict[str, object]:
    """Describe what forms, REST and the shell set only: a job's row keeps all of it in `advanced`."""
    return {"option": option, "in_documents": False}


@dataclass(frozen=True)
class Hyperparameters:
    """What was set; None leaves a choice to the strategy, and {} says that a schedule is off.

    A strategy that trains no network needs none of them.
    """

    optimizer: str | None = field(default=None, metadata=_in_documents(OPTIMIZER))
    learning_rate: float | None = field(default=None, metadata=_in_documents(LEARNING_RATE))
    batch_size: int | None = field(default=None, metadata=_in_documents(BATCH_SIZE))
    epochs: int | None = field(default=None, metadata=_in_documents(EPOCHS))
    trainable: str | None = field(default=None, metadata=_advanced(LAYERS))
    augmentation: str | None = field(default=None, metadata=_advanced(AUGMENTATION))
    early_stopping: int | None = field(default=None, metadata=_advanced(EARLY_STOPPING))
    class_weights: bool | None = field(default=None, metadata=_advanced(CLASS_WEIGHTS))
    label_smoothing: float | None = field(default=None, metadata=_advanced(LABEL_SMOOTHING))
    gradient_clipping: float | None = field(default=None, metadata=_advanced(GRADIENT_CLIPPING))
    mixed_precision: bool | None = field(default=None, metadata=_advanced(MIXED_PRECISION))
    one_cycle: bool | None = field(default=None, metadata=_advanced(ONE_CYCLE))
    budget_minutes: int | None = field(default=None, metadata=_advanced(BUDGET))
    reduce_lr_on_plateau: Values | None = field(default=None, metadata=_in_documents(PLATEAU))
    step_lr: Values | None = field(default=None, metadata=_in_documents(STEP))


@dataclass(frozen=True)
class TrainConfig:
    """All settings of one training, each with a value: what was set, and a strategy's choices."""

    optimizer: str
    learning_rate: float
    batch_size: int
    epochs: int
    one_cycle: bool = False
    step_lr: Values = field(default_factory=dict)
    reduce_lr_on_plateau: Values = field(default_factory=dict)
    early_stopping: int = 0  # epochs; 0 for never
    class_weights: bool = False
    label_smoothing: float = 0.0
    gradient_clipping: float = 0.0  # of the gradient's norm; 0 for none
    augmentation: str = "none"
    mixed_precision: bool = False


def completed(given: Hyperparameters, default: TrainConfig) -> TrainConfig:
    """Return the settings of a training: what was set, and a strategy's default for the rest.

    A schedule that was set takes the place of a one-cycle that was not.
    """
    known = {one.name for one in fields(TrainConfig)}
    chosen = {name: value for name, value in vars(given).items() if name in known and value is not None}
    if given.step_lr or given.reduce_lr_on_plateau:
        chosen["one_cycle"] = False
    return replace(default, **chosen)


def contradiction(given: Mapping[str, object]) -> str:
    """Return why hyperparameters that were set cannot be used together; "" when they can."""
    if given.get("one_cycle") and (given.get("reduce_lr_on_plateau") or given.get("step_lr")):
        return (
            "One-cycle sets the learning rate of every step, so it leaves nothing to a plateau or to steps. "
            "Choose one of the three."
        )
    return ""


def _options(wanted: Callable[[bool], bool]) -> dict[str, Option]:
    found = fields(Hyperparameters)
    return {one.name: one.metadata["option"] for one in found if wanted(one.metadata["in_documents"])}


OPTIONS: Mapping[str, Option] = _options(lambda _: True)
IN_DOCUMENTS: Mapping[str, Option] = _options(lambda in_documents: in_documents)
ADVANCED: Mapping[str, Option] = _options(lambda in_documents: not in_documents)
