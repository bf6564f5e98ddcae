"""Which words a class hangs on: each is left out in turn, and the probability that is lost is its importance.

That is the occlusion of Zeiler and Fergus (2014), on words. It asks nothing of the network but to run.
"""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..batches import EncodedText, TextInputs, padded_batches
from ..errors import InvalidInput
from ..sessions import Session
from ..texts import Windows, check_texts
from .base import Explanation, Probabilities, Word, WordImportance

if TYPE_CHECKING:
    from tokenizers import Encoding

# A text is run once for each of its parts: at most so many tokens in all, in not too few parts and not too many.
TOKENS = 4096
FEWEST, MOST = 8, 64
DIGITS = 4

BLANK = "\N{MIDDLE DOT}"  # a text that says nothing
LONG_WORD = 24  # characters
RUN = 4  # characters that stand for a word in scripts without spaces
WORD = re.compile(r"\w+|[^\w\s]+")

Part = tuple[int, int, frozenset[int]]  # where it begins and ends in the text, and its tokens


class WordExplainer:
    """Leaves out one word after the other, all of them in few batches."""

    def __init__(self, session: Session, inputs: TextInputs, classes: Sequence[str]) -> None:
        self._session = session
        self._inputs = inputs
        self._classes = classes

    def explain(self, inputs: Sequence[bytes | str]) -> tuple[Probabilities, list[Explanation]]:
        """Return the probabilities, N × classes, and for each text what its words contribute."""
        texts = [given for given in inputs if isinstance(given, str)]
        if len(texts) < len(inputs):
            raise InvalidInput("This model classifies texts. Send strings, no files.")
        whole, variants, parts = self._variants(texts)
        found = self._probabilities([*whole, *variants])
        result, left_out = found[: len(texts)], iter(found[len(texts) :])
        explanations: list[Explanation] = []
        for text, row, probabilities in zip(texts, parts, result, strict=True):
            best = int(probabilities.argmax())
            words = tuple(
                Word(
                    text[start:end],
                    start,
                    end,
                    round(float(probabilities[best] - next(left_out)[best]), DIGITS),
                )
                for start, end, _ in row
            )
            explanations.append(WordImportance(self._classes[best], words))
        return result, explanations

    def _variants(
        self, texts: Sequence[str]
    ) -> tuple[list[EncodedText], list[EncodedText], list[list[Part]]]:
        """Return the texts, each of them without each of its parts in turn, and the parts of each."""
        encoder = self._inputs.encoder
        if encoder is None:
            check_texts(texts)
            parts = [list(_grouped(list(_runs(text)), size=len(text))) for text in texts]
            tokens: list[Windows | None] = [None] * sum(map(len, parts))
            whole: list[Windows | None] = [None] * len(texts)
        else:
            read = [encoder.windows_of(one) for one in encoder.encode_with_places(texts)]
            parts = [list(parts_of(text, windows)) for text, windows in zip(texts, read, strict=True)]
            whole = [[window.ids for window in windows] for windows in read]
            tokens = [
                _without(windows, part) for windows, row in zip(read, parts, strict=True) for part in row
            ]
        # A text may be empty but for the part: what is left is a blank, which has no n-grams.
        rests = [
            f"{text[:start]} {text[end:]}"
            for text, row in zip(texts, parts, strict=True)
            for start, end, _ in row
        ]
        rests = [rest if rest.strip() else BLANK for rest in rests]
        return self._inputs.with_ngrams(whole, texts), self._inputs.with_ngrams(tokens, rests), parts

    def _probabilities(self, encoded: Sequence[EncodedText]) -> Probabilities:
        result = np.empty((len(encoded), len(self._classes)), np.float32)
        for indices, feeds in padded_batches(encoded):
            result[indices] = self._session.run(["probabilities"], feeds)[0]
        return result


def parts_of(text: str, windows: "Sequence[Encoding]") -> Iterator[Part]:
    """Yield the words of a text, or, of a long one, a few words at a time, whether its windows hold them or not."""
    size = sum(len(window.ids) for window in windows)
    words = _words(text, windows[0]) if len(windows) == 1 else _runs(text)
    yield from _grouped(list(words), size=size)


def _grouped(words: Sequence[Part], *, size: int) -> Iterator[Part]:
    """Yield words, or a few at a time where a text of this size, in tokens or characters, has too many."""
    most = min(MOST, max(FEWEST, TOKENS // max(1, size)))
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


def _runs(text: str) -> Iterator[Part]:
    """Yield the words of a text, those of scripts without spaces in pieces."""
    for found in WORD.finditer(text):
        start, end = found.span()
        step = RUN if end - start > LONG_WORD else end - start
        for begin in range(start, end, step):
            yield begin, min(begin + step, end), frozenset()


def _both_of_words(text: str, place: int) -> bool:
    """Say whether the characters on both sides of a place are letters or digits, as in Chinese."""
    return place > 0 and text[place - 1].isalnum() and text[place].isalnum()


def _without(windows: "Sequence[Encoding]", part: Part) -> Windows:
    """Return the other tokens of each window; all of them when there would be none, which no network takes."""
    if len(windows) == 1:
        ids = windows[0].ids
        return [[number for token, number in enumerate(ids) if token not in part[2]] or ids]
    start, end, _ = part
    kept = [
        [
            number
            for number, (a, b) in zip(one.ids, one.offsets, strict=True)
            if a == b or b <= start or a >= end
        ]
        for one in windows
    ]
    return [ids or one.ids for ids, one in zip(kept, windows, strict=True)]
