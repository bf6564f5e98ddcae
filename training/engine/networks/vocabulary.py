"""A tokenizer made from a data set's own words, for networks that start from nothing.

Its vocabulary is every character, and the words that come at least twice; what is not in it falls
apart into the longest pieces that are (WordPiece). Unlike the tokenizers library's own trainers, that
gives the same pieces in the same order every time.
"""

from collections import Counter
from collections.abc import Iterable

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")  # padding is number 0, as batches are padded
INSIDE = "##"  # what begins a piece that does not begin a word
MAX_WORDS = 20_000
MAX_CHARACTERS = 5_000  # of a script like Chinese; the rarest become [UNK]
OFTEN = 2


def make_tokenizer(texts: Iterable[str]) -> str:
    """Return a tokenizer in the tokenizers library's own format."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer
    from tokenizers.processors import TemplateProcessing

    normaliser, splitter = BertNormalizer(lowercase=True), BertPreTokenizer()
    words: Counter[str] = Counter()
    for text in texts:
        words.update(word for word, _ in splitter.pre_tokenize_str(normaliser.normalize_str(text)))
    vocabulary = choose_pieces(words)
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106 - no password
    tokenizer.normalizer, tokenizer.pre_tokenizer = normaliser, splitter
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")]
    )
    content: str = tokenizer.to_str()
    return content


def vocabulary_size(tokenizer: str) -> int:
    """Return how many tokens a tokenizer knows."""
    from tokenizers import Tokenizer

    size: int = Tokenizer.from_str(tokenizer).get_vocab_size()
    return size


def choose_pieces(words: Counter[str]) -> dict[str, int]:
    """Return the vocabulary, piece to number, of words with how often they come."""
    characters: Counter[str] = Counter()
    for word, count in words.items():
        for character in word:
            characters[character] += count
    alphabet = _most_common(characters, 1)[:MAX_CHARACTERS]
    frequent = [word for word in _most_common(words, OFTEN)[:MAX_WORDS] if len(word) > 1]
    pieces = [*SPECIAL, *alphabet, *(INSIDE + character for character in alphabet), *frequent]
    return {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}


def _most_common(counts: Counter[str], least: int) -> list[str]:
    """Return what comes at least so often, the most frequent first; the alphabet decides ties."""
    found = [(-count, name) for name, count in counts.items() if count >= least]
    return [name for _, name in sorted(found)]
