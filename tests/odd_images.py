"""Image files of every kind that people bring, made here: the same photo in all of them, and what is no image."""

import io
import struct
import zlib
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, PngImagePlugin

from devtools.bombs import png_chunk
from tests.stills import heic, turned

SIZE = (90, 70)
Grey = npt.NDArray[np.float64]


@cache
def photo() -> Image.Image:
    """A picture without symmetry: slopes of colour and a bright disc, which `cut_out` keeps."""
    columns, rows = np.meshgrid(np.linspace(0, 1, SIZE[0]), np.linspace(0, 1, SIZE[1]))
    channels = np.stack([40 + 170 * columns, 60 + 90 * rows, 150 - 120 * columns * rows], axis=2)
    channels[_disc()] = (240, 200, 40)
    return Image.fromarray(channels.astype(np.uint8))


def grey(share: float = 1.0) -> Grey:
    """The photo in grey, from 0 to `share`."""
    values = np.asarray(photo().convert("L"), np.float64)
    return values / values.max() * share


def cut_out(hidden: tuple[int, int, int] = (0, 0, 0)) -> Image.Image:
    """The disc alone, over colours that nobody is to see."""
    picture = Image.new("RGB", SIZE, hidden)
    alpha = Image.fromarray((_disc() * 255).astype(np.uint8))
    picture.paste(photo(), mask=alpha)
    picture.putalpha(alpha)
    return picture


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """Return a picture as a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def readable() -> dict[str, bytes]:
    """Return the files that are read, by name."""
    return {**_modes(), **_deep(), **_transparent(), **_formats(), **_several(), **_turned(), **_beside()}


def no_images() -> dict[str, bytes]:
    """Return the files that are refused, by name."""
    jpeg, png = encoded(photo(), "JPEG"), encoded(photo(), "PNG")
    return {
        "dicom.dcm": b"\0" * 128 + b"DICM" + b"\0" * 200,
        "drawing.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "html_404.jpg": b"<!DOCTYPE html><title>404</title>",
        "lfs_pointer.jpg": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
        "photo.pdf": b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n",
        "photo.jxl": b"\xff\x0a" + b"\0" * 60,
        "truncated.png": png[: len(png) // 2],
        "truncated_half.jpg": jpeg[: len(jpeg) // 2],
        "truncated_head.jpg": jpeg[:100],
        "zero.jpg": b"",
    }


def _disc() -> npt.NDArray[np.bool_]:
    columns, rows = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    return np.asarray((columns - 50) ** 2 + (rows - 30) ** 2 < 20**2)


def _modes() -> dict[str, bytes]:
    lab = ImageCms.applyTransform(
        photo(),
        ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"),
    )
    return {
        "bilevel.png": encoded(photo().convert("1"), "PNG"),
        "bilevel_g4.tif": encoded(photo().convert("1"), "TIFF", compression="group4"),
        "gray.png": encoded(photo().convert("L"), "PNG"),
        "grayscale.jpg": encoded(photo().convert("L"), "JPEG"),
        "palette.png": encoded(photo().quantize(64), "PNG"),
        "cmyk.tif": encoded(photo().convert("CMYK"), "TIFF"),
        "cmyk_adobe.jpg": encoded(photo().convert("CMYK"), "JPEG"),
        "ycbcr.tif": encoded(photo().convert("YCbCr"), "TIFF"),
        "lab.tif": encoded(lab, "TIFF"),
        "jpeg_in.tif": encoded(photo(), "TIFF", compression="jpeg"),
        "lzw.tiff": encoded(photo(), "TIFF", compression="tiff_lzw"),
        "rgb16.png": _png16(np.asarray(photo(), np.uint16) * 257, colours=2),
        "la16.png": _png16(np.stack([grey(65535), _disc() * 65535], axis=2).astype(np.uint16), colours=4),
    }


def _png16(values: npt.NDArray[np.uint16], colours: int) -> bytes:
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, colours, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def _deep() -> dict[str, bytes]:
    """Grey of more than 8 bits: as cameras, scanners and programs of measurement write it."""
    holes = grey(0.8)
    holes[:5] = np.nan
    holes[5:9] = np.inf
    pictures = {
        "mask01.png": (grey() > 0.5).astype(np.uint16),
        "gray8in16.png": grey(255).astype(np.uint16),
        "gray10in16.png": grey(1023).astype(np.uint16),
        "gray12in16.png": grey(4095).astype(np.uint16),
        "gray14in16.png": grey(16_383).astype(np.uint16),
        "gray16.png": grey(65_535).astype(np.uint16),
        "gray12in16.tif": grey(4095).astype(np.uint16),
        "gray16.tif": grey(65_535).astype(np.uint16),
        "gray32.tif": grey(3_000_000).astype(np.int32),
        "hounsfield.tif": (grey(4000) - 1000).astype(np.int32),
        "float1.tif": grey().astype(np.float32),
        "float_overshot.tif": (grey(1.04) - 0.02).astype(np.float32),
        "float255.tif": grey(255).astype(np.float32),
        "float65535.tif": grey(65_535).astype(np.float32),
        "float_holes.tif": holes.astype(np.float32),
    }
    return {
        name: encoded(Image.fromarray(values), "PNG" if name.endswith("png") else "TIFF")
        for name, values in pictures.items()
    }


def _transparent() -> dict[str, bytes]:
    red = Image.new("RGB", SIZE, "red")
    red.paste(photo(), mask=Image.fromarray((_disc() * 255).astype(np.uint8)))
    palette = photo().quantize(64)
    return {
        "cutout_rgba.png": encoded(cut_out(), "PNG"),
        "cutout_hidden_magenta.png": encoded(cut_out((255, 0, 255)), "PNG"),
        "cutout_la.png": encoded(cut_out().convert("LA"), "PNG"),
        "cutout_palette.png": encoded(palette, "PNG", transparency=palette.getpixel((0, 0))),
        "cutout_palette_alphas.png": encoded(palette, "PNG", transparency=bytes(range(0, 256, 4))),
        "cutout_colour.png": encoded(red, "PNG", transparency=(255, 0, 0)),
        "cutout.gif": encoded(palette, "GIF", transparency=palette.getpixel((0, 0))),
        "cutout.webp": encoded(cut_out(), "WEBP", lossless=True),
        "cutout.avif": encoded(cut_out(), "AVIF"),
        "cutout.tif": encoded(cut_out(), "TIFF"),
    }


def _formats() -> dict[str, bytes]:
    return {
        "plain.jpg": encoded(photo(), "JPEG"),
        "progressive.jpg": encoded(photo(), "JPEG", progressive=True),
        "png_named.jpg": encoded(photo(), "PNG"),
        "photo.webp": encoded(photo(), "WEBP"),
        "photo.avif": encoded(photo(), "AVIF"),
        "photo.heic": heic(),
        "turned.heic": heic(turn=turned(1, 0)),
        "photo.gif": encoded(photo(), "GIF"),
        "photo.bmp": encoded(photo(), "BMP"),
        "plain.tif": encoded(photo(), "TIFF"),
        "photo.jp2": encoded(photo(), "JPEG2000"),
        "photo.j2k": encoded(photo(), "JPEG2000", no_jp2=True, irreversible=True, quality_layers=[20]),
        "tiles.jp2": encoded(photo(), "JPEG2000", tile_size=(32, 32)),
        "cutout.jp2": encoded(cut_out(), "JPEG2000"),
        "gray12.jp2": encoded(Image.fromarray(grey(4095).astype(np.uint16)), "JPEG2000"),
        "photo.ppm": encoded(photo(), "PPM"),
        "photo.pgm": encoded(photo().convert("L"), "PPM"),
        "photo.pbm": encoded(photo().convert("1"), "PPM"),
        "gray16.pgm": encoded(Image.fromarray(grey(65_535).astype(np.uint16)), "PPM"),
        "gray12.pgm": b"P5\n# by a scanner\n%d %d 4095\n" % SIZE + grey(4095).astype(">u2").tobytes(),
        "digits.ppm": b"P3 %d %d 255\n" % SIZE
        + b" ".join(b"%d" % value for value in np.asarray(photo()).flat),
        "float.pfm": encoded(Image.fromarray(grey().astype(np.float32)), "PPM"),
        "photo.tga": encoded(photo(), "TGA"),
        "packed.tga": encoded(cut_out(), "TGA", compression="tga_rle"),
        "photo.ico": encoded(photo().resize((64, 64)), "ICO", sizes=[(16, 16), (64, 64)]),
        "favicon.ico": encoded(cut_out().resize((32, 32)), "ICO", sizes=[(32, 32)], bitmap_format="bmp"),
        "tiny.jpg": encoded(photo().resize((16, 12)), "JPEG"),
        "one_pixel.png": encoded(Image.new("RGB", (1, 1), (90, 30, 200)), "PNG"),
        "thin.png": encoded(photo().resize((900, 3)), "PNG"),
    }


def _several() -> dict[str, bytes]:
    """Files of several pictures, of which the first is seen."""
    others = [photo().transpose(Image.Transpose.ROTATE_180), Image.new("RGB", SIZE, "blue")]
    more = {"save_all": True, "append_images": others}
    return {
        "animated.gif": encoded(photo(), "GIF", **more),
        "animated.webp": encoded(photo(), "WEBP", **more),
        "apng.png": encoded(photo(), "PNG", **more),
        "multipage.tif": encoded(photo(), "TIFF", **more),
        "phone_mpo.jpg": encoded(photo(), "MPO", **more),
    }


def _turned() -> dict[str, bytes]:
    files = {}
    for kind, suffix in (("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"), ("TIFF", "tif")):
        for orientation in (3, 6, 8):
            exif = Image.Exif()
            exif[0x0112] = orientation
            files[f"exif{orientation}.{suffix}"] = encoded(photo(), kind, exif=exif)
    unknown = Image.Exif()
    unknown[0x0112] = 9
    return files | {
        "exif_bad.jpg": encoded(photo(), "JPEG", exif=unknown),
        "exif_garbage.jpg": encoded(photo(), "JPEG", exif=b"Exif\0\0II*\0" + b"\xff" * 60),
    }


def _beside() -> dict[str, bytes]:
    """Files with more in them than a picture."""
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "x" * (8 << 20), zip=True)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return {
        "huge_text.png": encoded(photo(), "PNG", pnginfo=text),
        "icc_garbage.jpg": encoded(photo(), "JPEG", icc_profile=b"garbage" * 40),
        "icc_srgb.jpg": encoded(photo(), "JPEG", icc_profile=profile),
        "trailing.jpg": encoded(photo(), "JPEG") + b"\0" * 20_000,
    }
