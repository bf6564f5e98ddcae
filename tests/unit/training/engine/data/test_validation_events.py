import json
from dataclasses import fields
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.engine.data import DataReport
from training.engine.data.labelled import FoundExample
from training.engine.data.validation_events import (
    AllExamplesFound,
    ExamplesFound,
    ExamplesRead,
    FailureKind,
    Validated,
    ValidationEvent,
    ValidationFailed,
    validation_event,
)
from training.engine.event_format import UnknownEvent

WORDS = st.text(max_size=8)
REPORTS = st.builds(
    DataReport,
    task_type=WORDS,
    bytes=st.integers(0, 1 << 50),
    sha256=WORDS,
    classes=st.dictionaries(WORDS, st.integers(0, 1 << 30), max_size=3),
    examples=st.integers(0, 1 << 30),
    columns=st.dictionaries(WORDS, WORDS, max_size=2),
    samples=st.dictionaries(WORDS, st.lists(WORDS, max_size=2), max_size=2),
    warnings=st.lists(WORDS, max_size=2),
    problems=st.lists(WORDS, max_size=2),
)
FOUND = st.builds(FoundExample, WORDS, WORDS, WORDS, st.sampled_from(["", "train"]), WORDS, WORDS)
EVENTS: st.SearchStrategy[ValidationEvent] = (
    st.builds(ExamplesRead, done=st.integers(0), total=st.integers(0))
    | st.builds(Validated, report=REPORTS)
    | st.builds(ExamplesFound, examples=st.lists(FOUND, max_size=2).map(tuple))
    | st.builds(
        AllExamplesFound,
        columns=st.dictionaries(WORDS, WORDS, max_size=2),
        unreadable=st.lists(st.tuples(WORDS, WORDS), max_size=2).map(tuple),
        unreadable_count=st.integers(0),
    )
    | st.builds(ValidationFailed, kind=st.sampled_from(get_args(FailureKind)), message=st.text())
)


@given(EVENTS)
def test_any_event_crosses_the_pipe_as_one_line_of_json(event: ValidationEvent) -> None:
    line = json.dumps(event.to_json())
    assert "\n" not in line
    assert validation_event(json.loads(line)) == event


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"done": 1, "total": 2}, "unknown event, None. Known: read, report, examples, listed, error"),
        ({"event": "read", "done": 1}, "total as None, which is no int"),
        ({"event": "read", "done": 1, "total": 2, "bytes": 3}, "ExamplesRead does not have: bytes"),
        ({"event": "report", "report": {"examples": 3}}, "incomplete or of another release"),
        (
            {"event": "error", "kind": "bored", "message": ""},
            "unknown kind, 'bored'. Known: data, memory, internal",
        ),
    ],
)
def test_event_of_another_release_is_named(data: object, words: str) -> None:
    with pytest.raises(UnknownEvent) as raised:
        validation_event(data)
    assert words in str(raised.value)


def test_a_report_keeps_every_field() -> None:
    report = DataReport("imageclassification", 1, "ab", {"cat": 2}, 2)
    event = validation_event(Validated(report).to_json())
    assert isinstance(event, Validated)
    assert {one.name for one in fields(event.report)} == set(report.to_json())
