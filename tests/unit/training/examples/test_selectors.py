import pytest

from models_registry.models import Project
from training.examples import edits
from training.examples.models import Example
from training.examples.selectors import Wanted, count_examples, near_copies_of, page_of_examples

from ..conftest import MakeProject

pytestmark = pytest.mark.django_db


def note(project: Project, place: int, **fields: object) -> Example:
    example = Example.objects.get(project=project, place=str(place))
    for name, value in fields.items():
        setattr(example, name, value)
    example.save()
    return example


@pytest.fixture
def project(make_project: MakeProject) -> Project:
    """Roses are 0 to 3, irises 4 to 7, lilies 8 to 11; of each the third is a validation example."""
    project = make_project()
    for place in (0, 4):  # of two classes
        note(project, place, near_copy_of="a", likeness=0.95)
    for place in (5, 6):  # of two parts
        note(project, place, near_copy_of="b", likeness=0.99)
    for place in (8, 9):
        note(project, place, near_copy_of="c", likeness=0.95)
    note(project, 10, oddness=0.7)
    note(project, 11, oddness=0.9)
    return project


def places(project: Project, size: int = 60, **given: str) -> list[int]:
    """Return the places of all pages of so many examples."""
    wanted, after, found = Wanted.of(given), "", list[int]()
    while True:
        page = page_of_examples(project, wanted, after, size)
        found += [int(example.place) for example in page.examples]
        after = page.after
        if not after:
            return found


@pytest.mark.parametrize("size", [1, 3, 60])
def test_near_copies_stand_side_by_side_the_most_alike_first(project: Project, size: int) -> None:
    assert places(project, size, flag="near_copy") == [5, 6, 0, 4, 8, 9]


@pytest.mark.parametrize(("across", "expected"), [("class", [0, 4]), ("split", [5, 6])])
def test_near_copies_across_classes_and_parts_are_told_apart(
    project: Project, across: str, expected: list[int]
) -> None:
    assert places(project, show="near_copy", across=across) == expected


@pytest.mark.parametrize("size", [1, 60])
def test_odd_ones_come_by_how_odd_they_are(project: Project, size: int) -> None:
    assert places(project, size, flag="odd_one") == [11, 10]


def test_what_was_decided_is_not_listed_again(project: Project) -> None:
    def chosen(place: int) -> object:
        return Example.objects.filter(project=project, place=str(place))

    edits.exclude(project=project, author=None, chosen=chosen(0))  # its copy stands for itself now
    edits.confirm(project=project, author=None, chosen=chosen(5))
    edits.confirm(project=project, author=None, chosen=chosen(11))
    assert places(project, flag="near_copy") == [6, 8, 9]
    assert places(project, flag="odd_one") == [10]
    counts = count_examples(project)
    assert (counts.near_copies, counts.odd_ones, counts.doubts) == (3, 1, 2 - 1)


def test_wrong_label_is_another_name_of_doubt(project: Project) -> None:
    assert places(project, flag="wrong_label") == places(project, show="doubt") == [0, 1]


def test_near_copies_of_examples_come_in_one_query(
    project: Project, django_assert_num_queries: pytest.FixtureRequest
) -> None:
    page = page_of_examples(project, Wanted(show="near_copy"))
    with django_assert_num_queries(1):  # type: ignore[operator]
        found = near_copies_of(page.examples)
    assert {name: [int(one.place) for one in rows] for name, rows in found.items()} == {
        "a": [0, 4],
        "b": [5, 6],
        "c": [8, 9],
    }
    assert near_copies_of([]) == {}


@pytest.mark.parametrize("cursor", ["x", "1:2:3:4", "nan:x", "a:b:c", "::", "7"])
def test_unknown_cursor_begins_anew(project: Project, cursor: str) -> None:
    page = page_of_examples(project, Wanted(show="near_copy"), cursor)
    assert [int(example.place) for example in page.examples][:2] == [5, 6]
