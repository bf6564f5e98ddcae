"""What a model's file says about itself, so that it can be used with nothing beside it."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from .errors import InvalidModel

ACTIVATION_MAP = "class_activation_map"  # an image network's output, where it has one
METADATA_KEY = "trainyard"  # in the .onnx's metadata_props; "trainyard.json" among the .pt's extra files
TOKENIZER_KEY = "tokenizer.json"  # the tokenizers library's own format, in both files
NGRAMS_KEY = "ngrams.json"  # the n-grams that a text model knows, in both files
NGRAM_IDS, NGRAM_WEIGHTS = "ngram_ids", "ngram_weights"  # a text network's inputs, N × n-grams
WINDOW_IDS, WINDOW_WEIGHTS = "window_ids", "window_weights"  # a text network's inputs, N × windows

IMAGE_CLASSIFICATION = "imageclassification"
TEXT_CLASSIFICATION = "textclassification"
TASK_TYPES = (IMAGE_CLASSIFICATION, TEXT_CLASSIFICATION)


@dataclass(frozen=True)
class ModelMetadata:
    """The description inside a model's files.

    `public_id` tells the model from others and is no key to it, because files are published; it is empty in
    files of earlier versions, which have the token in its place. `preprocessing` holds the fields of
    `ImagePreprocessing` or `TextPreprocessing`, `created` is ISO 8601 in UTC, `data_sha256` the digest of the
    data set's file, `versions` those of the libraries that made the file.
    """

    public_id: str
    name: str
    task_type: str
    architecture: str
    strategy: str
    classes: tuple[str, ...]
    preprocessing: dict[str, Any]
    data_sha256: str
    created: str
    versions: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the description as one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "ModelMetadata":
        """Read what `to_json` wrote; later versions' additional fields are ignored. Raises `InvalidModel`."""
        try:
            found = {"public_id": "", **json.loads(text)}
            values = {name: found[name] for name in cls.__dataclass_fields__}
            values["classes"] = tuple(str(name) for name in values["classes"])
            metadata = cls(**values)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InvalidModel(
                f"The model's description cannot be read ({error!r:.200}); train it again."
            ) from error
        unstorable = next((name for name in metadata.classes if not is_storable(name)), None)
        if unstorable is not None:
            raise InvalidModel(
                f"The model has a class {unstorable[:50]!a}, with NUL or half a surrogate pair in it."
            )
        if metadata.task_type not in TASK_TYPES:
            known = ", ".join(TASK_TYPES)
            raise InvalidModel(
                f"The model's task is {metadata.task_type!a:.200}; this version knows {known}."
            )
        return metadata


def is_storable(text: str) -> bool:
    """Say whether a database and JSON can hold a text: neither holds NUL or half a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in text
