"""Spans of time in words."""

from datetime import timedelta

import pytest

from core.templatetags.durations import about, duration, short


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (None, ""),
        (12.44, "12.4 seconds"),
        (1.0, "1 second"),
        (timedelta(minutes=1, seconds=5), "1 minute 5 seconds"),
        (timedelta(days=2, minutes=3, seconds=7), "2 days 3 minutes"),
    ],
)
def test_duration_has_its_two_largest_units(span: timedelta | float | None, words: str) -> None:
    assert duration(span) == words


def test_short_fits_a_column() -> None:
    spans = [
        timedelta(seconds=12.4),
        timedelta(seconds=185),
        timedelta(hours=2, minutes=5),
        timedelta(hours=50),
    ]
    assert [short(span) for span in spans] == ["12.4 s", "3 min 5 s", "2 h 5 min", "2 d 2 h"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "about 5 seconds"),
        (12.4, "about 10 seconds"),
        (58, "about 1 minute"),
        (89, "about 1 minute"),
        (100, "about 2 minutes"),
        (5300, "about 88 minutes"),
        (9000, "about 2 hours"),
    ],
)
def test_estimates_are_told_as_people_guess(seconds: float, words: str) -> None:
    assert about(seconds) == words
