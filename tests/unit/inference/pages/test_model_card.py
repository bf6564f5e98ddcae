from typing import Any

import pytest

from inference.pages.model_card import FileParity, Reading, card_of

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


def test_compared_answers_are_shown_with_the_published_one() -> None:
    candidates = [
        {"name": "Fast", "loss": 0.4, "accuracy": 0.9, "alike": True},
        {"name": "Accurate", "loss": 0.6, "accuracy": 0.8, "alike": False},
        {"name": "of an older release", "loss": 0.5, "accuracy": 0.8},
    ]
    card = card_of({**METRICS, "candidates": candidates, "kept": "Fast"}, ["a", "b"])
    assert [(row.name, row.accuracy, row.chosen, row.alike) for row in card.compared] == [
        ("Fast", 90.0, True, True),
        ("Accurate", 80.0, False, False),
        ("of an older release", 80.0, False, False),
    ]
    assert not card_of(METRICS, ["a", "b"]).compared


def test_what_a_network_did_not_see_of_long_texts_is_shown() -> None:
    reading = {"tokens": 256, "windows": 4, "texts": 700, "longer": 640, "unseen": 0.431}
    card = card_of({**METRICS, "reading": reading, "learnt_pieces": 6900}, ["a", "b"])
    assert card.reading == Reading(256, 4, 700, 640, pytest.approx(43.1))
    assert card.learnt_pieces == 6900
    for broken in ({**reading, "longer": None}, {**reading, "unseen": "all"}, [], "x"):
        assert card_of({**METRICS, "reading": broken}, ["a", "b"]).reading is None


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
        None,
        None,
    )


def test_figures_that_are_no_numbers_are_left_out() -> None:
    """As an external model's document may have them."""
    odd = {
        "confusion_matrix": [[1, "2"], [None, 3]],
        "most_confused": [{"label": "a", "predicted": "b", "count": "many"}],
        "parity": {"samples": "all", "max_abs_difference": 1e-6},
        "phase_seconds": {"fit": "long", "export": 1.5},
        "validation_examples": "20",
    }
    card = card_of(odd, ["a", "b"])
    assert (list(card.matrix), card.confusions[0].count, card.validation_examples) == ([], 0, None)
    assert card.parity == FileParity(None, None, 1e-6)
    assert card.training_seconds == 1.5


def test_calibration_leaves_out_empty_bins_and_weighs_by_share() -> None:
    bins = [
        {"confidence": 0.95, "accuracy": 0.85, "share": 0.75},
        {"confidence": 0.55, "accuracy": 0.55, "share": 0.25},
        {"confidence": 0.35, "accuracy": 0.0, "share": 0.0},
        {"confidence": None},
    ]
    calibration = card_of({"calibration": bins}, ["a", "b"]).calibration
    assert calibration is not None
    assert [round(one.confidence) for one in calibration.bins] == [55, 95]
    assert round(calibration.error, 3) == 7.5
    assert "Overconfident" in calibration.words


@pytest.mark.parametrize(
    ("accuracy", "words"),
    [(0.93, "Well calibrated"), (0.5, "Overconfident"), (1.0, "Underconfident")],
)
def test_calibration_is_said_in_words(accuracy: float, words: str) -> None:
    confidence = 0.9
    row = {"confidence": confidence, "accuracy": accuracy, "share": 1.0}
    calibration = card_of({"calibration": [row]}, []).calibration
    assert calibration is not None
    assert words in calibration.words


@pytest.mark.parametrize(
    "value", [None, [], "x", [{"share": 1}], [{"confidence": "x", "accuracy": 1, "share": 1}]]
)
def test_calibration_of_other_versions_is_none(value: Any) -> None:
    assert card_of({"calibration": value}, []).calibration is None


def test_mistakes_show_their_pictures_and_nothing_else() -> None:
    rows = [{"thumbnail": "QUJD"}, {"thumbnail": '"><script>'}, {}]
    pictures = [one.picture for one in card_of({"worst_mistakes": rows}, []).mistakes]
    assert pictures == ["data:image/jpeg;base64,QUJD", "", ""]


def test_test_set_is_shown_beside_the_validation_set() -> None:
    tested = {"examples": 40, "accuracy": 0.925, "macro_f1": 0.9, "copies": 2, "unknown": 1, "per_class": []}
    card = card_of({**METRICS, "test": tested}, ["a", "b"])
    assert card.test is not None
    assert (card.test.examples, card.test.accuracy, card.test.copies) == (40, 92.5, 2)
    assert str(card.test) == "test set: 40 examples, accuracy 92.50 %"
    assert card_of(METRICS, ["a", "b"]).test is None
