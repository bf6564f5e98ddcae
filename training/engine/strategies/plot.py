"""The accuracy plot: a small PNG that lives inside a JSON document."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator
from PIL import Image

from ..loop.loop import Epoch
from .linear_head import PathPoint

MAX_CHARACTERS = 16_000  # of base64, which is a third longer than the file
SEEN = 0.05  # per cent: a smaller difference cannot be read
COLOURS = (64, 32, 16, 8)
# Margins that fit any percentage: to find them for each plot anew takes longer than to draw it.
MARGINS = {"left": 0.125, "right": 0.985, "bottom": 0.15, "top": 0.975}
TRAINING, VALIDATION, BASELINE, INK = "#8a94a6", "#1f6feb", "#c2410c", "#334155"


@dataclass(frozen=True)
class AccuracyCurve:
    """Accuracies (0…1) along an axis, and the place of the point that was chosen."""

    places: Sequence[float]
    trained: Sequence[float]
    validated: Sequence[float]
    chosen: int


def draw_path(points: Sequence[PathPoint], chosen: int, majority_baseline: float, published: float) -> str:
    """Return a base64 PNG of accuracy against regularisation, with the chosen point and what was published."""
    figure, axes = _empty()
    axes.set_xscale("log")
    # As plain numbers: powers are set by a parser that takes longer than all the rest.
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.7g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("freedom of the classifier (1 / regularisation)", color=INK)
    freedom = [1 / point.strength for point in points]
    trained = [point.train_accuracy for point in points]
    validated = [point.validation_accuracy for point in points]
    _draw(axes, AccuracyCurve(freedom, trained, validated, chosen), majority_baseline, published)
    return encode(figure)


def draw_epochs(epochs: Sequence[Epoch], best_epoch: int, majority_baseline: float, published: float) -> str:
    """Return a base64 PNG of accuracy against epochs, with the best one marked and what was published."""
    figure, axes = _empty()
    axes.set_xlabel("epoch", color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    trained = [epoch.train_accuracy for epoch in epochs]
    validated = [epoch.validation_accuracy for epoch in epochs]
    _draw(
        axes,
        AccuracyCurve([epoch.epoch for epoch in epochs], trained, validated, best_epoch - 1),
        majority_baseline,
        published,
    )
    return encode(figure)


def _empty() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.4, 3.6), dpi=100)
    figure.subplots_adjust(**MARGINS)
    return figure, figure.add_subplot()


def _draw(axes: Axes, curve: AccuracyCurve, majority_baseline: float, published: float) -> None:
    trained, validated = ([100 * value for value in values] for values in (curve.trained, curve.validated))
    place, best = curve.places[curve.chosen], validated[curve.chosen]
    axes.plot(curve.places, trained, color=TRAINING, marker="o", markersize=3, label="training set")
    axes.plot(
        curve.places, validated, color=VALIDATION, marker="o", markersize=4, lw=2, label="validation set"
    )
    axes.axhline(100 * majority_baseline, color=BASELINE, linestyle=":", label="always the largest class")
    if abs(100 * published - best) >= SEEN:
        label = f"published: {100 * published:.1f} %"
        axes.axhline(100 * published, color=VALIDATION, linestyle="--", lw=1, label=label)
    axes.plot(place, best, "o", ms=11, mfc="none", mec=VALIDATION, mew=1.5)
    axes.annotate(
        f"{best:.1f} %",
        (place, best),
        xytext=(0, -20),
        textcoords="offset points",
        ha="center",
        color=VALIDATION,
        fontweight="bold",
    )
    axes.set_ylim(min(0.0, *validated), 104)
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f} %"))
    axes.set_ylabel("accuracy", color=INK)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", framealpha=1, edgecolor="none", fontsize=9)


def encode(figure: Figure) -> str:
    """Return a figure as base64 PNG of at most `MAX_CHARACTERS`, with as many colours as that allows."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.frombytes("RGBA", canvas.get_width_height(), bytes(canvas.buffer_rgba())).convert("RGB")
    for colours in COLOURS:
        buffer = io.BytesIO()
        picture.quantize(colours).save(buffer, "PNG", optimize=True)
        encoded = base64.b64encode(buffer.getvalue()).decode()
        if len(encoded) <= MAX_CHARACTERS:
            return encoded
    raise AssertionError("a plot of eight colours does not fit into its document")
