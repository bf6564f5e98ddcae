from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.engine.data import (
    DataError,
    Split,
    bundle,
    given_split,
    parse_data_split,
    stratified_split,
)

LABELS = st.lists(st.integers(0, 3), min_size=1, max_size=60).map(
    lambda some: [*some, 0, 0, 1, 1, 2, 2, 3, 3]
)


@given(labels=LABELS, percent=st.integers(10, 95), seed=st.integers(0, 5))
def test_split_is_a_partition_with_every_class_on_both_sides(
    labels: list[int], percent: int, seed: int
) -> None:
    split = stratified_split(labels, percent, seed)
    assert sorted(split.train + split.validation) == list(range(len(labels)))
    for side in (split.train, split.validation):
        assert {labels[index] for index in side} == set(labels)


@given(labels=LABELS, percent=st.integers(10, 95), seed=st.integers(0, 5))
def test_split_keeps_the_ratio_in_every_class(labels: list[int], percent: int, seed: int) -> None:
    split = stratified_split(labels, percent, seed)
    trained = Counter(labels[index] for index in split.train)
    for label, size in Counter(labels).items():
        assert abs(trained[label] - size * percent / 100) <= 1


@given(labels=LABELS, seed=st.integers(0, 5))
def test_split_is_the_same_for_the_same_seed(labels: list[int], seed: int) -> None:
    assert stratified_split(labels, 70, seed) == stratified_split(labels, 70, seed)


def test_split_differs_between_seeds() -> None:
    assert stratified_split([0, 1] * 50, 70, 1) != stratified_split([0, 1] * 50, 70, 2)


@given(groups=st.lists(st.integers(0, 4), min_size=6, max_size=40), seed=st.integers(0, 5))
def test_split_keeps_copies_together(groups: list[int], seed: int) -> None:
    groups = [*groups, 0, 1]
    split = stratified_split([0] * len(groups), 70, seed, groups=groups)
    assert not {groups[index] for index in split.train} & {groups[index] for index in split.validation}


@given(
    examples=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12)), min_size=10, max_size=80),
    percent=st.integers(10, 95),
    seed=st.integers(0, 5),
)
def test_groups_of_several_classes_stay_on_one_side(
    examples: list[tuple[int, int]], percent: int, seed: int
) -> None:
    alone = [(label, 100 + place) for place, label in enumerate([0, 0, 1, 1, 2, 2])]
    labels, groups = zip(*examples, *alone, strict=True)
    split = stratified_split(labels, percent, seed, groups=groups)
    assert sorted(split.train + split.validation) == list(range(len(labels)))
    assert not {groups[index] for index in split.train} & {groups[index] for index in split.validation}
    for side in (split.train, split.validation):
        assert {labels[index] for index in side} == {0, 1, 2}


def test_groups_that_all_have_every_class_are_divided_in_the_ratio() -> None:
    labels, groups = [0, 1, 2] * 100, [place // 6 for place in range(300)]
    split = stratified_split(labels, 70, 0, groups=groups)
    assert len(split.train) == pytest.approx(210, abs=6)
    two = stratified_split([0, 1, 0, 1], 95, 0, groups=["a", "a", "b", "b"])
    assert len(two.train) == len(two.validation) == 2


def test_groups_that_no_split_divides_are_told() -> None:
    labels, groups = [0, 1, 0, 2, 1, 2], ["a", "a", "b", "b", "c", "c"]
    with pytest.raises(DataError, match="every class on both sides"):
        stratified_split(labels, 70, 0, groups=groups)


def test_near_copies_are_bundled_unless_a_class_would_have_but_one() -> None:
    labels, contents = ["a", "a", "a", "b", "b", "b"], ["1", "2", "2", "3", "4", "5"]
    found = bundle(labels, contents, [0, 1, 2, 3, 3, 3])
    assert found.loosened == ("b",)
    assert len(set(found.groups[:3])) == 2
    assert found.groups[1] == found.groups[2]  # copies of one another, whatever is said of near copies
    assert len(set(found.groups[3:])) == 3


def test_a_class_of_one_bundle_and_a_straggler_is_split_by_its_copies() -> None:
    labels, near = ["a"] * 40 + ["b"] * 40, [0] * 39 + [1] + [2] * 36 + [3] * 4
    found = bundle(labels, [str(number) for number in range(80)], near)
    assert found.loosened == ("a",)
    split = stratified_split([int(label == "b") for label in labels], 70, 0, groups=found.groups)
    assert sum(place < 40 for place in split.validation) == 12
    assert {near[place] for place in split.validation if place >= 40} == {3}


def test_given_split_has_no_near_copies_of_training_examples() -> None:
    parts, labels = ["train", "train", "valid", "valid", "valid", "valid"], [0, 1, 0, 1, 1, 0]
    assert given_split(parts, labels, [1, 2, 1, 3, 2, 4]) == Split((0, 1, 2, 4), (3, 5))
    assert given_split(parts, labels, [1, 2, 1, 3, 2, 1]) is None


def test_split_of_a_class_of_copies_is_refused() -> None:
    with pytest.raises(DataError, match="two different examples"):
        stratified_split([0, 0, 1, 1], 70, 0, groups=["x", "x", "y", "z"])


@pytest.mark.parametrize(("text", "percent"), [("70 : 30", 70), ("80:20", 80), (" 95 : 5 ", 95)])
def test_data_split_is_read(text: str, percent: int) -> None:
    assert parse_data_split(text) == percent


@pytest.mark.parametrize("text", ["", "70", "70 : 20", "0 : 100", "100 : 0", "5 : 95", "a : b", "-70 : 170"])
def test_data_split_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="70 : 30"):
        parse_data_split(text)
