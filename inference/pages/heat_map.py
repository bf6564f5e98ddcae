"""A class activation map as a picture to lay over the photo."""

import base64
import io

import numpy as np
from PIL import Image

from models_registry.artifacts.explanations import ActivationMap

SIDE = 128  # the browser smooths it further
# From faint to strong: indigo, violet, rose, amber, a pale yellow. What says nothing is transparent.
STOPS = (0.0, 0.3, 0.55, 0.8, 1.0)
COLOURS = ((49, 46, 129), (126, 34, 176), (225, 45, 92), (251, 146, 30), (255, 243, 160))
OPACITIES = (0.0, 0.35, 0.6, 0.72, 0.8)


def heat_picture(found: ActivationMap) -> str:
    """Return a data address of a square PNG that covers the centre square of the photo."""
    # The wider side of the box is the part of the shorter side of the photo that the network saw.
    inner = round(SIDE * min(1.0, max(found.box[2:])))
    rows = Image.fromarray(np.asarray(found.rows, np.float32))
    smooth = np.clip(np.asarray(rows.resize((inner, inner), Image.Resampling.BICUBIC)), 0, 1)
    channels = [np.interp(smooth, STOPS, [colour[band] for colour in COLOURS]) for band in range(3)]
    channels.append(255 * np.interp(smooth, STOPS, OPACITIES))
    heat = Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))
    square = Image.new("RGBA", (SIDE, SIDE))
    square.paste(heat, ((SIDE - inner) // 2, (SIDE - inner) // 2))
    buffer = io.BytesIO()
    square.save(buffer, "PNG", compress_level=9)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
