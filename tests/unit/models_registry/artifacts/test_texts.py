from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from models_registry.artifacts import InvalidInput, TextPreprocessing
from models_registry.artifacts.texts import TextEncoder, length_batches, pad


def encoder(max_length: int = 4) -> TextEncoder:
    tokenizer = Tokenizer(WordLevel({"?": 0, "one": 1, "two": 2, "three": 3}, unk_token="?"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.enable_padding(length=10)
    tokenizer.enable_truncation(2)
    return TextEncoder(tokenizer.to_str(), TextPreprocessing(max_length=max_length))


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
