import base64
import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from training.engine.strategies.linear_head import PathPoint
from training.engine.strategies.plot import MAX_CHARACTERS, draw_path, encode


@pytest.mark.parametrize("count", [1, 10])
def test_plot_is_a_small_picture(count: int) -> None:
    points = [PathPoint(10.0**-number, 0.5 + 0.04 * number, 0.5, 1.0, 1.0) for number in range(count)]
    encoded = draw_path(points, count - 1, 0.1, 0.9)
    with Image.open(io.BytesIO(base64.b64decode(encoded, validate=True))) as picture:
        assert (picture.format, picture.size) == ("PNG", (640, 360))
        assert len(picture.convert("RGB").getcolors(65_536) or []) > 4  # something is drawn
    assert len(encoded) <= MAX_CHARACTERS


def test_busy_plot_loses_colours_rather_than_growing() -> None:
    figure = Figure(figsize=(3.2, 1.8))
    axes = figure.add_subplot()
    axes.imshow(np.random.default_rng(0).random((30, 50)), cmap="viridis")
    assert len(encode(figure)) <= MAX_CHARACTERS
