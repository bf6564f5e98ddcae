"""What a training tells of its epochs, as facts and as lines to draw; plain functions of plain data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..engine.events import RunningMetrics

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


def facts_of(metrics: RunningMetrics) -> list[tuple[str, str]]:
    """Return what is worth saying about a training that runs: label and value."""
    found = []
    if metrics.epoch is not None and metrics.epochs is not None:
        found.append(("Epoch", f"{metrics.epoch} of {metrics.epochs}"))
    for label, value, write in (
        ("Loss", metrics.loss, _plain),
        ("Training accuracy", metrics.accuracy, _percent),
        ("Validation accuracy", metrics.validation_accuracy, _percent),
        ("Images per second", metrics.images_per_second, _rate),
        ("Texts per second", metrics.texts_per_second, _rate),
    ):
        if value is not None:
            found.append((label, write(value)))
    return found


def charts_of(metrics: RunningMetrics) -> list[Chart]:
    """Return the charts of the epochs so far; none before there are two."""
    curve = metrics.curve or ()
    if len(curve) < LEAST_POINTS:
        return []
    epochs = max(len(curve), metrics.epochs or 0)
    accuracy = {
        "training": [row.train_accuracy for row in curve],
        "validation": [row.validation_accuracy for row in curve],
    }
    loss = {
        "training": [row.train_loss for row in curve],
        "validation": [row.validation_loss for row in curve],
    }
    charts = [
        _chart("Accuracy", accuracy, epochs, _percent, top=1.0),
        _chart("Loss", loss, epochs, _plain, bottom=0.0),
    ]
    return [chart for chart in charts if chart is not None]


def _chart(
    title: str,
    columns: Mapping[str, Sequence[float | None]],
    epochs: int,
    write: Callable[[float], str],
    *,
    bottom: float | None = None,
    top: float | None = None,
) -> Chart | None:
    """Return a chart of the columns that have a number for every epoch; None when none has."""
    complete = {label: known for label, column in columns.items() if (known := _complete(column))}
    if not complete:
        return None
    everything = [value for column in complete.values() for value in column]
    low = min(everything) if bottom is None else bottom
    high = max(everything) if top is None else top
    lines = [
        Line(label, label, _points(column, low, high, epochs), write(column[-1]))
        for label, column in complete.items()
    ]
    return Chart(title, lines, write(low), write(high), epochs)


def _complete(column: Sequence[float | None]) -> list[float]:
    known = [value for value in column if value is not None]
    return known if len(known) == len(column) else []


def _points(column: Sequence[float], low: float, high: float, epochs: int) -> str:
    across, span = WIDTH / max(1, epochs - 1), (high - low) or 1.0
    return " ".join(
        f"{index * across:.1f},{HEIGHT - HEIGHT * min(1.0, max(0.0, (value - low) / span)):.1f}"
        for index, value in enumerate(column)
    )


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _plain(value: float) -> str:
    return f"{value:.3g}"


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
