"""Data in: one reader a format, one report, one split. Knows neither Django nor torch."""

from .documents import iter_training_document_dataset
from .errors import DataError
from .images import ImageExample, ImageExamples, read_image_archive
from .limits import Limits
from .report import DataReport, build_report
from .split import Split, parse_data_split, stratified_split
from .texts import TextExamples, read_text_table

__all__ = [
    "DataError",
    "DataReport",
    "ImageExample",
    "ImageExamples",
    "Limits",
    "Split",
    "TextExamples",
    "build_report",
    "iter_training_document_dataset",
    "parse_data_split",
    "read_image_archive",
    "read_text_table",
    "stratified_split",
]
