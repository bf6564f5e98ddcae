"""TIFFs that Pillow does not read, or reads as something else."""

import struct

import pytest

from models_registry.artifacts import InvalidInput, decode_image

SHORT, LONG = 3, 4


def tiff(bits: int, samples: int, *, planes: int = 1, sample_format: int = 1) -> bytes:
    """Return a picture of two by two pixels of zeros, all in one strip, or in one for each colour."""
    strips = samples if planes == 2 else 1
    size = 4 * samples * bits // 8 // strips
    fields = [
        (256, LONG, 2), (257, LONG, 2), (258, SHORT, bits), (259, SHORT, 1), (262, SHORT, 1 if samples == 1 else 2),
        (277, SHORT, samples), (278, LONG, 2), (284, SHORT, planes), (339, SHORT, sample_format),
    ]  # fmt: skip
    places = {tag: (kind, [value] * (samples if tag in (258, 339) else 1)) for tag, kind, value in fields}
    data = b"\0" * (size * strips)
    places[273] = (LONG, [8 + size * strip for strip in range(strips)])
    places[279] = (LONG, [size] * strips)
    behind, directory = data, b""
    for tag, (kind, values) in sorted(places.items()):
        raw = struct.pack(f"<{len(values)}{'H' if kind == SHORT else 'I'}", *values)
        if len(raw) > 4:
            raw, behind = struct.pack("<I", 8 + len(behind)), behind + raw
        directory += struct.pack("<HHI4s", tag, kind, len(values), raw)
    head = b"II*\0" + struct.pack("<I", 8 + len(behind))
    return head + behind + struct.pack("<H", len(places)) + directory + b"\0" * 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(tiff(16, 3, planes=2), "colours of 16 bits apart", id="planes of 16 bits"),
        pytest.param(
            tiff(64, 1, sample_format=3), "pixels of a kind that is not read", id="64-bit fractions"
        ),
        pytest.param(tiff(8, 12), "pixels of a kind that is not read", id="many channels"),
        pytest.param(
            tiff(32, 3, sample_format=3), "pixels of a kind that is not read", id="colour in fractions"
        ),
    ],
)
def test_pixels_that_are_not_read_are_told(content: bytes, message: str) -> None:
    with pytest.raises(InvalidInput, match=rf"{message}.*Save it as PNG or JPEG\.$"):
        decode_image(content)


@pytest.mark.parametrize("content", [tiff(16, 3), tiff(8, 3, planes=2), tiff(8, 3)])
def test_usual_ones_are_read(content: bytes) -> None:
    assert decode_image(content).getpixel((1, 1)) == (0, 0, 0)
