import numpy as np

from training.engine.strategies.comparison import compared, has_less_loss, is_better

LABELS = np.arange(200) % 2
Array = np.ndarray


def sure(right: float, seed: int = 0, confidence: float = 0.9) -> Array:
    """Answers of which a share is right, all as sure of themselves."""
    hits = np.random.default_rng(seed).permutation(len(LABELS)) < right * len(LABELS)
    chosen = np.where(hits, LABELS, 1 - LABELS)
    rows = np.full((len(LABELS), 2), 1 - confidence, np.float32)
    rows[np.arange(len(LABELS)), chosen] = confidence
    return rows


def test_clear_gain_is_kept() -> None:
    assert is_better(sure(0.95), sure(0.8), LABELS)


def test_gain_within_chance_is_not() -> None:
    assert not is_better(sure(0.805), sure(0.8), LABELS)
    assert has_less_loss(sure(0.805), sure(0.8), LABELS)
    assert not has_less_loss(sure(0.8), sure(0.8), LABELS)
    few = slice(0, 6)
    assert not is_better(sure(0.9)[few], sure(0.9, seed=1)[few], LABELS[few])


def test_fewer_right_answers_are_no_gain_however_small_the_loss() -> None:
    frozen = sure(0.9)
    frozen[:1] = [[1e-6, 1]]  # one answer that is wrong and sure
    tuned = frozen.copy()
    tuned[0] = [0.49, 0.51]
    tuned[1] = tuned[1][::-1]
    assert not is_better(tuned, frozen, LABELS)


def test_being_too_sure_of_itself_is_no_difference() -> None:
    assert is_better(sure(0.95, confidence=0.999), sure(0.85, confidence=0.6), LABELS)
    assert not is_better(sure(0.9, confidence=0.9), sure(0.9, confidence=0.51), LABELS)


def test_single_example_proves_nothing() -> None:
    assert not is_better(sure(1.0)[:1], sure(0.0)[:1], LABELS[:1])


def test_what_chance_explains_is_alike() -> None:
    answers = [("poor", sure(0.8)), ("best", sure(0.95)), ("nearly", sure(0.945))]
    rows = compared(answers, LABELS)
    assert [(row["name"], row["accuracy"], row["alike"]) for row in rows] == [
        ("poor", 0.8, False),
        ("best", 0.95, True),
        ("nearly", 0.945, True),
    ]
    assert rows[1]["loss"] < rows[2]["loss"] < rows[0]["loss"] < 0.6


def test_few_examples_tell_little_apart() -> None:
    one, other = sure(1.0), sure(1.0)
    one[0], other[1:3] = one[0][::-1], other[1:3, ::-1]  # one is wrong, and two are
    for examples in (1, 10, len(LABELS)):
        few = slice(0, examples)
        rows = compared([("one", one[few]), ("other", other[few])], LABELS[few])
        assert all(row["alike"] for row in rows)
