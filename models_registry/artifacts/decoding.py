"""Images from outside, decoded in bounded memory: the one way for reports, training, serving and batches.

What an image file says of itself decides before anything is decoded (`image_files`). The picture is then kept in
the file's own mode, and becomes RGB (`colours`) a few rows at a time. Of big pictures a process decodes one at a
time, so that many of them take the memory of one, and small ones do not wait for them.
"""

import contextlib
import io
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import ceil, floor

import pi_heif
from PIL import AvifImagePlugin, Image, UnidentifiedImageError

from .colours import BAND, DEPTHS, rgb_converter
from .errors import InvalidInput
from .image_files import DamagedImage, ExcessiveImage, ImageFile, UnknownFormat, read_image_file
from .image_files.base import USUAL_PASSES
from .memory import return_freed_memory

MAX_PIXELS = 200_000_000  # of a picture
SHRUNK_FROM = 4  # times fewer pixels than these, from which on a JPEG is scaled down while it is decoded
MAX_PASSED_PIXELS = 1_000_000_000  # pixels times passes over them, of more than usual: about two seconds
MAX_DECODING_BYTES = 448 << 20  # the 108 megapixels of a phone in RGB, which takes four bytes a pixel
BIG = 64 << 20  # bytes that decoding takes, as 16 megapixels do; more is done one at a time
SMALL_AT_ONCE = 256 << 20  # bytes of all smaller ones together
SHRINKING = (1, 2, 4, 8)
REACH = 3  # pixels of the result that the widest filter looks beyond its place, and one for rounding

Image.MAX_IMAGE_PIXELS = MAX_PIXELS  # Pillow's own check; what is said here says what to do
AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # as many pictures at a time as there are callers
pi_heif.register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)
Box = tuple[float, float, float, float]
# How to undo each value of EXIF's Orientation (TIFF 6.0, tag 274); 1 and unknown values: nothing to do.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
TURNED = (5, 6, 7, 8)  # those that lie on their side


class _Budget:
    """Lets in as much at a time as fits, first come, first served."""

    def __init__(self, total: int) -> None:
        self._total = self._free = total
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()

    @contextlib.contextmanager
    def take(self, amount: int) -> Iterator[None]:
        """Wait until `amount` is free and hold it for the block."""
        amount, ticket = min(amount, self._total), object()
        with self._changed:
            self._waiting.append(ticket)
            try:
                self._changed.wait_for(lambda: self._waiting[0] is ticket and self._free >= amount)
                self._free -= amount
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += amount
                self._changed.notify_all()


_big, _small = _Budget(1), _Budget(SMALL_AT_ONCE)


class _Inspected(threading.local):
    """What this thread has found of files, with their content, by its identity and the limit; None: nothing is kept."""

    files: dict[tuple[int, int], tuple[bytes, ImageFile]] | None = None


_inspected = _Inspected()


@contextlib.contextmanager
def inspected_once() -> Iterator[None]:
    """Look at each file once in the block, in this thread, however often it is asked about: the files are kept."""
    before, _inspected.files = _inspected.files, {}
    try:
        yield
    finally:
        _inspected.files = before


def inspect(content: bytes, *, max_pixels: int = MAX_PIXELS) -> ImageFile:
    """Return what an image file says of its first picture, which is within the limits.

    Raises `InvalidInput` for what is no image, is damaged in its structure, or would take too much memory or time
    to decode. Nothing is decoded.
    """
    files = _inspected.files
    if files is None:
        return _inspect(content, max_pixels)
    key = (id(content), max_pixels)
    if key not in files:
        files[key] = (content, _inspect(content, max_pixels))
    return files[key][1]


def _inspect(content: bytes, max_pixels: int) -> ImageFile:
    file = _read(content)
    size = f"{file.width:,} × {file.height:,} pixels"
    if file.pixels > max_pixels:
        raise InvalidInput(f"The image has {size}; the limit is {max_pixels:,} in all. Scale it down.")
    if file.passes > USUAL_PASSES and file.pixels * file.passes > MAX_PASSED_PIXELS:
        raise InvalidInput(
            f"The image has {size} in a form that takes too long to decode. Scale it down, or save it as an "
            "ordinary JPEG."
        )
    if file.memory(_shrinking(file, max_pixels)) > MAX_DECODING_BYTES:
        raise InvalidInput(
            f"The image has {size} in a form of {file.format} that takes more than the "
            f"{MAX_DECODING_BYTES >> 20} MB of memory allowed to decode. Scale it down, or save it as an ordinary JPEG."
        )
    return file


def _read(content: bytes) -> ImageFile:
    """Return what an image file says of its first picture. Raises `InvalidInput`."""
    try:
        return read_image_file(content)
    except (UnknownFormat, ExcessiveImage) as error:
        raise InvalidInput(str(error)) from error
    except DamagedImage as error:
        raise InvalidInput(f"The image file is damaged ({error}). Save it again.") from error
    except Exception as error:  # a reader's own fault: the structure is one that it does not expect
        raise InvalidInput(f"The image file is damaged ({error!r}). Save it again.") from error


def check_pixels(contents: Iterable[bytes], most: int) -> None:
    """Raise `InvalidInput` when images have more pixels together than `most`, before any is decoded.

    What is no usable image counts nothing; decoding it will say why.
    """
    pixels = 0
    for content in contents:
        with contextlib.suppress(InvalidInput):
            pixels += inspect(content).work
        if pixels > most:
            raise InvalidInput(
                f"The images have more than {most // 10**6:,} megapixels together, the limit. "
                "Send fewer at a time, or scale them down."
            )


def is_big(content: bytes) -> bool:
    """Tell whether an image is one of those that are decoded one at a time."""
    try:
        file = inspect(content)
    except InvalidInput:
        return False
    return file.memory(_shrinking(file, MAX_PIXELS)) > BIG


def upright_size(content: bytes) -> tuple[int, int]:
    """Return the width and height of a picture, the way it is to be seen. Raises `InvalidInput`."""
    file = inspect(content)
    return (file.height, file.width) if file.orientation in TURNED else (file.width, file.height)


def check_image(content: bytes, *, max_pixels: int = MAX_PIXELS) -> ImageFile:
    """Decode the whole image, as fast as it goes, and return what its file says. Raises `InvalidInput`."""
    file = inspect(content, max_pixels=max_pixels)
    with _decoded(file, SHRINKING[-1] if file.shrinks else 1):
        return file


def sketch_image(content: bytes, side: int, *, max_pixels: int = MAX_PIXELS) -> bytes:
    """Decode the whole image, as fast as it goes, and return it upright as `side` × `side` grey values.

    Raises `InvalidInput`.
    """
    file = inspect(content, max_pixels=max_pixels)
    shrunk = max(step for step in SHRINKING if step == 1 or min(file.width, file.height) >= side * step)
    with _decoded(file, max(shrunk, _shrinking(file, max_pixels)) if file.shrinks else 1) as image:
        whole = (0.0, 0.0, float(image.width), float(image.height))
        small = _scaled(image, (side, side), whole, Image.Resampling.BOX)
    return _upright(small, file.orientation).convert("L").tobytes()


def decode_image(content: bytes, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode an image file to an upright RGB picture: first frame, transparency on white.

    Raises `InvalidInput` for what is no image, a damaged one, or more than is allowed (checked before anything is
    decoded).
    """
    file = inspect(content, max_pixels=max_pixels)
    with _decoded(file, _shrinking(file, max_pixels)) as image:
        return _upright(rgb_converter(image)(image.copy()), file.orientation)


def scale_image(
    content: bytes,
    size: tuple[int, int],
    filter_: Image.Resampling,
    *,
    box: Callable[[int, int], Box] | None = None,
    max_pixels: int = MAX_PIXELS,
    depths: Sequence[int] = DEPTHS,
) -> Image.Image:
    """Decode an image file, scale what `box` cuts out of it (of its width and height, as stored) to `size`.

    Returns what `decode_image` and then `resize` would give, turned upright, in the memory of the decoder alone;
    `depths` are those of `colours`. Raises `InvalidInput`.
    """
    file = inspect(content, max_pixels=max_pixels)
    with _decoded(file, _shrinking(file, max_pixels)) as image:
        part = box(*image.size) if box else (0.0, 0.0, float(image.width), float(image.height))
        return _upright(_scaled(image, size, part, filter_, depths), file.orientation)


def thumbnail(content: bytes, side: int, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Return an image as a small upright RGB picture that fits a square of `side` pixels. Raises `InvalidInput`."""
    file = inspect(content, max_pixels=max_pixels)
    shrunk = max(step for step in SHRINKING if step == 1 or max(file.width, file.height) >= 2 * side * step)
    with _decoded(file, max(shrunk, _shrinking(file, max_pixels)) if file.shrinks else 1) as image:
        factor = min(1.0, side / max(image.size))
        size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
        whole = (0.0, 0.0, float(image.width), float(image.height))
        return _upright(_scaled(image, size, whole, Image.Resampling.BICUBIC), file.orientation)


def _shrinking(file: ImageFile, max_pixels: int) -> int:
    """Return by how much the picture is scaled down while it is decoded: not at all where that is not needed."""
    if not file.shrinks:
        return 1
    fits = (
        step
        for step in SHRINKING
        if SHRUNK_FROM * file.pixels <= max_pixels * step**2 and file.memory(step) <= MAX_DECODING_BYTES
    )
    return next(fits, SHRINKING[-1])


@contextlib.contextmanager
def _decoded(file: ImageFile, shrunk: int) -> Iterator[Image.Image]:
    """Yield the picture in the file's own mode, as it is stored. Waits until there is memory for it."""
    memory = file.memory(shrunk)
    with _turn(memory):
        try:
            with Image.open(io.BytesIO(file.content), formats=(file.format,)) as image:
                if image.size != (file.width, file.height):
                    raise DamagedImage("its header contradicts itself")
                if shrunk > 1:
                    image.draft(None, (file.width // shrunk, file.height // shrunk))
                image.load()
                try:
                    yield image
                finally:
                    image.close()  # before the next one begins, whoever still has a reference
        except (InvalidInput, GeneratorExit):
            raise
        except UnidentifiedImageError as error:  # its text holds an address in memory
            raise InvalidInput(_why_unidentified(file)) from error
        except Exception as error:  # decoders raise all sorts of things on damaged or hostile bytes
            raise InvalidInput(f"The image file is damaged ({error}). Save it again.") from error


def _why_unidentified(file: ImageFile) -> str:
    """Say what is wrong with a file of which no decoder knows the header."""
    if file.format == "TIFF":  # the only format whose numbers may be of any kind and any many
        return (
            "This TIFF holds pixels of a kind that is not read here, such as many channels, or fractions of 16 or 64 "
            "bits. Save it as PNG or JPEG."
        )
    return f"The image file is damaged (its header is none of {file.format}). Save it again."


@contextlib.contextmanager
def _turn(memory: int) -> Iterator[None]:
    """Wait until there is memory for a picture. A big one's is given back before the next one's is taken."""
    if memory <= BIG:
        with _small.take(memory):
            yield
        return
    with _big.take(1):
        try:
            yield
        finally:
            return_freed_memory()


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else image


def _scaled(
    image: Image.Image,
    size: tuple[int, int],
    box: Box,
    filter_: Image.Resampling,
    depths: Sequence[int] = DEPTHS,
) -> Image.Image:
    """Return `convert to RGB`, then `resize`, a band of rows at a time: Pillow scales first across, then down."""
    if image.mode == "RGB" and not image.has_transparency_data:
        return image.resize(size, filter_, box=box)
    left, top, right, bottom = box
    first, last = _reached(left, right, size[0], image.width)
    begin, end = _reached(top, bottom, size[1], image.height)
    to_rgb = rgb_converter(image, depths)
    across = Image.new("RGB", (size[0], end - begin))
    step = max(1, BAND // (last - first))
    for row in range(begin, end, step):
        band = to_rgb(image.crop((first, row, last, min(row + step, end))))
        part = (left - first, 0.0, right - first, float(band.height))
        across.paste(band.resize((size[0], band.height), filter_, box=part), (0, row - begin))
    return across.resize(size, filter_, box=(0.0, top - begin, float(size[0]), bottom - begin))


def _reached(low: float, high: float, size: int, most: int) -> tuple[int, int]:
    """Return the first pixel and the one after the last that a filter looks at."""
    reach = REACH * max(1.0, (high - low) / size) + 1
    return max(0, floor(low - reach)), min(most, ceil(high + reach))
