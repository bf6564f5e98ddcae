import hashlib
import tracemalloc
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.engine.data import DataError, Limits
from training.engine.data.duplicates import DuplicateCounter

EXAMPLES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 8)), min_size=1, max_size=60)


def counter_of(examples: list[tuple[int, int]]) -> DuplicateCounter:
    counter = DuplicateCounter(Limits())
    for label, content in examples:
        counter.add(str(label), hashlib.sha256(str(content).encode()).digest())
    return counter


@given(examples=EXAMPLES, block=st.integers(1, 70))
def test_copies_are_counted_as_by_hand(examples: list[tuple[int, int]], block: int) -> None:
    labels_of = defaultdict(set)
    for label, content in examples:
        labels_of[content].add(str(label))
    counter = counter_of(examples)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.engine.data.duplicates.BLOCK", block)
        copies = counter.copies(0.7)
    assert counter.counts() == Counter(str(label) for label, _ in examples)
    assert copies.duplicates == len(examples) - len(labels_of)
    assert copies.conflicting == sum(len(labels) > 1 for labels in labels_of.values())
    assert copies.distinct == Counter(label for labels in labels_of.values() for label in labels)
    assert (copies.leaking > 0) == (copies.duplicates > 0)


def test_leakage_is_what_drawing_many_times_gives() -> None:
    examples = [(0, 0)] * 3 + [(1, 0)] * 2 + [(0, 1), (1, 2), (1, 2)]
    copies = counter_of(examples).copies(0.7)
    generator, found = np.random.default_rng(0), []
    contents = np.array([content for _, content in examples])
    for _ in range(20_000):
        train = generator.random(len(examples)) < 0.7
        found.append(np.isin(contents[~train], contents[train]).sum())
    assert copies.leaking == pytest.approx(np.mean(found), abs=0.05)


def test_too_many_classes_are_refused_while_counting() -> None:
    counter = DuplicateCounter(Limits(max_classes=3))
    for label in "abc":
        counter.add(label, b"12345678")
    with pytest.raises(DataError, match="more than 3 classes"):
        counter.add("d", b"12345678")


def test_comparing_takes_little_more_memory_than_the_examples() -> None:
    counter = DuplicateCounter(Limits())
    for number in range(400_000):
        counter.add(str(number % 9), number.to_bytes(8, "big")[::-1])
    tracemalloc.start()
    assert counter.copies(0.7).duplicates == 0
    assert tracemalloc.get_traced_memory()[1] < 12 << 20
    tracemalloc.stop()
