"""Photos inside a Parquet file, as the Hugging Face hub keeps them: a column of image files and one of labels."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from models_registry.artifacts.image_files import is_image_file

from ..errors import DataError
from ..limits import Limits
from .columns import USUAL_NAMES
from .parquet import ParquetReader, class_names

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.parquet

AT_ONCE = 8  # rows: each may hold an image of many megabytes
MAGIC = b"PAR1"
SHOWN = 20  # columns that a message lists


def is_parquet(path: Path) -> bool:
    """Tell whether a file begins as Parquet does."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def holds_photos(path: Path) -> bool:
    """Tell whether a file is Parquet of labelled images, with no column that is called as texts are."""
    if not is_parquet(path):
        return False
    try:
        return ParquetImages(path, Limits()).are_alone()
    except DataError:
        return False


class ParquetImages(ParquetReader):
    """The images of one file; what is checked of a table's pages is checked of theirs."""

    def images(self) -> Iterator[tuple[str, bytes]]:
        """Yield (path, content) of each image, the path being its class and a name of its own.

        Raises `DataError` for a file without a column of images or of labels.
        """
        with self._open() as file:
            image, field, label = self._find(file)
            names = class_names(file, label)
            paths = [file.schema.column(place).path for place in range(len(file.schema))]
        self._check_pages([path for path in paths if path.split(".")[0] in (image, label)])
        number = 0
        with self._open() as file:
            self._check_is_image(file, image, field)
            for batch in file.iter_batches(batch_size=AT_ONCE, columns=[image, label], use_threads=False):
                for cell, given in zip(batch.column(image), batch.column(label), strict=True):
                    number += 1
                    self.check_count(number)
                    content = (cell.as_py() or {}).get(field) if field else cell.as_py()
                    value = given.as_py()
                    folder = (
                        names[value] if isinstance(value, int) and 0 <= value < len(names) else str(value)
                    )
                    if content is not None and value is not None and folder.strip():
                        yield f"{folder.replace('/', '∕')}/{number:07}.jpg", content

    def are_alone(self) -> bool:
        """Tell whether there are images, and no texts beside them. Raises `DataError` where there are none."""
        with self._open() as file:
            image, field, _ = self._find(file)
            self._check_is_image(file, image, field)
            return not any(
                name.strip().casefold() in USUAL_NAMES["input"] for name in file.schema_arrow.names
            )

    def _find(self, file: "pyarrow.parquet.ParquetFile") -> tuple[str, str, str]:
        """Return the column of images, the field of it that holds their bytes ("" for none), and that of labels."""
        import pyarrow.types as types

        schema = file.schema_arrow
        images = {
            column.name: "bytes"
            for column in schema
            if types.is_struct(column.type) and column.type.get_field_index("bytes") >= 0
        } or {
            column.name: ""
            for column in schema
            if types.is_binary(column.type) or types.is_large_binary(column.type)
        }
        there = ", ".join(repr(name[:100]) for name in schema.names[:SHOWN])
        if not images:
            raise DataError(f"This Parquet file has no column of images. It has: {there}.")
        image = next((name for name in images if "image" in name.lower()), next(iter(images)))
        others = [column.name for column in schema if column.name not in images]
        labels = [name for name in others if name.strip().casefold() in USUAL_NAMES["label"]]
        labels = labels or [name for name in others if class_names(file, name)] or others
        if len(labels) != 1:
            raise DataError(
                f"Which column of this Parquet file holds the labels? It has: {there}. Call it 'label'."
            )
        return image, images[image], labels[0]

    def _check_is_image(self, file: "pyarrow.parquet.ParquetFile", column: str, field: str) -> None:
        with contextlib.closing(file.iter_batches(batch_size=1, columns=[column], use_threads=False)) as rows:
            first = next(rows, None)
        cell = first.column(column)[0].as_py() if first is not None and len(first) else None
        content = (cell or {}).get(field) if field else cell
        if not content or not is_image_file(content[:4096]):
            raise DataError(f"The column {column!r} of this Parquet file holds no image files.")
