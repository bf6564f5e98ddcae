"""A tokenizer made from a data set's own texts, for networks that start from nothing or whose own does not fit.

Pieces are merged out of characters, the most frequent pair first (byte-pair encoding: Sennrich, Haddow and Birch,
"Neural Machine Translation of Rare Words with Subword Units", 2016). That needs no spaces between words, and gives the
same pieces in the same order every time. Of the tokenizers library's trainers, the one for WordPiece does not.
"""

from collections.abc import Iterable, Sequence

UNKNOWN = "[UNK]"
SPECIAL = ("[PAD]", UNKNOWN, "[CLS]", "[SEP]")  # padding is number 0, as batches are padded
MAX_PIECES = 12_000
MAX_CHARACTERS = 5_000  # of a script like Chinese; the rarest become [UNK]
LONGEST = 12  # characters of a piece; in scripts without spaces whole phrases would become pieces
OFTEN = 2

SAMPLE, SAMPLE_CHARACTERS = 500, 1_000  # texts by which a tokenizer is judged, and how much of each
# MiniLM's has 2.0 to 3.4 characters a piece in languages of Latin letters, and 1.0 to 1.5 in Greek, Russian, Hebrew,
# Arabic and Hindi; of Korean, Thai, Japanese and Chinese it does not know a third of the characters or more.
FEWEST_CHARACTERS = 1.75
MOST_UNKNOWN = 0.05


def make_tokenizer(texts: Iterable[str]) -> str:
    """Return a tokenizer in the tokenizers library's own format."""
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from tokenizers.normalizers import NFKC, Lowercase, Sequence
    from tokenizers.pre_tokenizers import BertPreTokenizer, Metaspace
    from tokenizers.pre_tokenizers import Sequence as Splitters
    from tokenizers.processors import TemplateProcessing
    from tokenizers.trainers import BpeTrainer

    tokenizer = Tokenizer(BPE(unk_token=UNKNOWN, fuse_unk=True))
    # Accents stay: in many scripts, vowels are written as such.
    tokenizer.normalizer = Sequence([NFKC(), Lowercase()])
    tokenizer.pre_tokenizer = Splitters([BertPreTokenizer(), Metaspace(prepend_scheme="always")])
    trainer = BpeTrainer(
        vocab_size=MAX_PIECES,
        min_frequency=OFTEN,
        special_tokens=list(SPECIAL),
        limit_alphabet=MAX_CHARACTERS,
        max_token_length=LONGEST,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    ends = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    content: str = tokenizer.to_str()
    return content


def suits(tokenizer: str, texts: Sequence[str]) -> bool:
    """Return whether a tokenizer knows what texts are made of: by pieces of some characters, nearly all of them."""
    from tokenizers import Tokenizer

    reader = Tokenizer.from_str(tokenizer)
    reader.no_padding()
    reader.no_truncation()
    some = [text[:SAMPLE_CHARACTERS] for text in texts[:: max(1, len(texts) // SAMPLE)]]
    pieces = known = unknown = 0
    for encoding in reader.encode_batch(some, add_special_tokens=False):
        for piece, (start, end) in zip(encoding.tokens, encoding.offsets, strict=True):
            if piece == UNKNOWN:
                unknown += end - start
            else:
                pieces, known = pieces + 1, known + end - start
    return known >= FEWEST_CHARACTERS * pieces and unknown <= MOST_UNKNOWN * (known + unknown)


def vocabulary_size(tokenizer: str) -> int:
    """Return how many tokens a tokenizer knows."""
    from tokenizers import Tokenizer

    size: int = Tokenizer.from_str(tokenizer).get_vocab_size()
    return size
