"""What a training tells of its epochs, as facts and as lines to draw; plain functions of plain data."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

WIDTH, HEIGHT = 320, 120  # of a drawing, in its own units
LEAST_POINTS = 2  # fewer make no line


@dataclass(frozen=True)
class Line:
    """A line of a chart: `points` as SVG's polyline wants them, `last` the newest value in words."""

    label: str
    style: str
    points: str
    last: str


@dataclass(frozen=True)
class Chart:
    """Lines on one scale, from `low` to `high`, over the epochs 1 to `epochs`."""

    title: str
    lines: Sequence[Line]
    low: str
    high: str
    epochs: int

    @property
    def summary(self) -> str:
        """Return what the chart shows for those who do not see it."""
        return f"{self.title}: " + ", ".join(f"{line.label} {line.last}" for line in self.lines)


def facts_of(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what is worth saying about a training that runs: label and value."""
    found = []
    epoch, epochs = metrics.get("epoch"), metrics.get("epochs")
    if _is_number(epoch) and _is_number(epochs):
        found.append(("Epoch", f"{epoch} of {epochs}"))
    for name, label, write in (
        ("loss", "Loss", _plain),
        ("accuracy", "Training part right", _percent),
        ("validation_accuracy", "Validation part right", _percent),
        ("images_per_second", "Images per second", _rate),
        ("texts_per_second", "Texts per second", _rate),
    ):
        value = metrics.get(name)
        if _is_number(value):
            found.append((label, write(float(value))))
    return found


def charts_of(metrics: Mapping[str, Any]) -> list[Chart]:
    """Return the charts of the epochs so far; none before there are two."""
    curve = [row for row in metrics.get("curve") or [] if isinstance(row, Mapping)]
    if len(curve) < LEAST_POINTS:
        return []
    told = metrics.get("epochs")
    epochs = max(len(curve), int(told) if _is_number(told) else 0)
    accuracy = {"train_accuracy": "training", "validation_accuracy": "validation"}
    loss = {"train_loss": "training", "validation_loss": "validation"}
    charts = [
        _chart("Accuracy", curve, epochs, accuracy, _percent, top=1.0),
        _chart("Loss", curve, epochs, loss, _plain, bottom=0.0),
    ]
    return [chart for chart in charts if chart is not None]


def _chart(
    title: str,
    curve: Sequence[Mapping[str, Any]],
    epochs: int,
    names: Mapping[str, str],
    write: Any,
    *,
    bottom: float | None = None,
    top: float | None = None,
) -> Chart | None:
    values = {name: _column(curve, name) for name in names}
    values = {name: column for name, column in values.items() if column}
    if not values:
        return None
    everything = [value for column in values.values() for value in column]
    low = min(everything) if bottom is None else bottom
    high = max(everything) if top is None else top
    lines = [
        Line(names[name], names[name], _points(column, low, high, epochs), write(column[-1]))
        for name, column in values.items()
    ]
    return Chart(title, lines, write(low), write(high), epochs)


def _column(curve: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """Return a figure of every epoch; nothing when one of them has no number for it."""
    found = [float(value) for row in curve if _is_number(value := row.get(name))]
    return found if len(found) == len(curve) else []


def _points(column: Sequence[float], low: float, high: float, epochs: int) -> str:
    across, span = WIDTH / max(1, epochs - 1), (high - low) or 1.0
    return " ".join(
        f"{index * across:.1f},{HEIGHT - HEIGHT * min(1.0, max(0.0, (value - low) / span)):.1f}"
        for index, value in enumerate(column)
    )


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _plain(value: float) -> str:
    return f"{value:.3g}"


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
