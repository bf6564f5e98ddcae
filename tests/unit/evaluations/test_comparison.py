"""Versions side by side."""

from collections.abc import Callable

import pytest

from core.exceptions import InvalidRequest
from evaluations.comparison import Standing, compare, compare_answers, in_words, standing_of
from evaluations.models import Evaluation
from evaluations.results import Answered
from evaluations.services import compare_versions
from models_registry.models import Project
from training.examples import edits
from training.examples.models import Example
from work.models import State

pytestmark = pytest.mark.django_db(transaction=True)
WorkOff = Callable[[], None]


def answered(name: str, label: str, predicted: str, probability: float = 0.9) -> Answered:
    return Answered(name, label, predicted, probability, None, name)


def compared(project: Project, work_off: WorkOff) -> Standing:
    compare_versions(project=project, versions=[1, 2], author=None)
    work_off()
    return standing_of(project, [1, 2])


def test_versions_are_compared_on_the_same_examples(project: Project, work_off: WorkOff) -> None:
    before = standing_of(project, [2, 1])
    assert (before.versions, before.is_ready, before.is_under_way) == ((1, 2), False, False)
    standing = compared(project, work_off)
    assert standing.is_ready
    found = compare(standing)
    assert (found.examples, found.left_out, found.differ) == (11, 0, 7)
    [pair] = found.pairs
    assert (pair.difference.only_first, pair.difference.only_second, pair.better) == (7, 0, 1)
    assert pair.words == "Version 1 is better than version 2 beyond chance (p = 0.016)."
    assert {row.example.label for row in found.differing} == {"sorrow"}
    assert found.differing[0].answers[1].is_right
    [joy, sorrow] = found.classes
    assert (joy.name, joy.support, joy.recall) == ("joy", 3, {1: 1.0, 2: 1.0})
    assert (sorrow.support, sorrow.recall) == (8, {1: 7 / 8, 2: 0.0})


def test_nothing_is_measured_twice_until_the_examples_change(project: Project, work_off: WorkOff) -> None:
    compared(project, work_off)
    assert compared(project, work_off).is_ready
    assert Evaluation.objects.count() == 2
    edits.relabel(project=project, author=None, chosen=Example.objects.filter(text="glad k"), label="joy")
    assert standing_of(project, [1, 2]).is_stale
    again = compared(project, work_off)
    assert (Evaluation.objects.count(), again.is_stale) == (4, False)
    assert compare(again).figures[1]["right"] == 11


def test_only_what_none_has_learnt_from_counts() -> None:
    both = [answered("a", "x", "x"), answered("b", "y", "y")]
    found = compare_answers({1: [*both, answered("c", "x", "y")], 2: both})
    assert (found.examples, found.left_out, found.differ) == (2, 1, 0)
    assert found.pairs[0].words == "Versions 1 and 2 are right about the same examples."
    with pytest.raises(InvalidRequest, match="Bring a labelled file"):
        compare_answers({1: both, 2: [answered("c", "x", "y")]})


def test_three_versions_make_three_pairs_and_what_all_get_wrong_comes_last() -> None:
    rows = {
        1: [answered("a", "x", "x"), answered("b", "x", "y"), answered("c", "x", "x")],
        2: [answered("a", "x", "y"), answered("b", "x", "z", 0.99), answered("c", "x", "x")],
        3: [answered("a", "x", "x"), answered("b", "x", "y"), answered("c", "x", "x")],
    }
    found = compare_answers(rows)
    assert [(pair.first, pair.second, pair.better) for pair in found.pairs] == [
        (1, 2, 1),
        (1, 3, None),
        (2, 3, 3),
    ]
    assert found.pairs[0].words == "Versions 1 and 2: no difference that could not be chance (p = 1.00)."
    assert [row.example.place for row in found.differing] == ["a", "b"]


def test_a_version_that_failed_says_why(project: Project, work_off: WorkOff) -> None:
    compare_versions(project=project, versions=[1, 2], author=None)
    project.versions.filter(version=2).update(state="retired")
    work_off()
    standing = standing_of(project, [1, 2])
    assert not standing.is_ready
    assert not standing.is_under_way
    [failed] = standing.failed
    assert (failed.model.version, failed.state) == (2, State.FAILED)
    assert failed.message


@pytest.mark.parametrize("versions", [[1], [1, 1], [1, 2, 3, 4, 5, 6, 7]])
def test_so_many_versions_cannot_be_compared(project: Project, versions: list[int]) -> None:
    with pytest.raises(InvalidRequest, match="Choose 2 to 6"):
        compare_versions(project=project, versions=versions, author=None)


def test_p_is_written_as_people_write_it() -> None:
    assert [in_words(p) for p in (0.0004, 0.0043, 0.049, 0.44)] == [
        "p < 0.001",
        "p = 0.004",
        "p = 0.049",
        "p = 0.44",
    ]
