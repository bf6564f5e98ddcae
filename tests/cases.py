"""Files of the kinds that people really bring, what is expected of each, and how an answer is judged.

`cases.json` has the table: what a data set's report must hold, or the words with which the file must be refused. The
files lie beside the checkout, or where `TRAINYARD_CASES` says; where they do not, nearly all of them are here with
smaller pictures (`small_cases`).
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from .small_cases import unpacked

TABLE = Path(__file__).with_name("cases.json")
COLLECTION = Path(os.environ.get("TRAINYARD_CASES", Path(__file__).parents[2] / "shared" / "cases"))
FILES = COLLECTION if COLLECTION.is_dir() else unpacked()
OF_MODELS = ("I00-odd-images/", "I01-batch/", "T12-batch/")
OF_PHOTOS = ("T11-parquet/hf_images.parquet",)  # by its ending a table's
Verdict = Literal["well", "poorly", "wrongly"]


@dataclass(frozen=True)
class Expected:
    """What a person expects of a file: its classes and what is told of it, or why it is refused.

    `classes` is empty for a file that is refused. `told` are words of the report's warnings. Of a file that is handed
    to a model `inputs` counts what is classified, and `told` are words of why the others are not.
    """

    classes: Mapping[str, int] = field(default_factory=dict)
    told: Sequence[str] = ()
    refused: str = ""
    inputs: int = 0


@dataclass(frozen=True)
class Answer:
    """What was answered: the classes of an accepted file, and all that was said of it; `planned` by its plan.

    `inputs` are those of a batch, or of a single image, that were classified.
    """

    classes: Mapping[str, int]
    words: str
    planned: Mapping[str, int] | None = None
    has_failed: bool = False  # a fault of the platform
    inputs: int = 0


def expectations() -> dict[str, Expected]:
    """Return the table, by the file's path in the collection, as far as the files are here."""
    table = json.loads(TABLE.read_text())
    return {name: Expected(**said) for name, said in table.items() if (FILES / name).exists()}


def task_of(name: str) -> str:
    """Return the task that a file is handed in for."""
    is_image = name[0] in "ZI" or name in OF_PHOTOS
    return "imageclassification" if is_image else "textclassification"


def is_for_model(name: str) -> bool:
    """Tell whether a file is no data set but what a model is to classify: an image, or a batch."""
    return name.startswith(OF_MODELS)


def judge(expected: Expected, answer: Answer) -> tuple[Verdict, str]:
    """Return how a file was handled, and what is wrong with it.

    Well: as expected, by the plan as well. Wrongly: a fault, or a model of something else than the person meant.
    Poorly: refused although it can be read, or not told what is expected.
    """
    if answer.has_failed:
        return "wrongly", answer.words
    if expected.refused:
        if answer.classes or answer.inputs:
            return "wrongly", f"accepted with {dict(answer.classes) or answer.inputs}"
        return ("well", "") if expected.refused in answer.words else ("poorly", answer.words)
    if not (answer.classes or answer.inputs):
        return "poorly", f"refused: {answer.words}"
    if answer.classes != expected.classes or answer.inputs != expected.inputs:
        return "wrongly", f"classes {dict(answer.classes)}, inputs {answer.inputs}"
    if missing := [words for words in expected.told if words not in answer.words]:
        return "poorly", f"not told: {'; '.join(missing)}"
    if answer.planned is not None and answer.planned != answer.classes:
        return "poorly", f"planned {dict(answer.planned)}"
    return "well", ""
