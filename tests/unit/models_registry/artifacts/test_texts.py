from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from models_registry.artifacts import InvalidInput, InvalidModel, TextPreprocessing
from models_registry.artifacts.texts import TextEncoder, length_batches, pad, pad_windows


def encoder(max_length: int = 4, windows: int = 1) -> TextEncoder:
    tokenizer = Tokenizer(WordLevel({"?": 0, "one": 1, "two": 2, "three": 3}, unk_token="?"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.enable_padding(length=10)
    tokenizer.enable_truncation(2)
    return TextEncoder(tokenizer.to_str(), TextPreprocessing(max_length, windows))


def test_files_own_padding_and_truncation_do_not_count() -> None:
    assert encoder().encode(["one two three one two", "two", "four"]) == [[1, 2, 3, 1], [2], [0]]


@pytest.mark.parametrize("text", ["", "  \n\t", "\ud800 one"])
def test_unusable_text_is_named_by_its_number(text: str) -> None:
    with pytest.raises(InvalidInput, match="Text 2"):
        encoder().encode(["one", text])


@given(lengths=st.lists(st.integers(1, 50), max_size=80), tokens=st.integers(1, 300))
def test_batches_hold_every_text_once_within_their_budget(lengths: Sequence[int], tokens: int) -> None:
    batches = list(length_batches(lengths, tokens=tokens))
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[index] for index in batch)
        assert len(batch) == 1 or len(batch) * longest <= tokens


def test_padding_is_masked() -> None:
    batch = pad([[7, 8, 9], [5]])
    assert batch["input_ids"].tolist() == [[7, 8, 9], [5, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]


@pytest.mark.parametrize(
    ("words", "read"),
    [
        (1, [[1]]),
        (5, [[1, 2], [3, 1], [2]]),
        (6, [[1, 2], [3, 1], [2, 3]]),
        (13, [[1, 2], [2, 3], [2, 3]]),  # the first, third and sixth of six whole ones
    ],
)
def test_long_texts_are_read_in_windows_at_equal_distances(words: int, read: list[list[int]]) -> None:
    text = " ".join(("one", "two", "three")[place % 3] for place in range(words))
    [windows] = encoder(max_length=2, windows=3).encode_windows([text])
    assert windows == read


def test_what_is_read_of_a_text_is_counted() -> None:
    text = "one two three " * 5
    assert encoder(max_length=2, windows=3).count_tokens([text, "one"]) == [(15, 6), (1, 1)]
    assert encoder(max_length=2).count_tokens([text]) == [(15, 2)]


def test_windows_know_their_text_and_their_share_of_it() -> None:
    feeds = pad_windows([[[1, 2, 3], [4]], [[5, 6]]])
    assert feeds["input_ids"].tolist() == [[1, 2, 3], [4, 0, 0], [5, 6, 0]]
    assert feeds["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0], [1, 1, 0]]
    assert feeds["window_ids"].tolist() == [[0, 1], [2, 0]]
    assert feeds["window_weights"].tolist() == [[0.75, 0.25], [1, 0]]


@pytest.mark.parametrize("windows", [0, -1, 1.5, "many"])
def test_file_with_impossible_windows_is_refused(windows: object) -> None:
    with pytest.raises(InvalidModel, match="windows"):
        encoder(windows=windows)  # type: ignore[arg-type]
