"""Which words a class hangs on: each is left out in turn, and the probability that is lost is its importance.

That is the occlusion of Zeiler and Fergus (2014), on words. It asks nothing of the network but to run.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..batches import padded_batches
from ..errors import InvalidInput
from ..sessions import Session
from ..texts import TextEncoder
from .base import Explanation, Probabilities, Word, WordImportance

if TYPE_CHECKING:
    from tokenizers import Encoding

# A text is run once for each of its parts: at most so many tokens in all, in not too few parts and not too many.
TOKENS = 4096
FEWEST, MOST = 8, 64
DIGITS = 4

Part = tuple[int, int, frozenset[int]]  # where it begins and ends in the text, and its tokens


class WordExplainer:
    """Leaves out one word after the other, all of them in few batches."""

    def __init__(self, session: Session, encoder: TextEncoder, classes: Sequence[str]) -> None:
        self._session = session
        self._encoder = encoder
        self._classes = classes

    def explain(self, inputs: Sequence[bytes | str]) -> tuple[Probabilities, list[Explanation]]:
        """Return the probabilities, N × classes, and for each text what its words contribute."""
        texts = [given for given in inputs if isinstance(given, str)]
        if len(texts) < len(inputs):
            raise InvalidInput("This model classifies texts. Send strings, no files.")
        encodings = self._encoder.encode_with_places(texts)
        parts = [list(parts_of(text, one)) for text, one in zip(texts, encodings, strict=True)]
        variants = [
            _without(one.ids, part) for one, row in zip(encodings, parts, strict=True) for part in row
        ]
        found = self._probabilities([*(one.ids for one in encodings), *variants])
        result, left_out = found[: len(texts)], iter(found[len(texts) :])
        explanations: list[Explanation] = []
        for text, row, whole in zip(texts, parts, result, strict=True):
            best = int(whole.argmax())
            words = tuple(
                Word(text[start:end], start, end, round(float(whole[best] - next(left_out)[best]), DIGITS))
                for start, end, _ in row
            )
            explanations.append(WordImportance(self._classes[best], words))
        return result, explanations

    def _probabilities(self, encoded: Sequence[Sequence[int]]) -> Probabilities:
        result = np.empty((len(encoded), len(self._classes)), np.float32)
        for indices, feeds in padded_batches(encoded):
            result[indices] = self._session.run(["probabilities"], feeds)[0]
        return result


def parts_of(text: str, encoding: "Encoding") -> Iterator[Part]:
    """Yield the words of a text, or, of a long one, a few words at a time."""
    words = list(_words(text, encoding))
    most = min(MOST, max(FEWEST, TOKENS // max(1, len(encoding.ids))))
    for chosen in np.array_split(np.arange(len(words)), min(most, len(words)) or 1):
        if len(chosen):
            few = [words[index] for index in chosen]
            yield few[0][0], few[-1][1], frozenset().union(*(tokens for _, _, tokens in few))


def _words(text: str, encoding: "Encoding") -> Iterator[Part]:
    """Yield the words: what the tokenizer keeps together, and the punctuation that touches it."""
    begun: Part | None = None
    number_before: int | None = None
    for token, (number, (start, end)) in enumerate(zip(encoding.word_ids, encoding.offsets, strict=True)):
        if number is None or start == end:  # a token of the network's own, such as [CLS]
            continue
        touches = begun is not None and start <= begun[1]
        if begun and touches and (number == number_before or not _both_of_words(text, start)):
            begun = (begun[0], max(begun[1], end), begun[2] | {token})
        else:
            if begun:
                yield begun
            begun = (start, end, frozenset({token}))
        number_before = number
    if begun:
        yield begun


def _both_of_words(text: str, place: int) -> bool:
    """Say whether the characters on both sides of a place are letters or digits, as in Chinese."""
    return place > 0 and text[place - 1].isalnum() and text[place].isalnum()


def _without(ids: Sequence[int], part: Part) -> Sequence[int]:
    """Return the other tokens; all of them when there would be none, which no network takes."""
    return [number for token, number in enumerate(ids) if token not in part[2]] or ids
