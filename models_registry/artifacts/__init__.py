"""A model's files: what they carry beside the network, and how they are run.

Training writes them and inference reads them, so the format lives in neither. Nothing here imports
torch or Django: a downloaded `.onnx` needs only this package's four small dependencies.
"""

from .decoding import check_pixels, decode_image, inspected_once, is_big
from .errors import BrokenLimit, InvalidInput, InvalidModel
from .images import ImagePreprocessing
from .metadata import ACTIVATION_MAP, METADATA_KEY, TOKENIZER_KEY, ModelMetadata
from .predictor import Prediction, Predictor
from .texts import TextPreprocessing

__all__ = [
    "ACTIVATION_MAP",
    "METADATA_KEY",
    "TOKENIZER_KEY",
    "BrokenLimit",
    "ImagePreprocessing",
    "InvalidInput",
    "InvalidModel",
    "ModelMetadata",
    "Prediction",
    "Predictor",
    "TextPreprocessing",
    "check_pixels",
    "decode_image",
    "inspected_once",
    "is_big",
]
