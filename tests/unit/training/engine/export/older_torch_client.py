"""Run with a torch of years ago: `python older_torch_client.py CALLS.json ANSWERS.npz`.

A call names a .pt and either an .npz with the network's inputs in their order, or image files, which are prepared as
Flash's `infer` does: Resize(255), CenterCrop(224), ImageNet's mean and standard deviation. The steps are
torchvision's of that time, written out. Nothing of the platform is imported here.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])


def prepared_as_flash_does(path: str) -> torch.Tensor:
    image = Image.open(path).convert("RGB")
    width, height = image.size
    short, long = min(width, height), max(width, height)
    scaled = int(255 * long / short)
    size = (255, scaled) if width <= height else (scaled, 255)
    image = image.resize(size, Image.BILINEAR)
    left, top = round((image.width - 224) / 2), round((image.height - 224) / 2)
    pixels = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32) / 255
    return torch.from_numpy(((pixels - MEAN) / STD).transpose(2, 0, 1).copy())


def answer(call: dict[str, Any]) -> np.ndarray:
    network = torch.jit.load(call["network"], map_location="cpu").eval()
    if "images" in call:
        inputs = [torch.stack([prepared_as_flash_does(path) for path in call["images"]])]
    else:
        with np.load(call["inputs"]) as arrays:
            inputs = [torch.from_numpy(arrays[name]) for name in call["order"]]
    with torch.no_grad():
        return network(*inputs).softmax(-1).numpy()


if __name__ == "__main__":
    asked = json.loads(Path(sys.argv[1]).read_text())
    np.savez(sys.argv[2], version=torch.__version__, **{call["name"]: answer(call) for call in asked})
