"""What of a token is shown to those who may not predict with it."""

import pytest

from models_registry.tokens import masked, new_token, readable_name


def test_masked_token_keeps_its_random_part() -> None:
    token = new_token("imageclassification", "Owls")
    shown = masked(token)
    assert shown.startswith("imageClassification-owls-")
    assert token[-28:] not in shown
    assert len(shown) == len(token) - 28 + 1


@pytest.mark.parametrize("token", ["abcd", "their-own-secret", "imageClassification-owls-abc123"])
def test_masked_token_of_others_gives_little_away(token: str) -> None:
    assert masked(token) == f"{token[: len(token) // 4]}…"


@pytest.mark.parametrize(
    ("token", "name"),
    [
        ("imageClassification-cla-shan-test-ow5o0", "cla-shan-test"),
        ("textClassification-my_moods-0123456789abcdef0123456789abcdef", "my moods"),
        ("flowers-v2-x8s7", "flowers-v2"),
        ("lkfb84kj", "Imported model"),
        ("-lkfb84kj", "Imported model"),
        ("лютик.🌷-x", "лютик"),
        ("a" * 150 + "-b", "a" * 100),
    ],
)
def test_readable_name_is_never_the_whole_token(token: str, name: str) -> None:
    assert readable_name(token) == name


def test_readable_name_of_a_token_made_here() -> None:
    assert readable_name(new_token("imageclassification", "My owls!")) == "my owls"
