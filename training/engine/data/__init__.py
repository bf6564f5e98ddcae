"""Data in: one reader a format, one report, one split. Knows neither Django nor torch."""

from models_registry.inputs import TABLE_SUFFIXES, DataError, Limits

from .examples import Progress, Unreadable
from .images import (
    ImageExample,
    ImageExamples,
    iter_image_archive,
    open_by_name,
    read_image_archive,
    why_no_class_name,
)
from .near_copies import bundle_photos, bundle_texts
from .report import DataReport, build_report
from .split import (
    Bundled,
    Split,
    bundle,
    given_split,
    lone_classes,
    parse_data_split,
    settled_parts,
    stratified_split,
)
from .texts import TextExamples, iter_text_table, read_text_table
from .training_document_reader import LARGEST_INTEGER, ExternalDocument, take_apart
from .training_document_writer import iter_revision_dataset, iter_training_document_dataset, learnt_rows

__all__ = [
    "LARGEST_INTEGER",
    "TABLE_SUFFIXES",
    "Bundled",
    "DataError",
    "DataReport",
    "ExternalDocument",
    "ImageExample",
    "ImageExamples",
    "Limits",
    "Progress",
    "Split",
    "TextExamples",
    "Unreadable",
    "build_report",
    "bundle",
    "bundle_photos",
    "bundle_texts",
    "given_split",
    "iter_image_archive",
    "iter_revision_dataset",
    "iter_text_table",
    "iter_training_document_dataset",
    "learnt_rows",
    "lone_classes",
    "open_by_name",
    "parse_data_split",
    "read_image_archive",
    "read_text_table",
    "settled_parts",
    "stratified_split",
    "take_apart",
    "why_no_class_name",
]
