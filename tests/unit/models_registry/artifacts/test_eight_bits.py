from pathlib import Path

import pytest

from models_registry.artifacts import eight_bits
from models_registry.artifacts.eight_bits import KEPT_IN, eight_bits_pay, speedup


def test_block_runs_in_both_forms() -> None:
    assert speedup() > 0


@pytest.mark.parametrize(("times", "expected"), [(2.0, True), (1.1, False), (0.0, False)])
def test_only_a_clear_gain_counts_and_is_remembered(
    times: float, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eight_bits, "speedup", lambda: times)
    assert eight_bits_pay(tmp_path) is expected
    eight_bits_pay.cache_clear()  # as in another process
    monkeypatch.setattr(eight_bits, "speedup", lambda: pytest.fail("It was measured before."))
    assert eight_bits_pay(tmp_path) is expected
    assert (tmp_path / KEPT_IN).exists()


def test_answers_that_lose_digits_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eight_bits, "ALIKE", -1.0)
    assert speedup() == 0


def test_gpu_does_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eight_bits, "uses_gpu", lambda: True)
    assert not eight_bits_pay(tmp_path)
