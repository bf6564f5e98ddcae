import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_registry.artifacts import InvalidInput, InvalidModel
from models_registry.artifacts import ngrams as module
from models_registry.artifacts.ngrams import (
    BASE,
    NgramVocabulary,
    WeightedNgrams,
    normalise,
    pad_ngrams,
)

TEXTS = ["The cat sat", "the CAT ran", "a dog ran", "ｔｈｅ  dog\tsat"]


def windows_of(text: str) -> list[str]:
    """Every n-gram of a text, one by one."""
    text = normalise(text)
    gaps = [place for place, character in enumerate(text) if character == " "]
    found = [text[i : i + n] for n in range(1, 6) for i in range(len(text) - n + 1)]
    found = [window for window in found if window.strip() and " " not in window[1:-1]]
    found += [text[a : b + 1] for a, b in itertools.pairwise(gaps) if b - a >= 5]
    return found + [text[a : b + 1] for a, b in zip(gaps, gaps[2:], strict=False)]


def hash_of(window: str) -> int:
    """The documented hash of a window, in Python's own integers."""
    size = 1 << 64
    value = (
        sum((ord(character) + 1) * pow(BASE, place, size) for place, character in enumerate(window)) % size
    )
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 % size
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB % size
    return value ^ (value >> 31)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), min_size=1, max_size=6))
def test_windows_are_those_found_one_by_one(texts: list[str]) -> None:
    rows, hashes, counts = module._count([normalise(text) for text in texts])
    for number, text in enumerate(texts):
        found = dict(zip(hashes[rows == number].tolist(), counts[rows == number].tolist(), strict=True))
        expected: dict[int, int] = {}
        for window in windows_of(text):
            expected[hash_of(window)] = expected.get(hash_of(window), 0) + 1
        assert found == expected


def test_vocabulary_holds_what_comes_in_two_texts() -> None:
    vocabulary = NgramVocabulary.learn(TEXTS, most=1000)
    known = {hash_of(window) for window in (" the ", " cat ", "sat ", " ran ", " the cat ", " dog ")}
    assert known <= set(vocabulary.hashes.tolist())
    assert hash_of(" cat sat ") not in vocabulary.hashes
    assert (np.diff(vocabulary.hashes.astype(object)) > 0).all()


def test_commonest_are_kept_when_there_are_too_many() -> None:
    vocabulary = NgramVocabulary.learn(TEXTS, most=3)
    assert len(vocabulary) == 3
    assert hash_of("a") in vocabulary.hashes  # in every text
    assert vocabulary.idf.min() == pytest.approx(1)  # ln(5 / 5) + 1


def test_weights_are_tf_idf_of_length_one() -> None:
    vocabulary = NgramVocabulary.learn(TEXTS, most=1000)
    [one] = vocabulary.encode(["the the cat"])
    assert np.linalg.norm(one.weights) == pytest.approx(1)
    weights = dict(zip(vocabulary.hashes[one.ids].tolist(), one.weights.tolist(), strict=True))
    idf = dict(zip(vocabulary.hashes.tolist(), vocabulary.idf.tolist(), strict=True))
    the, cat = hash_of(" the "), hash_of(" cat ")
    assert weights[the] / weights[cat] == pytest.approx((1 + np.log(2)) * idf[the] / idf[cat])


def test_texts_are_encoded_alike_alone_and_together(monkeypatch: pytest.MonkeyPatch) -> None:
    vocabulary = NgramVocabulary.learn(TEXTS, most=1000)
    texts = [*TEXTS, "nothing of it: 数", "the dog"]
    monkeypatch.setattr(module, "CHARACTERS_AT_ONCE", 20)
    chunked = vocabulary.encode(texts)
    monkeypatch.undo()
    for text, one in zip(texts, chunked, strict=True):
        [alone] = vocabulary.encode([text])
        np.testing.assert_array_equal(one.ids, alone.ids)
        np.testing.assert_array_equal(one.weights, alone.weights)
    relearnt = NgramVocabulary.learn(TEXTS, most=1000)
    np.testing.assert_array_equal(relearnt.hashes, vocabulary.hashes)


def test_scripts_without_spaces_have_ngrams() -> None:
    vocabulary = NgramVocabulary.learn(
        ["我想要一张新卡", "新卡在哪里", "ผมอยากได้บัตรใหม่", "บัตรใหม่อยู่ไหน"], most=1000
    )
    assert len(vocabulary.encode(["新卡"])[0].ids) >= 3
    assert len(vocabulary.encode(["บัตรใหม่"])[0].ids) >= 10


@pytest.mark.parametrize("text", ["", " \n", "\ud800 one"])
def test_unusable_text_is_named_by_its_number(text: str) -> None:
    with pytest.raises(InvalidInput, match="Text 2"):
        NgramVocabulary.learn(TEXTS, most=10).encode(["the cat", text])


def test_vocabulary_survives_its_file() -> None:
    vocabulary = NgramVocabulary.learn(TEXTS, most=1000)
    again = NgramVocabulary.from_json(vocabulary.json)
    np.testing.assert_array_equal(again.hashes, vocabulary.hashes)
    np.testing.assert_array_equal(again.idf, vocabulary.idf)


@pytest.mark.parametrize(
    "changes",
    [
        {"hashes": "no base64!"},
        {"hashes": "AAAA"},
        {"idf": ""},
        {"format": 99},
        {"longest": None},
    ],
)
def test_damaged_vocabulary_is_refused(changes: dict[str, object]) -> None:
    values = json.loads(NgramVocabulary.learn(TEXTS, most=1000).json)
    with pytest.raises(InvalidModel, match="n-grams"):
        NgramVocabulary.from_json(json.dumps({**values, **changes}))


def test_padding_weighs_nothing() -> None:
    texts = [
        WeightedNgrams(np.array([4, 7]), np.float32([0.6, 0.8])),
        WeightedNgrams(np.empty(0, np.int64), np.empty(0, np.float32)),
    ]
    ids, weights = pad_ngrams(texts)
    assert ids.tolist() == [[4, 7], [0, 0]]
    assert weights[1].tolist() == [0, 0]
