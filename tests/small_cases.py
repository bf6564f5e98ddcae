"""The collection of files that people bring, made small enough to be kept: `small_cases.tar.xz`.

`python -m tests.small_cases` makes it of the whole collection. Tables are kept as they are. In archives each photo
becomes a dot of a picture, the same for the same photo; names, flags and all else of the zip stay as they were. Images
are those of `odd_images` under the collection's names. What cannot be made so, or stays large, is left out: other tests
make such files themselves (`test_repacking`, `test_images_kinds`).
"""

import hashlib
import io
import sys
import tarfile
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from models_registry.artifacts import InvalidInput, decode_image
from models_registry.artifacts.image_files import is_image_file
from models_registry.inputs.entry_names import UTF8_FLAG

ARCHIVE = Path(__file__).with_name("small_cases.tar.xz")
IMAGES = "I00-odd-images/"
MOST_BYTES = 100_000  # of a file that is kept
HEAD = 64  # bytes of an archive that is refused by how it begins
SIDE = 6  # pixels


@cache
def unpacked() -> Path:
    """Return the folder in which the small collection lies, for as long as this process runs."""
    folder = tempfile.TemporaryDirectory(prefix="trainyard-cases-")
    _kept.append(folder)
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder.name, filter="data")
    return Path(folder.name)


_kept: list["tempfile.TemporaryDirectory[str]"] = []


def make(collection: Path, names: list[str]) -> list[str]:
    """Write the archive of those files that become small; returns the others."""
    left_out = []
    with tarfile.open(ARCHIVE, "w:xz", preset=9) as archive:
        for name in names:
            content = _small(name, (collection / name).read_bytes())
            if content is None or len(content) > MOST_BYTES:
                left_out.append(name)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return left_out


def _small(name: str, content: bytes) -> bytes | None:
    """Return a file with other pictures in it; None for one that cannot be made so."""
    if name.startswith(IMAGES):
        return _odd_image(name.removeprefix(IMAGES), content)
    if name.endswith((".rar", ".7z")):
        return content[:HEAD]
    if name[0] in "ZI":
        return _dot(content) if is_image_file(content) else _zip_of_dots(content)
    return None if "images" in name else content


def _odd_image(name: str, content: bytes) -> bytes | None:
    from .odd_images import encoded, no_images, photo, readable

    made = {**readable(), **no_images()}
    if name in made:
        return made[name]
    if not is_image_file(content):
        return content
    with Image.open(io.BytesIO(content)) as image:
        kind = str(image.format)
    fresh = encoded(photo(), "JPEG" if kind == "MPO" else kind) if kind != "HEIF" else made["photo.heic"]
    return fresh if _is_readable(content) else fresh[:-40]


def _is_readable(content: bytes) -> bool:
    try:
        decode_image(content)
    except InvalidInput:
        return False
    return True


def _dot(content: bytes) -> bytes:
    """Return a tiny picture of colours that a photo's bytes decide, damaged where the photo is."""
    if not _is_readable(content):
        return content[:HEAD]
    seed = int.from_bytes(hashlib.sha256(content).digest()[:8])
    pixels = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


class _SameName(zipfile.ZipInfo):
    """An entry of which the name's bytes, and whether they are said to be UTF-8, are another's."""

    raw, is_utf8 = b"", False

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802 - the name that zipfile calls
        return self.raw, self.flag_bits | UTF8_FLAG * self.is_utf8


def _zip_of_dots(content: bytes) -> bytes | None:
    """Return a zip with tiny pictures for its photos; None for what is no plain zip."""
    file = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(file, "w") as target:
            target.comment = source.comment
            for entry in source.infolist():
                inside = source.read(entry)
                info = _SameName("x", entry.date_time)
                info.filename, info.is_utf8 = entry.orig_filename, bool(entry.flag_bits & UTF8_FLAG)
                info.raw = entry.orig_filename.encode("utf-8" if info.is_utf8 else "cp437")
                for field in ("extra", "external_attr", "create_system", "compress_type"):
                    setattr(info, field, getattr(entry, field))
                if info.compress_type == zipfile.ZIP_DEFLATED:
                    info.compress_type = zipfile.ZIP_STORED  # so that equal pictures are packed once
                target.writestr(info, _inner(entry.orig_filename, inside))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return content if len(content) < HEAD else None
    return file.getvalue()


def _inner(name: str, content: bytes) -> bytes:
    if name.lower().endswith(".zip"):
        return _zip_of_dots(content) or content
    return _dot(content) if is_image_file(content) else content


def main() -> None:
    """Make the archive, and name what is not in it."""
    from .cases import FILES, expectations

    left_out = make(FILES, list(expectations()))
    sys.stdout.write(f"{ARCHIVE.stat().st_size:,} bytes; left out are {', '.join(left_out)}\n")


if __name__ == "__main__":
    main()
