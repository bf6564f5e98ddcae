"""What a file that leaves the platform says to whoever takes it apart."""

import zipfile
from pathlib import Path


def published_content(path: Path) -> bytes:
    """Return a file's bytes, and those of everything that is packed in it."""
    content = path.read_bytes()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                content += member.filename.encode() + archive.read(member)
    return content
