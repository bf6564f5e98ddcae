"""The result of a batch: one line of CSV for each input, in the order of the inputs. Knows no Django.

Columns: `file` or `row`, for texts `text`, then `label`, `probability`, `top` (a JSON object of the
likeliest classes, best first) and `problem`, which is empty unless the input could not be used.
"""

import csv
import io
import json
import unicodedata
from collections.abc import Iterator, Sequence

from models_registry.artifacts import InvalidInput, Prediction
from models_registry.artifacts.metadata import IMAGE_CLASSIFICATION, TEXT_CLASSIFICATION
from models_registry.artifacts.sandbox import AnyPredictor

from .sources import Item

# A spreadsheet takes a cell that begins so for a formula (OWASP, "CSV Injection").
FORMULA_STARTS = frozenset("=+-@−")  # and their other widths, which some take for the same
CONTROLS_BEFORE = ("\t", "\r", "\n")  # some leave these away at a cell's start
UNSEEN = frozenset(("Cc", "Cf", "Zl", "Zp", "Zs"))  # Unicode's categories of invisible characters
DIGITS = 6
COLUMNS = {
    IMAGE_CLASSIFICATION: ["file", "label", "probability", "top", "problem"],
    TEXT_CLASSIFICATION: ["row", "text", "label", "probability", "top", "problem"],
}


def heading(task_type: str) -> str:
    """Return the result's first line."""
    return _lines([COLUMNS[task_type]])


def classify(predictor: AnyPredictor, items: Sequence[Item]) -> Iterator[Prediction | str]:
    """Yield for each input its prediction, or why there is none."""
    usable = [item.content for item in items if not item.problem]
    predictions = iter(_predict_each(predictor, usable))
    for item in items:
        yield item.problem or next(predictions)


def write_lines(items: Sequence[Item], outcomes: Sequence[Prediction | str]) -> str:
    """Return the lines of some inputs."""
    return _lines([_cells(item, outcome) for item, outcome in zip(items, outcomes, strict=True)])


def escape(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: with an apostrophe before what looks like one."""
    first = next((sign for sign in cell if unicodedata.category(sign) not in UNSEEN), "")
    looks_like_one = unicodedata.normalize("NFKC", first)[:1] in FORMULA_STARTS
    return f"'{cell}" if looks_like_one or cell.startswith(CONTROLS_BEFORE) else cell


def _predict_each(predictor: AnyPredictor, contents: Sequence[bytes | str]) -> list[Prediction | str]:
    """Predict all at once; one by one when some are unusable."""
    if not contents:
        return []
    try:
        return list(predictor.predict(contents))
    except InvalidInput as error:
        if len(contents) == 1:
            return [str(error)]
    half = len(contents) // 2
    return _predict_each(predictor, contents[:half]) + _predict_each(predictor, contents[half:])


def _cells(item: Item, outcome: Prediction | str) -> list[str]:
    told = [item.place, item.content] if isinstance(item.content, str) else [item.place]
    if isinstance(outcome, str):
        return [*map(escape, told), "", "", "", escape(outcome)]
    top = {label: round(probability, DIGITS) for label, probability in outcome.top}
    probability = f"{outcome.probability:.{DIGITS}f}"
    return [*map(escape, told), escape(outcome.label), probability, json.dumps(top, ensure_ascii=False), ""]


def _lines(rows: Sequence[Sequence[str]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()
