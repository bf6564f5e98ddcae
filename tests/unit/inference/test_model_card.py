from typing import Any

from inference.model_card import card_of

METRICS: dict[str, Any] = {
    "macro_f1": 0.9,
    "majority_baseline": 0.5,
    "validation_examples": 20,
    "per_class": [
        {"class": "b", "precision": 1.0, "recall": 0.8, "f1": 0.89, "support": 10},
        {"class": "a", "precision": 0.9, "recall": 1.0, "f1": 0.95, "support": 10},
    ],
    "confusion_matrix": [[10, 0], [2, 8]],
    "most_confused": [{"label": "b", "predicted": "a", "count": 2}],
    "worst_mistakes": [{"input": "b/7.png", "label": "b", "predicted": "a", "probability": 0.93}],
    "parity": {"max_abs_difference": 1e-6, "changed_labels": 0, "samples": 20},
    "phase_seconds": {"fit": 0.5, "export": 1.5},
    "refit_on_all": True,
}


def test_figures_are_percent_and_in_the_order_of_the_classes() -> None:
    card = card_of(METRICS, ["a", "b"])
    assert (card.macro_f1, card.majority, card.validation_examples) == (90, 50, 20)
    assert [(row.name, row.recall, row.support) for row in card.per_class] == [("a", 100, 10), ("b", 80, 10)]
    assert (card.training_seconds, card.refitted) == (2.0, True)
    assert [(wrong.truth, wrong.taken_for, wrong.count) for wrong in card.confusions] == [("b", "a", 2)]
    assert (card.mistakes[0].name, card.mistakes[0].percent) == ("b/7.png", 93)


def test_matrix_shades_by_the_share_of_the_row() -> None:
    rows = card_of(METRICS, ["a", "b"]).matrix
    assert [name for name, _ in rows] == ["a", "b"]
    assert [(cell.count, cell.heat, cell.right) for cell in rows[1][1]] == [(2, 2, False), (8, 8, True)]
    assert rows[0][1][0].heat == 9


def test_matrix_of_many_classes_is_left_to_the_confusions() -> None:
    classes = [f"c{number}" for number in range(77)]
    metrics = {**METRICS, "confusion_matrix": [[0] * 77 for _ in range(77)]}
    assert card_of(metrics, classes).matrix == ()


def test_model_without_metrics_has_an_empty_card() -> None:
    card = card_of({}, ["a", "b"])
    assert (card.macro_f1, card.per_class, list(card.matrix), card.mistakes) == (None, [], [], [])
    assert card.training_seconds is None


def test_metrics_of_another_shape_are_left_out() -> None:
    odd = {
        "per_class": {"a": 1},
        "confusion_matrix": [[1]],
        "worst_mistakes": "none",
        "parity": [],
        "macro_f1": "?",
    }
    card = card_of(odd, ["a", "b"])
    assert (card.per_class, list(card.matrix), card.mistakes, card.parity, card.macro_f1) == (
        [],
        [],
        [],
        {},
        None,
    )
