"""Predictions on a model's page: the most probable classes and their explanations."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from django.conf import settings

from core.exceptions import InvalidRequest
from models_registry.artifacts.explanations import ActivationMap, Explanation, NoExplanation, WordImportance
from models_registry.models import RegisteredModel

from ..predict.services import explain, predict
from .forms import ImagesForm, TextsForm
from .heat_map import heat_picture

TOP_SHOWN = 5
ALWAYS_SHOWN = 3  # further classes only when they have a percent or more
STRENGTHS = 5
FAINT = 0.1  # of the strongest word; what has less is shown as plain text
LEAST_SCALE = 0.02  # a probability: where all words have less, none is strong


@dataclass(frozen=True)
class Segment:
    """A piece of a text: `speaks` "for" or "against" the label, so strongly (1 to 5), or not at all ("").

    `points` are the percentage points by which the label's probability changes when it is left out.
    """

    text: str
    speaks: str = ""
    strength: int = 0
    points: float = 0.0


@dataclass(frozen=True)
class ShownPrediction:
    """What a model says of one input; `top` holds classes and percent, the best first.

    `heat` is a picture to lay over the photo, `segments` are the text in pieces, `unexplained` says why
    there is neither.
    """

    index: int
    name: str
    label: str
    top: list[tuple[str, float]]
    heat: str = ""
    segments: list[Segment] = field(default_factory=list)
    unexplained: str = ""


def try_inputs(model: RegisteredModel, form: ImagesForm | TextsForm) -> dict[str, object]:
    """Run the model on a form's inputs, with explanations unless there are many. Raises `TrainyardError`."""
    if not form.is_valid():
        raise InvalidRequest(" ".join(str(error) for errors in form.errors.values() for error in errors))
    inputs, most = form.inputs(), settings.TRAINYARD["MAX_EXPLAINED_INPUTS"]
    answer = (explain if len(inputs) <= most else predict)(token=model.shown_token, inputs=inputs)
    shown = [
        ShownPrediction(
            index=index,
            name=name,
            label=prediction.label,
            top=_worth_showing([(label, 100 * probability) for label, probability in prediction.top]),
            **(_shown(name, answer.explanations[index]) if answer.explanations else {}),
        )
        for index, (name, prediction) in enumerate(zip(form.names, answer.predictions, strict=True))
    ]
    return {
        "predictions": shown,
        "milliseconds": answer.milliseconds,
        "has_heat": any(one.heat for one in shown),
        "has_words": any(one.segments for one in shown),
        "unexplained": next((one.unexplained for one in shown if one.unexplained), ""),
        "most_explained": most if len(inputs) > most else None,
    }


def _shown(text: str, why: Explanation) -> dict[str, Any]:
    match why:
        case ActivationMap():
            return {"heat": heat_picture(why)}
        case WordImportance():
            return {"segments": list(segments_of(text, why))}
        case NoExplanation():
            return {"unexplained": why.reason}


def segments_of(text: str, why: WordImportance) -> Iterator[Segment]:
    """Yield the whole text in pieces, those that matter on their own."""
    scale = max([LEAST_SCALE, *(abs(word.importance) for word in why.words)])
    shown = 0
    for word in why.words:
        share = abs(word.importance) / scale
        if share < FAINT:
            continue
        if word.start > shown:
            yield Segment(text[shown : word.start])
        speaks = "for" if word.importance > 0 else "against"
        yield Segment(text[word.start : word.end], speaks, ceil(STRENGTHS * share), 100 * word.importance)
        shown = word.end
    if shown < len(text):
        yield Segment(text[shown:])


def _worth_showing(top: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Return the first classes and those after them that the model takes seriously; in percent."""
    return [place for rank, place in enumerate(top[:TOP_SHOWN]) if rank < ALWAYS_SHOWN or place[1] >= 1]
