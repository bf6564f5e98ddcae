"""How much a data set may hold. Checked on what is really there, never on what a header claims."""

from dataclasses import dataclass

from models_registry.artifacts.decoding import MAX_PIXELS


@dataclass(frozen=True)
class Limits:
    """Upper bounds; sizes in bytes, pixels as width times height."""

    max_bytes: int = 4 * 2**30  # of all files of an archive together, decompressed
    max_entries: int = 200_000
    max_entry_bytes: int = 96 * 2**20  # of one file; a TIFF of 24 megapixels has 72 MB
    max_compression_ratio: int = 200  # photos hardly compress; a bomb does
    max_pixels: int = MAX_PIXELS
    max_archive_pixels: int = (
        1_000_000_000  # of a small archive; larger ones may have more, see `ArchiveBudget`
    )
    max_rows: int = 2_000_000
    max_columns: int = 1_000
    max_field_chars: int = 1_000_000
    max_line_chars: int = 1_000_000  # of a table's line, which may have many fields
    max_classes: int = 2_000
    max_class_name_chars: int = 200
