"""What of a token is shown to those who may not predict with it."""

import pytest

from models_registry.tokens import masked, new_token


def test_masked_token_keeps_its_random_part() -> None:
    token = new_token("imageclassification", "Owls")
    shown = masked(token)
    assert shown.startswith("imageClassification-owls-")
    assert token[-28:] not in shown
    assert len(shown) == len(token) - 28 + 1


@pytest.mark.parametrize("token", ["abcd", "their-own-secret", "imageClassification-owls-abc123"])
def test_masked_token_of_others_gives_little_away(token: str) -> None:
    assert masked(token) == f"{token[: len(token) // 4]}…"
