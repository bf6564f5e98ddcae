"""Character and word n-grams of texts as sparse tf-idf vectors, the same in training and in serving.

They need no pretrained weights and no tokenizer, and work in every language, scripts without spaces
included. An n-gram is a window of the normalised text: up to five characters that do not reach across a
space, a whole word, or two words in a row. Windows are known by a polynomial rolling hash of their
characters (Karp and Rabin, "Efficient randomized pattern-matching algorithms", 1987), so that all windows
of many texts are hashed by a few array operations.
"""

import base64
import json
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .errors import InvalidModel
from .texts import check_texts

FORMAT = 1
LONGEST = 5  # characters of a window that is no whole word
CHARACTERS_AT_ONCE = 1 << 20  # hashed together; one text may have more
ENCODED_AT_ONCE = 1 << 18  # the same, where nothing has to be merged with what came before
SPACE = ord(" ")
BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2**64
INVERSE = pow(BASE, -1, 1 << 64)
RAREST = 2  # texts that an n-gram has to come in

Hashes = npt.NDArray[np.uint64]
Ids = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.int32]
Weights = npt.NDArray[np.float32]


class NgramRows(NamedTuple):
    """Some texts: how many n-grams each has, and numbers and weights of all, one text after the other."""

    sizes: Ids
    ids: Numbers
    weights: Weights


@dataclass(frozen=True)
class WeightedNgrams:
    """One text: the numbers of its known n-grams, ascending, and their weights, a vector of length 1 (or empty)."""

    ids: Numbers
    weights: Weights


@dataclass(frozen=True)
class NgramVocabulary:
    """The n-grams that a model knows: their hashes, ascending, and their inverse document frequencies."""

    hashes: Hashes
    idf: Weights

    def __len__(self) -> int:
        return len(self.hashes)

    @classmethod
    def learn(cls, texts: Sequence[str], *, most: int) -> "NgramVocabulary":
        """Return the n-grams that come in at least two texts, `most` of them, the commonest first."""
        hashes, frequencies = np.empty(0, np.uint64), np.empty(0, np.int64)
        for _, (_, found, _) in _counted_chunks(texts, CHARACTERS_AT_ONCE):
            hashes, place = np.unique(np.concatenate([hashes, found]), return_inverse=True)
            ones = np.concatenate([frequencies, np.ones(len(found), np.int64)])
            frequencies = np.bincount(place, ones, len(hashes)).astype(np.int64)
        known = np.flatnonzero(frequencies >= RAREST)
        if len(known) > most:
            known = np.sort(known[np.argsort(-frequencies[known], kind="stable")[:most]])
        idf = np.log((1 + len(texts)) / (1 + frequencies[known])) + 1
        return cls(hashes[known], idf.astype(np.float32))

    def encode(self, texts: Sequence[str]) -> list[WeightedNgrams]:
        """Return the n-grams of texts, weighted by sublinear tf-idf. Raises `InvalidInput`."""
        encoded: list[WeightedNgrams] = []
        for sizes, ids, weights in self.encode_rows(texts):
            bounds = sizes.cumsum()[:-1]
            pairs = zip(np.split(ids, bounds), np.split(weights, bounds), strict=True)
            encoded += [WeightedNgrams(*pair) for pair in pairs]
        return encoded

    def encode_rows(self, texts: Sequence[str]) -> Iterator[NgramRows]:
        """Yield the same, some texts at a time. Raises `InvalidInput`."""
        check_texts(texts)
        for count, (rows, hashes, counts) in _counted_chunks(texts, ENCODED_AT_ONCE):
            places = np.minimum(np.searchsorted(self.hashes, hashes), max(0, len(self) - 1))
            known = self.hashes[places] == hashes if len(self) else np.zeros(len(hashes), bool)
            rows, ids = rows[known], places[known]
            weights = (1 + np.log(counts[known])) * self.idf[ids]
            lengths = np.sqrt(np.bincount(rows, weights**2, count))
            weights = (weights / lengths[rows]).astype(np.float32)
            yield NgramRows(np.bincount(rows, minlength=count), ids.astype(np.int32), weights)

    @cached_property
    def json(self) -> str:
        """Return the vocabulary as JSON: the hashes and frequencies as base64 of little-endian arrays."""
        arrays = {"hashes": self.hashes.astype("<u8"), "idf": self.idf.astype("<f4")}
        encoded = {name: base64.b64encode(array.tobytes()).decode() for name, array in arrays.items()}
        return json.dumps({"format": FORMAT, "longest": LONGEST, **encoded})

    @classmethod
    def from_json(cls, text: str) -> "NgramVocabulary":
        """Read what `json` holds. Raises `InvalidModel`."""
        try:
            values = json.loads(text)
            if (values["format"], values["longest"]) != (FORMAT, LONGEST):
                raise InvalidModel("Its n-grams are of another format. Train the model again.")
            hashes = np.frombuffer(base64.b64decode(values["hashes"], validate=True), "<u8")
            idf = np.frombuffer(base64.b64decode(values["idf"], validate=True), "<f4")
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidModel(f"Its n-grams cannot be read ({error!r}). Train the model again.") from error
        if len(hashes) != len(idf) or np.any(hashes[1:] <= hashes[:-1]) or not np.isfinite(idf).all():
            raise InvalidModel("Its n-grams are damaged. Train the model again.")
        return cls(hashes.astype(np.uint64), idf.astype(np.float32))


def pad_ngrams(texts: Sequence[WeightedNgrams]) -> tuple[Ids, Weights]:
    """Return numbers and weights, both N × (largest count); what is padded weighs nothing."""
    most = max(1, *(len(text.ids) for text in texts))
    ids, weights = np.zeros((len(texts), most), np.int64), np.zeros((len(texts), most), np.float32)
    for row, text in enumerate(texts):
        ids[row, : len(text.ids)] = text.ids
        weights[row, : len(text.ids)] = text.weights
    return ids, weights


def normalise(text: str) -> str:
    """Return a text without differences of case, width and spacing, a space before and after it."""
    words = unicodedata.normalize("NFKC", text).casefold().split()
    return f" {' '.join(words)} "


def _counted_chunks(texts: Sequence[str], most: int) -> Iterator[tuple[int, tuple[Ids, Hashes, Ids]]]:
    """Yield, for some texts at a time, how many they are, and their n-grams by row: hash and count."""
    chunk: list[str] = []
    size = 0
    for text in texts:
        chunk.append(normalise(text))
        size += len(chunk[-1])
        if size >= most:
            yield len(chunk), _count(chunk)
            chunk, size = [], 0
    if chunk:
        yield len(chunk), _count(chunk)


def _count(texts: Sequence[str]) -> tuple[Ids, Hashes, Ids]:
    """Return row, hash and count of every distinct n-gram of normalised texts, sorted by row and hash."""
    rows, hashes = _hash_windows(texts)
    order = np.lexsort((hashes, rows))
    rows, hashes = rows[order], hashes[order]
    is_first = np.ones(len(rows), bool)
    is_first[1:] = (rows[1:] != rows[:-1]) | (hashes[1:] != hashes[:-1])
    first = np.flatnonzero(is_first)
    return rows[first], hashes[first], np.diff(first, append=len(rows))


def _hash_windows(texts: Sequence[str]) -> tuple[Ids, Hashes]:
    """Return the text and the hash of every window."""
    joined = "".join(texts).encode("utf-32-le", "surrogatepass")
    codes = np.frombuffer(joined, "<u4").astype(np.uint64)
    owners = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    starts, stops = _windows(codes, owners)
    # The characters from a to b as a number in base B are (prefix[b] - prefix[a]) / B**a.
    powers = np.multiply.accumulate(_repeated(BASE, len(codes)))
    prefix = np.zeros(len(codes) + 1, np.uint64)
    np.cumsum((codes + np.uint64(1)) * powers, out=prefix[1:])
    shifts = np.multiply.accumulate(_repeated(INVERSE, len(codes)))
    return owners[starts], _mixed((prefix[stops] - prefix[starts]) * shifts[starts])


def _repeated(number: int, count: int) -> Hashes:
    factors = np.full(count, number, np.uint64)
    factors[:1] = 1
    return factors


def _windows(codes: Hashes, owners: Ids) -> tuple[Ids, Ids]:
    """Return where windows start and stop: of characters, of whole words that are longer, of pairs of words."""
    is_space = codes == SPACE
    spaces = np.concatenate([[0], np.cumsum(is_space)])
    starts, stops = [], []
    for size in range(1, LONGEST + 1):
        start = np.arange(len(codes) - size + 1)
        stop = start + size
        within = owners[start] == owners[stop - 1]
        if size <= 2:
            within &= spaces[stop] - spaces[start] < size  # not of spaces alone
        else:
            within &= spaces[stop - 1] == spaces[start + 1]  # no space but at the ends
        starts.append(start[within])
        stops.append(stop[within])
    gaps = np.flatnonzero(is_space)
    for words, shortest in ((1, LONGEST + 1), (2, 0)):  # a shorter word is a window of characters already
        start, stop = gaps[:-words], gaps[words:] + 1
        further = (owners[start] == owners[stop - 1]) & (stop - start >= shortest)
        starts.append(start[further])
        stops.append(stop[further])
    return np.concatenate(starts), np.concatenate(stops)


def _mixed(hashes: Hashes) -> Hashes:
    """Spread the differences of hashes over all bits (the finaliser of SplitMix64, Steele, Lea and Flood, 2014)."""
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))
