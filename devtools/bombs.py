"""Small files that would cost much: made here, in memory, for the tests that they are refused or bounded."""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping

import pyarrow
import pyarrow.parquet
from PIL import Image

GREY, RGB, PALETTE, RGBA = 0, 2, 3, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, 4: 2, RGBA: 4}


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def blank_png(width: int, height: int, colours: int = RGBA, depth: int = 8, *, beside: bytes = b"") -> bytes:
    """Return an all-zero PNG, a thousandth of its size in memory; `beside` are chunks before its pixels."""
    row = b"\0" * (1 + (width * CHANNELS[colours] * depth + 7) // 8)
    packer = zlib.compressobj(9)
    pixels = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, 0)
    palette = png_chunk(b"PLTE", b"\1\2\3") if colours == PALETTE else b""
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            png_chunk(b"IHDR", header),
            beside,
            palette,
            png_chunk(b"IDAT", pixels),
            png_chunk(b"IEND", b""),
        )
    )


def jpeg(
    width: int, height: int, *, mode: str = "RGB", progressive: bool = False, **options: object
) -> bytes:
    """Return a plain JPEG."""
    buffer = io.BytesIO()
    Image.new(mode, (width, height)).save(buffer, "JPEG", progressive=progressive, **options)
    return buffer.getvalue()


def jpeg_of_scans(width: int, height: int, scans: int) -> bytes:
    """Return a progressive JPEG whose last scan, of some bytes, comes again and again until there are `scans`."""
    content = jpeg(width, height, progressive=True)
    start = content.rindex(b"\xff\xda")
    return content[:-2] + content[start:-2] * (scans - content.count(b"\xff\xda")) + content[-2:]


def segment(marker: int, payload: bytes) -> bytes:
    """Return a segment of a JPEG's header."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(payload) + 2) + payload


def directory_that_repeats(fields: int, length: int, at: int, *, first: bytes = b"") -> bytes:
    """Return a TIFF directory of `fields` fields that all name the same `length` shorts at an offset."""
    own = len(first) // 12
    entries = b"".join(struct.pack("<HHII", 1000 + number, 3, length, at) for number in range(fields - own))
    return struct.pack("<H", fields) + first + entries + struct.pack("<I", 0)


def tiff_of_fields(fields: int, length: int) -> bytes:
    """Return a picture of one grey pixel whose directory has many fields that share their values."""
    first = b"".join(
        struct.pack("<HHII", tag, 4, 1, value)
        for tag, value in (
            (256, 1),
            (257, 1),
            (258, 8),
            (259, 1),
            (262, 1),
            (273, 8),
            (277, 1),
            (278, 1),
            (279, 1),
        )
    )
    head = b"II*\0" + struct.pack("<I", 12 + 2 * length)
    return (
        head + b"\x80\0\0\0" + b"\0" * (2 * length) + directory_that_repeats(fields, length, 12, first=first)
    )


def bmp_of_runs(width: int, height: int) -> bytes:
    """Return a BMP whose rows are one run of a pixel each; the rest of a row is filled in by the decoder."""
    pixels = b"\1\7\0\0" * height + b"\0\1"
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(pixels), 0, 0, 256, 0)
    start = 14 + len(head) + 1024
    return struct.pack("<2sIHHI", b"BM", start + len(pixels), 0, 0, start) + head + b"\0" * 1024 + pixels


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    """Return a picture as a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def list_of_files(entries: int, *, zip64: bool) -> bytes:
    """Return a zip that is nothing but a list of files of which none is there."""
    entry = struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    directory = entry * entries
    end = b""
    if zip64:
        record = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, entries, entries, len(directory), 0)
        end = record + struct.pack("<4sIQI", b"PK\6\7", 0, len(directory), 1)
    # A reader that believes the last two counts sees a small archive.
    size = 0xFFFFFFFF if zip64 else len(directory)
    return directory + end + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, size, 0, 0)


def parquet_of_one_text(length: int) -> bytes:
    """Return a table of one row whose text is so long; packed, it is a thirty-thousandth."""
    buffer = io.BytesIO()
    table = pyarrow.table({"input": ["x" * length], "label": ["a"]})
    pyarrow.parquet.write_table(table, buffer, compression="zstd", use_dictionary=False)
    return buffer.getvalue()


def zip_of(files: Mapping[str, bytes]) -> bytes:
    """Return an archive of files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()
