"""Merging by properties: nothing is lost, nothing is done twice, and unrelated edits do not meet."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from documents.merge import Fate, Json, Merged, MergedEntry, Overruled, Ownership, merge_entry, merge_fields
from documents.schemas import read_entry, read_status

NAMES = st.sampled_from(["status", "token", "dev_mode"])
VALUES = st.sampled_from([False, True, "", "a", "b", 1.5, None, ["x"]])
OURS = st.fixed_dictionaries({"status": VALUES, "token": VALUES, "dev_mode": VALUES})
STRANGE = st.dictionaries(st.sampled_from(["note", "_v", "other"]), VALUES)
THEIRS = st.builds(lambda own, strange: {**own, **strange}, st.dictionaries(NAMES, VALUES), STRANGE)
OPERATOR = Ownership(operator=frozenset({"dev_mode"}))
FOLLOWING = Ownership(followed=frozenset({"status", "dev_mode"}))
OWNERSHIPS = st.sampled_from([OPERATOR, FOLLOWING, Ownership()])
ENTRIES = st.one_of(st.none(), THEIRS, st.just(3))


def as_written(document: Json) -> Json:
    return {name: document[name] for name in ("status", "token", "dev_mode") if name in document}


def merge(base: Json | None, ours: Json, theirs: Json, ownership: Ownership) -> Merged:
    return merge_fields(base=base, ours=ours, theirs=theirs, canonical=as_written, ownership=ownership)


def merge_one(base: Any, ours: Json | None, theirs: Any, *, external: bool = False) -> MergedEntry:
    return merge_entry(
        base=base, ours=ours, theirs=theirs, external=external, canonical=as_written, ownership=FOLLOWING
    )


@given(base=st.none() | THEIRS, ours=OURS, theirs=THEIRS, ownership=OWNERSHIPS)
def test_fields_keep_every_foreign_key(base: Any, ours: Json, theirs: Json, ownership: Ownership) -> None:
    document = merge(base, ours, theirs, ownership).document
    assert {name: value for name, value in document.items() if name not in ours} == {
        name: value for name, value in theirs.items() if name not in ours
    }
    assert set(ours) <= set(document)


@given(base=st.none() | THEIRS, ours=OURS, theirs=THEIRS, ownership=OWNERSHIPS)
def test_fields_merged_again_change_nothing(
    base: Any, ours: Json, theirs: Json, ownership: Ownership
) -> None:
    once = merge(base, ours, theirs, ownership)
    again = merge(once.document, {**ours, **once.followed}, once.document, ownership)
    assert again == Merged(once.document)


@given(base=THEIRS, ours=OURS, ownership=OWNERSHIPS)
def test_fields_nobody_else_changed_are_ours(base: Json, ours: Json, ownership: Ownership) -> None:
    merged = merge(base, ours, base, ownership)
    assert merged.document == {**base, **ours}
    assert not merged.followed
    assert not merged.overruled


@given(ours=OURS, strange=STRANGE, edits=st.dictionaries(NAMES, VALUES), ownership=OWNERSHIPS)
def test_fields_we_did_not_change_follow_the_document(
    ours: Json, strange: Json, edits: Json, ownership: Ownership
) -> None:
    merged = merge({**ours, **strange}, ours, {**ours, **strange, **edits}, ownership)
    followed = ownership.followed | ownership.operator
    expected = {name: value for name, value in edits.items() if name in followed and value != ours[name]}
    assert merged.followed == expected
    assert merged.document == {**ours, **strange, **expected}


@given(base=THEIRS, ours=OURS, theirs=THEIRS, ownership=OWNERSHIPS)
def test_fields_changed_by_both_go_to_their_owner_and_the_loser_is_told(
    base: Json, ours: Json, theirs: Json, ownership: Ownership
) -> None:
    merged = merge(base, ours, theirs, ownership)
    missing = object()
    for name, value in ours.items():
        before, now = base.get(name, missing), theirs.get(name, missing)
        if now in (value, before) or value == before:
            continue
        lost = {item.field: item for item in merged.overruled}
        if name in ownership.operator and now is not missing:
            assert merged.document[name] == merged.followed[name] == now
            assert name not in base or lost[name] == Overruled(name, value, by="document")
        else:
            assert merged.document[name] == value
            assert lost[name].by == "database"


@given(
    base=OURS,
    our_edit=st.dictionaries(st.just("status"), VALUES),
    their_edit=st.dictionaries(st.just("dev_mode"), VALUES),
    strange=STRANGE,
)
def test_fields_unrelated_edits_meet_in_either_order(
    base: Json, our_edit: Json, their_edit: Json, strange: Json
) -> None:
    ours, theirs = {**base, **our_edit}, {**base, **their_edit, **strange}
    at_once = merge(base, ours, theirs, FOLLOWING)
    ours_first = merge(base, ours, base, FOLLOWING).document
    then_theirs = merge(ours_first, ours, {**ours_first, **their_edit, **strange}, FOLLOWING)
    assert at_once.document == then_theirs.document == {**base, **our_edit, **their_edit, **strange}
    assert not at_once.overruled


@given(base=ENTRIES, ours=st.none() | OURS, theirs=ENTRIES, external=st.booleans())
def test_entry_merged_again_changes_nothing(
    base: Any, ours: Json | None, theirs: Any, external: bool
) -> None:
    once = merge_one(base, ours, theirs, external=external)
    rows = None if once.fate is Fate.VANISHED or ours is None else {**ours, **once.followed}
    again = merge_one(once.document, rows, once.document, external=once.fate is Fate.EXTERNAL)
    assert again.document == once.document
    assert not again.followed
    assert not again.overruled


@given(ours=st.none() | OURS, theirs=ENTRIES)
def test_entry_of_others_stays_until_they_remove_it(ours: Json | None, theirs: Any) -> None:
    merged = merge_one(None, None, theirs)
    assert merged.document == theirs
    assert merged.fate is (Fate.GONE if theirs is None else Fate.EXTERNAL)
    assert merge_one(theirs, None, theirs, external=True).document == theirs
    assert merge_one(theirs, None, None, external=True).document is None


@given(ours=OURS, strange=STRANGE)
def test_entry_that_others_removed_retires_an_untouched_row(ours: Json, strange: Json) -> None:
    assert merge_one({**ours, **strange}, ours, None) == MergedEntry(Fate.VANISHED)


@given(base=THEIRS, ours=OURS)
def test_entry_that_others_removed_comes_back_with_a_changed_row(base: Json, ours: Json) -> None:
    merged = merge_one(base, ours, None)
    if any(base.get(name, "absent") != value for name, value in ours.items()):
        assert merged.fate is Fate.KEEP
        assert {**merged.document, **ours} == merged.document
        assert {**base, **merged.document} == merged.document, "keys of others come back as well"
        assert merged.overruled


@given(base=THEIRS, theirs=ENTRIES)
def test_entry_of_a_removed_row_goes_and_an_edit_of_it_is_told(base: Json, theirs: Any) -> None:
    merged = merge_one(base, None, theirs)
    assert merged.document is None
    assert bool(merged.overruled) == (theirs is not None and theirs != base)


@given(ours=OURS, theirs=ENTRIES, base=ENTRIES)
def test_entry_never_loses_our_row_unless_it_vanished(ours: Json, theirs: Any, base: Any) -> None:
    merged = merge_one(base, ours, theirs)
    if merged.fate is not Fate.VANISHED:
        assert {**merged.document, **ours, **merged.followed} == merged.document


LEGACY = {
    "task_type": "textclassification",
    "model_filename": "textclassification/x.pt",
    "metadata_filename": "textclassification/x_metadata.pkl",
    "downloadable": False,
    "accuracy": 0.6666666865348816,
    "accuracy_plot": "/9j/",
    "created": "10-01-2021 19:22",
}


def test_entry_in_an_older_spelling_is_not_rewritten() -> None:
    ours = read_entry(LEGACY)
    assert ours["accuracy"] == 66.67
    assert ours["created"] == "10-01-21 19:22"
    assert ours["model_filename_onnx"] == ""
    ownership = Ownership(followed=frozenset({"downloadable"}))
    merged = merge_entry(
        base=LEGACY, ours=ours, theirs=LEGACY, external=False, canonical=read_entry, ownership=ownership
    )
    assert merged == MergedEntry(Fate.KEEP, LEGACY)
    merged = merge_entry(
        base=LEGACY,
        ours={**ours, "downloadable": True},
        theirs=LEGACY,
        external=False,
        canonical=read_entry,
        ownership=ownership,
    )
    assert merged.document == {**LEGACY, "downloadable": True}


def test_entry_in_an_older_spelling_that_vanishes_retires_its_row() -> None:
    merged = merge_entry(
        base=LEGACY,
        ours=read_entry(LEGACY),
        theirs=None,
        external=False,
        canonical=read_entry,
        ownership=Ownership(),
    )
    assert merged.fate is Fate.VANISHED


def test_status_of_a_sleeping_platform_keeps_the_token_that_others_left() -> None:
    sample = {
        "status": "sleeping",
        "token": "lkfb84kj",
        "task_type": "imageclassification",
        "dev_mode": False,
    }
    ours = {"status": "sleeping", "token": "", "task_type": "", "dev_mode": False}
    merged = merge_fields(base=None, ours=ours, theirs=sample, canonical=read_status, ownership=OPERATOR)
    assert merged == Merged(sample)
    active = {**ours, "status": "active", "token": "t", "task_type": "textclassification"}
    merged = merge_fields(base=sample, ours=active, theirs=sample, canonical=read_status, ownership=OPERATOR)
    assert merged == Merged(active)
