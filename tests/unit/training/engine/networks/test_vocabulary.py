from collections import Counter

from tokenizers import Tokenizer

from models_registry.artifacts import TextPreprocessing
from models_registry.artifacts.texts import TextEncoder
from training.engine.networks.vocabulary import SPECIAL, choose_pieces, make_tokenizer, vocabulary_size

TEXTS = ["Wo ist meine Karte?", "Meine Karte ist weg", "Где моя карта", "我的卡在哪里"]


def test_frequent_words_stay_whole_and_others_fall_apart() -> None:
    tokenizer = Tokenizer.from_str(make_tokenizer(TEXTS))
    assert tokenizer.encode("meine Karte wo").tokens == ["[CLS]", "meine", "karte", "w", "##o", "[SEP]"]


def test_every_script_is_covered() -> None:
    tokenizer = Tokenizer.from_str(make_tokenizer(TEXTS))
    for text in TEXTS:
        assert "[UNK]" not in tokenizer.encode(text).tokens
    assert "[UNK]" in tokenizer.encode("ßœ").tokens


def test_numbers_do_not_depend_on_the_order_of_equals() -> None:
    words = {"b": 2, "aa": 2, "c": 2, "ab": 2}
    assert choose_pieces(Counter(words)) == choose_pieces(Counter(dict(reversed(words.items()))))
    assert list(choose_pieces(Counter(words)))[: len(SPECIAL)] == list(SPECIAL)


def test_tokenizer_is_what_predictors_read() -> None:
    content = make_tokenizer(TEXTS)
    encoded = TextEncoder(content, TextPreprocessing(max_length=4)).encode(TEXTS)
    assert max(map(len, encoded)) == 4
    assert max(max(ids) for ids in encoded) < vocabulary_size(content)
