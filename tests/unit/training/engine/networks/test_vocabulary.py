import csv

import pytest
from tokenizers import Tokenizer

from models_registry.artifacts import TextPreprocessing
from models_registry.artifacts.texts import TextEncoder
from training.engine.catalogue import get_architecture
from training.engine.networks.vocabulary import SPECIAL, make_tokenizer, suits, vocabulary_size
from training.engine.weights_files import read_verified

from ..conftest import DATA

TEXTS = ["Wo ist meine Karte?", "Meine Karte ist weg", "Где моя карта", "我的卡在哪里"]
# "Where is the card?" and "the card is lost", over and over, in scripts that MiniLM's tokenizer spells out or lacks.
UNFITTING = {
    "Arabic": ["أين بطاقتي الجديدة", "بطاقتي الجديدة ضاعت"],
    "Greek": ["Πού είναι η κάρτα μου", "Έχασα την κάρτα μου"],
    "Japanese": ["カードはどこですか", "カードを失くしました"],
    "Russian": ["Где моя карта", "Моя карта потерялась"],
    "Thai": ["บัตรของฉันอยู่ที่ไหน", "บัตรของฉันหาย"],
}


def test_frequent_words_stay_whole_and_others_fall_apart() -> None:
    tokenizer = Tokenizer.from_str(make_tokenizer(TEXTS))
    assert tokenizer.encode("meine Karte wo").tokens == ["[CLS]", "▁meine", "▁karte", "▁w", "o", "[SEP]"]


def test_every_script_is_covered() -> None:
    tokenizer = Tokenizer.from_str(make_tokenizer(TEXTS))
    for text in TEXTS:
        assert "[UNK]" not in tokenizer.encode(text).tokens
    assert "[UNK]" in tokenizer.encode("ßœ").tokens


def test_pieces_do_not_depend_on_the_order_of_texts() -> None:
    assert make_tokenizer(TEXTS) == make_tokenizer(TEXTS[::-1])
    assert [Tokenizer.from_str(make_tokenizer(TEXTS)).id_to_token(number) for number in range(4)] == [
        *SPECIAL
    ]


def test_scripts_without_spaces_have_pieces_of_several_characters() -> None:
    """The vowels of Thai, which Unicode takes for accents, stay."""
    tokenizer = Tokenizer.from_str(make_tokenizer(UNFITTING["Thai"]))
    pieces = tokenizer.encode("บัตรของฉัน").tokens[1:-1]
    assert len(pieces) < 4
    assert "".join(pieces).strip("▁") == "บัตรของฉัน"


@pytest.mark.parametrize("language", UNFITTING)
def test_packaged_tokenizer_does_not_suit_other_scripts(language: str) -> None:
    texts = UNFITTING[language]
    assert not suits(_packaged(), texts)
    assert suits(make_tokenizer(texts * 2), texts)


def test_packaged_tokenizer_suits_what_it_knows() -> None:
    with DATA["textclassification"].open(newline="", encoding="utf-8") as file:
        texts = [row["input"] for row in csv.DictReader(file)]
    assert suits(_packaged(), texts)
    # A name in another script here and there does not matter.
    assert suits(_packaged(), [*texts[:60], "Что"])
    assert suits(_packaged(), ["Die Bundesregierung hat neue Maßnahmen beschlossen", "Bugün hava çok güzel"])


def test_tokenizer_is_what_predictors_read() -> None:
    content = make_tokenizer(TEXTS)
    encoded = TextEncoder(content, TextPreprocessing(max_length=4)).encode(TEXTS)
    assert max(map(len, encoded)) == 4
    assert max(max(ids) for ids in encoded) < vocabulary_size(content)


def _packaged() -> str:
    tokenizer = get_architecture("lstm").tokenizer
    assert tokenizer is not None
    return read_verified(tokenizer).decode()
