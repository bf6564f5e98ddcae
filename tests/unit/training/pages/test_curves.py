import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.engine.events import RunningMetrics
from training.pages.curves import HEIGHT, WIDTH, charts_of, facts_of

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4),
)
NAMES = ("epoch", "epochs", "loss", "accuracy", "validation_accuracy", "images_per_second")
ROW = ("epoch", "train_loss", "validation_loss", "train_accuracy", "validation_accuracy")


def epoch(number: int, **values: Any) -> dict[str, Any]:
    usual = {"train_loss": 2 / number, "validation_loss": 3 / number, "validation_accuracy": 1 - 0.5 / number}
    return {"epoch": number, **usual, **values}


def test_facts_are_in_words_of_people() -> None:
    metrics = {
        "epoch": 3,
        "epochs": 8,
        "loss": 0.12345,
        "accuracy": 0.9,
        "validation_accuracy": 0.9625,
        "images_per_second": 1234.5,
    }
    assert facts_of(RunningMetrics.from_json(metrics)) == [
        ("Epoch", "3 of 8"),
        ("Loss", "0.123"),
        ("Training accuracy", "90.0 %"),
        ("Validation accuracy", "96.2 %"),
        ("Images per second", "1,234"),
    ]


def test_one_epoch_makes_no_chart() -> None:
    assert charts_of(RunningMetrics.from_json({"curve": [epoch(1)]})) == []


def test_lines_run_from_the_first_epoch_towards_the_last() -> None:
    [right, loss] = charts_of(
        RunningMetrics.from_json({"epochs": 5, "curve": [epoch(1), epoch(2), epoch(3)]})
    )
    assert (right.title, right.high, right.epochs) == ("Accuracy", "100.0 %", 5)
    assert [line.label for line in loss.lines] == ["training", "validation"]
    places = [tuple(map(float, point.split(","))) for point in loss.lines[0].points.split()]
    assert [across for across, _ in places] == [0, WIDTH / 4, WIDTH / 2]
    assert sorted(down for _, down in places) == [down for _, down in places], "a falling loss falls"
    assert "validation 1" in loss.summary


@given(
    st.dictionaries(st.sampled_from(NAMES), ANYTHING),
    st.lists(st.dictionaries(st.sampled_from(ROW), ANYTHING) | ANYTHING, max_size=5),
)
def test_whatever_a_trainer_tells_is_drawn_within_the_frame_or_left_out(
    metrics: dict[str, Any], curve: list[Any]
) -> None:
    told = RunningMetrics.from_json({**metrics, "curve": curve})
    facts_of(told)
    for chart in charts_of(told):
        for line in chart.lines:
            for point in line.points.split():
                across, down = map(float, point.split(","))
                assert 0 <= across <= WIDTH
                assert 0 <= down <= HEIGHT


@pytest.mark.parametrize("value", [math.nan, math.inf, None, "1", True])
def test_epoch_without_a_number_leaves_its_line_out(value: Any) -> None:
    charts = charts_of(RunningMetrics.from_json({"curve": [epoch(1), epoch(2, validation_accuracy=value)]}))
    assert [chart.title for chart in charts] == ["Loss"]
