"""What is exported: linear heads, what they read beside a network's features, and the file's description."""

import json
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from models_registry.artifacts import METADATA_KEY, TOKENIZER_KEY, ModelMetadata
from models_registry.artifacts.metadata import NGRAMS_KEY
from models_registry.artifacts.ngrams import NgramVocabulary

LEAST_SUM = 1e-6  # of features, for an example that shows nothing
SMOOTH = 0.01  # added under the root, so that a feature that is hardly there is hardly told

Array = npt.NDArray[np.float32]


def roots_of(features: Array) -> Array:
    """Return the square root of what each feature has of an example's sum, N × dimension; 0 stays 0.

    Features that come from behind an activation are never negative, and a few that are strong say nearly all of an
    image. With the root, images are compared by Hellinger's distance between their features (Arandjelović and
    Zisserman, "Three Things Everyone Should Know to Improve Object Retrieval", 2012): a linear head then needs fewer
    examples.
    """
    kept = np.maximum(features, np.float32(0))
    kept *= features.shape[1] / (kept.sum(1, keepdims=True) + np.float32(LEAST_SUM))
    kept += np.float32(SMOOTH)
    np.sqrt(kept, out=kept)
    kept -= np.float32(math.sqrt(SMOOTH))
    return kept


@dataclass(frozen=True)
class Head:
    """logits = features @ weight + bias; weight is dimension × classes. It may read the roots of features instead."""

    weight: Array
    bias: Array
    reads_roots: bool = False

    def probabilities(self, features: Array) -> Array:
        """Return the probability of each class, N × classes, of features as the network gives them."""
        read = roots_of(features) if self.reads_roots else features
        values = np.asarray(read @ self.weight + self.bias, np.float32)
        values -= values.max(1, keepdims=True)
        np.exp(values, out=values)
        values /= values.sum(1, keepdims=True)
        return values

    def scaled(self, factor: float) -> "Head":
        """Return the head whose logits are multiplied by a factor."""
        weight, bias = self.weight * np.float32(factor), self.bias * np.float32(factor)
        return replace(self, weight=weight, bias=bias)


@dataclass(frozen=True)
class NgramHead:
    """A head on n-grams: `head.weight` has a row for each of the vocabulary."""

    vocabulary: NgramVocabulary
    head: Head


@dataclass(frozen=True)
class ExportedClassifier:
    """What turns a network's features, n-grams of texts, or both (then the logits are summed) into classes.

    `head` is None for a classifier that needs no network, `ngrams` for one that reads none, `tokenizer` is
    that of a text network. What it says of a text is the mean over windows where the description has several.
    """

    head: Head | None
    ngrams: NgramHead | None
    metadata: ModelMetadata
    tokenizer: str | None

    def __post_init__(self) -> None:
        if self.head is None and self.ngrams is None:
            raise ValueError("A classifier needs a head on a network's features, on n-grams, or both.")

    @property
    def reads_windows(self) -> bool:
        """Return whether the network reads a text in several windows."""
        return self.head is not None and self.metadata.preprocessing.get("windows", 1) > 1

    def properties(self) -> dict[str, str]:
        """Return the texts that travel in the files, by their names."""
        found = {METADATA_KEY: self.metadata.to_json()}
        if self.tokenizer is not None:
            found[TOKENIZER_KEY] = self.tokenizer
        if self.ngrams is not None:
            found[NGRAMS_KEY] = self.ngrams.vocabulary.json
        return found

    def described_inputs(self) -> dict[str, object]:
        """Return what reads a text for the network, as plain data."""
        found: dict[str, Any] = {"tokenizer": self.tokenizer and json.loads(self.tokenizer)}
        if self.ngrams is not None:
            found["ngrams"] = json.loads(self.ngrams.vocabulary.json)
        return found
