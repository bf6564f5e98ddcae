"""Make what the arithmetic of eight bits needs beside the code: `python -m devtools.eight_bits ranges ZIP | probe`.

`ranges` runs a packaged network on the photos of a zip with a folder for each class and writes down which numbers flow
through it (`training/engine/networks/ranges/`). `probe` makes the block of layers by which a machine is measured.
"""

import argparse
import json
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper, numpy_helper

from models_registry.artifacts.eight_bits import FOLDER, SHAPE
from training.engine.catalogue import get_architecture
from training.engine.export.quantized_images import calibrate, quantize_images
from training.engine.networks.backbones import get_backbone, ranges_file

PHOTOS, AT_ONCE = 240, 4
CHANNELS = 144  # of the block's middle
DIGITS = 4  # of a range


def main() -> None:
    """Read the command line and write the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    ranges = commands.add_parser("ranges")
    ranges.add_argument("photos", type=Path)
    ranges.add_argument("--network", default="efficientnet lite0")
    ranges.add_argument("--cache", type=Path, default=Path(".data/backbones"))
    commands.add_parser("probe")
    given = parser.parse_args()
    if given.command == "probe":
        write_probe()
    else:
        write_ranges(given.network, given.photos, given.cache)


def write_ranges(network: str, photos: Path, cache: Path) -> None:
    """Write the ranges of a network's tensors over some photos, drawn by a fixed seed."""
    architecture = get_architecture(network)
    preprocessing = architecture.image_preprocessing
    with zipfile.ZipFile(photos) as archive:
        names = [name for name in sorted(archive.namelist()) if not name.endswith("/")]
        chosen = np.random.default_rng(0).permutation(len(names))[:PHOTOS]
        pixels = [preprocessing.pixels(archive.read(names[place])) for place in chosen]
    batches = (preprocessing.normalise(pixels[at : at + AT_ONCE]) for at in range(0, len(pixels), AT_ONCE))
    found = calibrate(get_backbone(architecture, cache).onnx.read_bytes(), batches)
    path = ranges_file(architecture)
    path.parent.mkdir(exist_ok=True)
    rounded = [[float(f"{value:.{DIGITS}g}") for value in pair] for pair in found]
    digest = architecture.weights.digest(architecture.weights.path())
    lines = ",\n  ".join(json.dumps(pair) for pair in rounded)
    path.write_text(f'{{"weights": "{digest}", "ranges": [\n  {lines}\n]}}\n')
    print(f"{path}: {len(found)} tensors, {len(pixels)} photos")


def write_probe() -> None:
    """Write the block in floats and in eight bits. Its numbers are as large as bytes hold, where digits get lost."""
    full = block()
    (FOLDER / "float32.onnx").write_bytes(full)
    ranges = [(0.0, 1.0), (0.0, 6.0), (0.0, 6.0), (0.0, 6.0)]
    (FOLDER / "eight_bits.onnx").write_bytes(quantize_images(full, ranges))


def block() -> bytes:
    """Return a block of an inverted residual as .onnx: channels are widened, seen in their places, and narrowed."""
    outside = SHAPE[1]
    weights: dict[str, npt.NDArray[np.float32]] = {
        "widen": np.full((CHANNELS, outside, 1, 1), 6 / outside, np.float32),
        "see": np.full((CHANNELS, 1, 3, 3), 1 / 9, np.float32),
        "narrow": np.full((outside, CHANNELS, 1, 1), 6 / CHANNELS, np.float32),
        "least": np.array(0, np.float32),
        "most": np.array(6, np.float32),
    }
    weights |= {
        f"{name}.bias": np.zeros(len(weights[name]), np.float32) for name in ("widen", "see", "narrow")
    }
    nodes, value = [], "image"
    for name in ("widen", "see", "narrow"):
        side = weights[name].shape[-1]
        pads, group = [side // 2] * 4, CHANNELS if name == "see" else 1
        inputs = [value, name, f"{name}.bias"]
        nodes.append(helper.make_node("Conv", inputs, [f"{name}.sum"], pads=pads, group=group))
        value = f"{name}.out"
        nodes.append(helper.make_node("Clip", [f"{name}.sum", "least", "most"], [value]))
    nodes.append(helper.make_node("GlobalAveragePool", [value], ["features"]))
    given, found = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ("batch", None, None, None))
        for name in ("image", "features")
    )
    constants = [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "block", [given], [found], constants)
    content: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10
    ).SerializeToString()
    return content


if __name__ == "__main__":
    main()
