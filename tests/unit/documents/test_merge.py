from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from documents.merge import merge_entries, merge_fields

VALUES = st.one_of(st.booleans(), st.integers(-3, 3), st.text(max_size=3))
FIELDS = ("status", "token", "dev_mode")
OURS = st.fixed_dictionaries(dict.fromkeys(FIELDS, VALUES))
THEIRS = st.dictionaries(st.sampled_from((*FIELDS, "foreign", "other")), VALUES)
OPERATOR = frozenset({"dev_mode"})

ENTRIES = st.dictionaries(
    st.sampled_from("abcdef"), st.dictionaries(st.sampled_from("xyz"), VALUES, max_size=3)
)
CHANGES = st.dictionaries(
    st.sampled_from("abc"), st.none() | st.dictionaries(st.sampled_from("xy"), VALUES, max_size=2)
)


@given(base=THEIRS, ours=OURS, theirs=THEIRS)
def test_fields_foreign_keys_survive(base: Any, ours: Any, theirs: Any) -> None:
    merged = merge_fields(base=base, ours=ours, theirs=theirs, operator=OPERATOR).document
    assert {key: merged[key] for key in theirs if key not in FIELDS} == {
        key: value for key, value in theirs.items() if key not in FIELDS
    }


@given(base=THEIRS, ours=OURS, theirs=THEIRS)
def test_fields_of_the_machine_are_ours(base: Any, ours: Any, theirs: Any) -> None:
    merged = merge_fields(base=base, ours=ours, theirs=theirs, operator=OPERATOR).document
    assert {name: merged[name] for name in FIELDS if name not in OPERATOR} == {
        name: ours[name] for name in FIELDS if name not in OPERATOR
    }


@given(base=THEIRS, ours=OURS, theirs=THEIRS)
def test_fields_merging_twice_changes_nothing(base: Any, ours: Any, theirs: Any) -> None:
    once = merge_fields(base=base, ours=ours, theirs=theirs, operator=OPERATOR)
    again = merge_fields(
        base=once.document, ours={**ours, **once.taken}, theirs=once.document, operator=OPERATOR
    )
    assert again.document == once.document
    assert not again.taken


def test_fields_operators_edit_wins_over_ours() -> None:
    merged = merge_fields(
        base={"dev_mode": False}, ours={"dev_mode": False}, theirs={"dev_mode": True}, operator=OPERATOR
    )
    assert merged.document == {"dev_mode": True}
    assert merged.taken == {"dev_mode": True}


def test_fields_our_change_wins_over_an_unedited_document() -> None:
    merged = merge_fields(
        base={"dev_mode": False}, ours={"dev_mode": True}, theirs={"dev_mode": False}, operator=OPERATOR
    )
    assert merged.document == {"dev_mode": True}
    assert not merged.taken


@given(ours=CHANGES, theirs=ENTRIES)
def test_entries_not_ours_survive(ours: Any, theirs: Any) -> None:
    merged = merge_entries(ours=ours, theirs=theirs).document
    assert {token: merged[token] for token in theirs if token not in ours} == {
        token: entry for token, entry in theirs.items() if token not in ours
    }


@given(ours=CHANGES, theirs=ENTRIES)
def test_entries_ours_arrive_and_keep_foreign_keys(ours: Any, theirs: Any) -> None:
    merged = merge_entries(ours=ours, theirs=theirs).document
    for token, entry in ours.items():
        if entry is None:
            assert token not in merged
        else:
            assert merged[token] == {**theirs.get(token, {}), **entry}


@given(ours=CHANGES, theirs=ENTRIES)
def test_entries_merging_twice_changes_nothing(ours: Any, theirs: Any) -> None:
    once = merge_entries(ours=ours, theirs=theirs).document
    assert merge_entries(ours=ours, theirs=once).document == once


@given(first=CHANGES, second=CHANGES, theirs=ENTRIES)
def test_entries_unrelated_changes_commute(first: Any, second: Any, theirs: Any) -> None:
    second = {token: entry for token, entry in second.items() if token not in first}
    one = merge_entries(ours=second, theirs=merge_entries(ours=first, theirs=theirs).document).document
    other = merge_entries(ours=first, theirs=merge_entries(ours=second, theirs=theirs).document).document
    assert one == other
