"""Which examples are near copies of one another: one photo under other exposures, one text with another word.

A validation example whose near copy was trained on says nothing about new examples, so that near copies become bundles
that stay on one side of the split, as exact copies do.

Photos are compared by a sketch: 16 × 16 grey values that are taken while the file is decoded anyway. Grey values
become their ranks, which no exposure, gamma or contrast changes; then the low frequencies of a cosine transform are
weighted by their frequency, since what photos have in common (bright in the middle, dark at the edges) is in the
lowest. Two photos are as alike as the cosine of what results.

Texts are compared by the Jaccard index of their 5-grams of characters, in small letters, without punctuation, each
digit as 0. It is estimated by one permutation hashing (Li, Owen and Zhang, 2012; empty bins are filled by rotation:
Shrivastava and Li, 2014), of which eight bits are kept (Li and König, 2010), and pairs are found by banding. Bundles
are what pairs connect.
"""

import hashlib
import re
from collections.abc import Hashable, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

SKETCH_SIDE = 16
SKETCH_BYTES = SKETCH_SIDE**2
FREQUENCIES = 8  # in each direction
BLOCK = 1_024  # photos that are compared with as many at a time
ROWS_AT_ONCE = 256  # of such a block, of which all pairs may be near copies
# From which likeness on photos are near copies: the first that has more photos with their nearest above it than twice
# as many in as wide a band below. Where photos of different things form a continuum (digits, X-rays) none has.
LIKENESS = (0.9, 0.92, 0.94, 0.96, 0.98, 0.99)
APART = 2.0

GRAM = 5  # characters
LETTERS = 8  # of a text's normal form, below which only equal ones are copies
MOST_CHARS = 20_000  # of a text that are looked at
JACCARD = 0.7
BAND, BANDS = (
    5,
    25,
)  # minima of a signature that have to be equal for a pair to be compared: 99 % of those with 0.7
MINIMA = BAND * BANDS
CHARS_AT_ONCE, TEXTS_AT_ONCE = 1 << 15, 1 << 10  # larger arrays are mapped anew each time
PAIRS_AT_ONCE = 1 << 13
EMPTY = np.uint32(0xFFFFFFFF)
FACTORS = np.random.default_rng(0).integers(1 << 32, size=MINIMA, dtype=np.uint32) | np.uint32(1)
ODD = np.uint32(0x9E3779B1)
SQUARE_OF_ODD = np.uint32(0x9E3779B1**2 % 2**32)
# Shifts and factors of the finalizer of MurmurHash3 (Appleby, 2011), which ends with the first shift.
MIX = ((np.uint32(16), np.uint32(0x85EBCA6B)), (np.uint32(13), np.uint32(0xC2B2AE35)))

Bundles = npt.NDArray[np.int64]  # the number of each example's bundle: that of its first example
Pairs = npt.NDArray[np.int64]  # pairs × 2
Signatures = npt.NDArray[np.uint8]  # texts × MINIMA

_others = re.compile(r"[\W_]+")
_digit = re.compile(r"\d")
# What the two patterns make of ASCII, in a fifth of the time.
_ascii = "".join(
    "0" if sign.isdigit() else sign.lower() if sign.isalnum() else " " for sign in map(chr, range(128))
)


def bundle_photos(sketches: Sequence[bytes]) -> Bundles:
    """Return the bundle of each photo; `sketches` are 16 × 16 grey values each, or empty for photos without."""
    first: dict[bytes, int] = {}  # photo of each sketch: equal ones are compared as one
    bundles = np.array(
        [
            first.setdefault(sketch, place) if _shows_something(sketch) else place
            for place, sketch in enumerate(sketches)
        ],
        np.int64,
    )
    if not first:
        return bundles
    known = np.array(list(first.values()))
    vectors = describe_photos(np.frombuffer(b"".join(first), np.uint8).reshape(-1, SKETCH_SIDE, SKETCH_SIDE))
    counts = np.bincount(bundles, minlength=len(sketches))[known]
    bundles[known] = known[_alike_photos(vectors, counts)]
    return bundles[bundles]


def _shows_something(sketch: bytes) -> bool:
    """Tell whether a sketch is there, and of more than one grey."""
    return len(sketch) == SKETCH_BYTES and sketch.count(sketch[0]) < SKETCH_BYTES


def bundle_texts(texts: Iterable[str]) -> Bundles:
    """Return the bundle of each text. Takes 125 bytes a text beside the texts themselves."""
    sketches = TextSketches()
    for text in texts:
        sketches.add(text)
    return sketches.bundles()


def connect(pairs: Pairs, count: int) -> Bundles:
    """Return the number of the first example that each of `count` is connected with, directly or by others."""
    return connect_further(np.arange(count), pairs)


def connect_further(first: Bundles, pairs: Pairs) -> Bundles:
    """Return bundles after further pairs; those that there were stay together."""
    while len(pairs := pairs[first[pairs[:, 0]] != first[pairs[:, 1]]]):
        ends, joined = first[pairs], first.copy()
        np.minimum.at(joined, ends.ravel(), np.repeat(ends.min(1), 2))  # of bundles, which examples follow
        first = _followed(joined)
    return first


def connect_groups(*groupings: Sequence[Hashable]) -> list[int]:
    """Return the group of each example where it shares one with whatever shares a group with it in any grouping."""
    pairs = []
    for grouping in groupings:
        first: dict[Hashable, int] = {}
        pairs += [(first.setdefault(group, place), place) for place, group in enumerate(grouping)]
    joined: list[int] = connect(np.array(pairs, np.int64).reshape(-1, 2), len(groupings[0])).tolist()
    return joined


def _followed(first: Bundles) -> Bundles:
    while not np.array_equal(further := first[first], first):
        first = further
    return first


def describe_photos(greys: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return a vector of length 1 for each of N × 16 × 16 grey pictures; of length 0 for one of a single grey."""
    described = np.zeros((len(greys), FREQUENCIES**2 - 1), np.float32)
    basis, weights = _cosines(), _weights()
    for start in range(0, len(greys), BLOCK):
        block = greys[start : start + BLOCK]
        ranks = _ranks(block.reshape(len(block), -1)).reshape(block.shape)
        spectrum = (basis @ ranks @ basis.T * weights).reshape(len(block), -1)[:, 1:]
        length = np.linalg.norm(spectrum, axis=1, keepdims=True)
        described[start : start + BLOCK] = spectrum / np.maximum(length, 1e-3)
    return described


def _ranks(values: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Return the mean rank of each value among those of its row, from -1 to 1."""
    rows, columns = values.shape
    cells = values.astype(np.int64) + 256 * np.arange(rows)[:, None]
    counts = np.bincount(cells.ravel(), minlength=256 * rows).reshape(rows, 256)
    below = counts.cumsum(1) - counts / 2
    ranks: npt.NDArray[np.float64] = below.ravel()[cells] * 2 / columns - 1
    return ranks


def _cosines() -> npt.NDArray[np.float64]:
    """Return the first rows of the orthonormal cosine transform (DCT-II)."""
    places = np.arange(SKETCH_SIDE) + 0.5
    rows = np.cos(np.pi / SKETCH_SIDE * np.outer(np.arange(FREQUENCIES), places)) * np.sqrt(2 / SKETCH_SIDE)
    rows[0] /= np.sqrt(2)
    return np.asarray(rows, np.float64)


def _weights() -> npt.NDArray[np.float64]:
    """Return the frequency of each coefficient: the amplitudes of photos fall with it."""
    one = np.arange(FREQUENCIES)
    return np.asarray(np.hypot(one[:, None], one[None]), np.float64)


def _alike_photos(vectors: npt.NDArray[np.float32], counts: npt.NDArray[np.int64]) -> Bundles:
    """Return the bundle of each photo, which stands for so many with the same sketch."""
    nearest = np.where(counts > 1, np.float32(1), np.float32(-1))
    for start, end, values in _products(vectors):
        np.maximum(nearest[start : start + BLOCK], values.max(1), out=nearest[start : start + BLOCK])
        np.maximum(nearest[end : end + BLOCK], values.max(0), out=nearest[end : end + BLOCK])
    first: Bundles = np.arange(len(vectors))
    least = least_likeness(np.repeat(nearest, counts))
    if least is None:
        return first
    some = np.flatnonzero(nearest >= least)
    for start, end, values in _products(vectors[some]):
        for row in range(0, len(values), ROWS_AT_ONCE):
            found = np.argwhere(values[row : row + ROWS_AT_ONCE] >= least)
            first = connect_further(first, some[found + np.array([start + row, end])])
    return first


def least_likeness(nearest: npt.NDArray[np.float32]) -> float | None:
    """Return from which likeness photos are near copies, by that of each photo's nearest; None: there are none."""
    for least in LIKENESS:
        above = int((nearest >= least).sum())
        below = int(((nearest >= 2 * least - 1) & (nearest < least)).sum())
        if above and above > APART * below:
            return least
    return None


def _products(vectors: npt.NDArray[np.float32]) -> Iterator[tuple[int, int, npt.NDArray[np.float32]]]:
    """Yield the likeness of each pair once: where a block of rows begins, where one of columns, and the values."""
    for start in range(0, len(vectors), BLOCK):
        for end in range(start, len(vectors), BLOCK):
            values = vectors[start : start + BLOCK] @ vectors[end : end + BLOCK].T
            if start == end:
                values[np.tri(len(values), dtype=bool)] = -1
            yield start, end, values


class TextSketches:
    """Takes texts one by one, and keeps 125 bytes of each."""

    def __init__(self) -> None:
        self._waiting: list[str] = []
        self._chars = 0
        self._minima = bytearray()

    def add(self, text: str) -> None:
        """Take a text."""
        plain = normal_form(text)
        self._waiting.append(plain)
        self._chars += len(plain)
        if self._chars >= CHARS_AT_ONCE or len(self._waiting) >= TEXTS_AT_ONCE:
            self._sign()

    def bundles(self) -> Bundles:
        """Return the bundle of each text; those that are taken later begin anew."""
        self._sign()
        minima, self._minima = self._minima, bytearray()
        return _bundles_of(np.frombuffer(minima, np.uint8).reshape(-1, MINIMA))

    def _sign(self) -> None:
        if self._waiting:
            self._minima += _signatures(self._waiting).tobytes()
        self._waiting, self._chars = [], 0


def normal_form(text: str) -> str:
    """Return what of a text is compared, with blanks around it; a digest of the text where little would be left."""
    beginning = text[:MOST_CHARS]
    if beginning.isascii():
        plain = beginning.translate(_ascii)
        while "  " in plain:
            plain = plain.replace("  ", " ")
        plain = plain.strip()
    else:
        plain = _digit.sub("0", _others.sub(" ", beginning.casefold()).strip())
    if _letters(plain[: 4 * LETTERS]) >= LETTERS or _letters(plain) >= LETTERS:
        return f" {plain} "
    # Such texts would have few grams, of which half are those of others: of digests only equal ones share most.
    return "\0" + hashlib.blake2b(beginning.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _letters(plain: str) -> int:
    return len(plain) - plain.count("0") - plain.count(" ")


def _signatures(plains: Sequence[str]) -> Signatures:
    """Return minima of the hashed n-grams of texts: of each, the least in every bin."""
    lengths = np.array([len(plain) for plain in plains])
    hashed = _mixed_grams(_signs("".join(plains)))
    ends = lengths.cumsum()[:-1]
    for beyond in range(1, GRAM):
        hashed[ends - beyond] = EMPTY  # of a gram that reaches into the next text
    bins = hashed >> np.uint32(16)
    bins *= np.uint32(MINIMA)
    bins >>= np.uint32(16)
    bins += np.repeat(MINIMA * np.arange(len(plains), dtype=np.uint32), lengths)[: len(hashed)]
    minima = np.full(len(plains) * MINIMA, EMPTY, np.uint32)
    np.minimum.at(minima, bins, hashed)
    # A factor for each bin: else different minima with the same eight bits would agree in all bins that they fill.
    return (_filled(minima.reshape(len(plains), MINIMA)) * FACTORS >> np.uint32(24)).astype(np.uint8)


def _signs(text: str) -> npt.NDArray[np.uint32]:
    """Return the code points of a text."""
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), np.uint8).astype(np.uint32)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _mixed_grams(signs: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Return a well mixed hash of each 5-gram: a polynomial of its signs, made of those of two and of four."""
    two = signs[:-1] * ODD
    two += signs[1:]
    four = two[:-2] * SQUARE_OF_ODD
    four += two[2:]
    hashed, spare = four[:-1], two[:-3]  # new arrays would take longer than what is done with them
    hashed *= ODD
    hashed += signs[GRAM - 1 :]
    for shift, factor in MIX:
        hashed ^= np.right_shift(hashed, shift, out=spare)
        hashed *= factor
    hashed ^= np.right_shift(hashed, MIX[0][0], out=spare)
    return hashed


def _filled(minima: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Fill empty bins with the next minimum to the right, and how far it was."""
    places = np.arange(2 * MINIMA, dtype=np.int32)
    twice = np.concatenate([minima, minima], 1)
    following = np.where(twice == EMPTY, np.int32(2 * MINIMA), places)
    following = np.minimum.accumulate(following[:, ::-1], 1)[:, ::-1][:, :MINIMA]
    following = np.minimum(following, 2 * MINIMA - 1)
    distance = (following - places[:MINIMA]).astype(np.uint32)
    found: npt.NDArray[np.uint32] = np.take_along_axis(twice, following, 1) + distance * ODD
    return found


def _bundles_of(signatures: Signatures) -> Bundles:
    """Return the bundles of texts whose signatures agree in so many minima; a few pairs at a time are in memory."""
    first: Bundles = np.arange(len(signatures))
    for start in range(0, MINIMA, BAND):
        found = _of_one_band(signatures[:, start : start + BAND])
        for begin in range(0, len(found), PAIRS_AT_ONCE):
            some = found[begin : begin + PAIRS_AT_ONCE]
            some = some[first[some[:, 0]] != first[some[:, 1]]]  # the others are together already
            equal = (signatures[some[:, 0]] == signatures[some[:, 1]]).mean(1)
            first = connect_further(first, some[equal >= JACCARD])
    return first


def _of_one_band(band: Signatures) -> Pairs:
    """Return pairs of texts that have a band in common: each with the one before it, and with the first that has it."""
    keys = np.zeros(len(band), np.uint64)
    for column in band.T:
        keys = keys << np.uint64(8) | column
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    again = np.flatnonzero(ordered[1:] == ordered[:-1]) + 1
    starts = np.searchsorted(ordered, ordered[again])
    before = np.stack([order[again - 1], order[again]], 1)
    far = again - starts > 1
    return np.concatenate([before, np.stack([order[starts[far]], order[again[far]]], 1)])
