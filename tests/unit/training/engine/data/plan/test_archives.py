"""Plans of archives account for every file, whatever it is called and whatever was said."""

import json
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_registry.inputs import Corrections, Entry, Limits
from training.engine.data.plan import DataPlan, plan_archive_file, plan_names
from training.engine.data.plan.archives import LATER

FOLDERS = st.sampled_from(
    ["a", "b", "Cat", "cat", "train", "valid", "test", "images", "x y", "__MACOSX", ".NET", "ü", ""]
)
FILES = st.sampled_from(
    ["1.jpg", "2.png", "3.heic", "README.md", "labels.csv", "Thumbs.db", ".hidden", "x", "b\n.jpg"]
)
PATHS = st.builds(lambda folders, file: "/".join([*folders, file]), st.lists(FOLDERS, max_size=5), FILES)
NAMES = st.sampled_from(["a", "b", "Cat", "cat", "train", "x y", "nobody"])
SAID = st.fixed_dictionaries(
    {},
    optional={
        "class_level": st.integers(1, 6),
        "use_split": st.booleans(),
        "labels_from": st.just("folders"),
        "merge": st.dictionaries(NAMES, NAMES, max_size=4),
        "leave_out": st.lists(NAMES, max_size=3),
        "min_examples": st.integers(1, 5),
    },
)


def accounted(plan: DataPlan) -> int:
    """Return how many files a plan speaks of."""
    return plan.examples + plan.parts.get("test", 0) + sum(reason.number for reason in plan.left_out)


@settings(max_examples=150, deadline=None)
@given(st.lists(PATHS, max_size=40, unique=True), SAID)
def test_each_file_is_accounted_for_once(names: list[str], said: dict[str, Any]) -> None:
    entries = [Entry(name, 1) for name in names]
    plan = plan_names(entries, Corrections.from_json(said))
    assert accounted(plan) == len(names)
    assert plan.examples == sum(plan.classes.values())
    assert not set(plan.classes) & set(said.get("leave_out", ()))
    is_undecided = any(reason.reason == LATER for reason in plan.left_out)
    assert plan.problem or is_undecided or (len(plan.classes) > 1 and min(plan.classes.values()) > 1)
    json.dumps(plan.to_json())


@settings(max_examples=50, deadline=None)
@given(st.lists(PATHS, max_size=30, unique=True), SAID)
def test_each_suggestion_can_be_said_and_changes_the_plan(names: list[str], said: dict[str, Any]) -> None:
    entries = [Entry(name, 1) for name in names]
    plan = plan_names(entries, Corrections.from_json(said))
    for suggestion in plan.suggestions:
        patched = Corrections.from_json({**plan.corrections, **suggestion.corrections})
        assert patched.to_json() != plan.corrections
        assert accounted(plan_names(entries, patched)) == len(names)


def photos(**counts: int) -> list[Entry]:
    return [
        Entry(f"{folder.replace('__', '/')}/{number}.jpg", 1)
        for folder, count in counts.items()
        for number in range(count)
    ]


def plan(entries: list[Entry], **said: Any) -> DataPlan:
    return plan_names(entries, Corrections.from_json(said))


def labels(found: DataPlan) -> dict[str, dict[str, Any]]:
    return {suggestion.label: suggestion.corrections for suggestion in found.suggestions}


def test_suggestions_are_what_a_person_may_mean() -> None:
    offered = labels(plan(photos(a__Cat=12, a__cat=12, b__dog=3, b__cow=12)))
    assert offered["Folders at level 2 are the classes"] == {"class_level": 2}
    offered = labels(plan(photos(a__Cat=12, a__cat=11, a__dog=3, a__cow=12), class_level=2, merge={"x": "y"}))
    assert offered["Merge 'Cat' and 'cat'"] == {"merge": {"x": "y", "cat": "Cat"}}
    assert offered["Leave out classes with fewer than 10"] == {"min_examples": 10}
    assert offered["Find the class folders again"] == {"class_level": None}


def test_split_folders_are_parts_or_not_as_was_said() -> None:
    entries = photos(train__a=4, train__b=4, valid__a=2, valid__b=2, test__a=1, test__c=1)
    found = plan(entries)
    assert (found.examples, found.parts) == (12, {"train": 8, "valid": 4, "test": 1})
    assert [(reason.reason, reason.number) for reason in found.left_out] == [
        ("examples of the test part whose classes are not trained", 1)
    ]
    offered = labels(found)["Use all photos together"]
    together = plan(entries, **offered)
    assert (together.classes, together.parts) == ({"a": 7, "b": 6}, {})
    assert labels(together)["Use the folders' split"] == {"use_split": None}


def test_labels_of_a_table_are_looked_for_when_all_is_there() -> None:
    entries = [*(Entry(f"{number}.jpg", 1) for number in range(3)), Entry("labels.csv", 1)]
    found = plan(entries)
    assert (found.problem, found.examples, accounted(found)) == ("", 0, 4)
    assert "labels.csv" in found.notes[0]
    assert "classes are not" in plan(entries, labels_from="folders").problem


def test_names_are_planned_in_time_that_grows_with_their_number() -> None:
    def seconds(count: int) -> float:
        entries = [Entry(f"top/{number % 50}/{number % 7}/{number}.jpg", 1) for number in range(count)]
        began = time.process_time()
        assert plan(entries).examples == count
        return time.process_time() - began

    few, many = (min(seconds(count) for _ in range(3)) for count in (2_000, 20_000))
    assert many < 40 * few


@pytest.mark.parametrize("level", [4, 20])
def test_level_without_photos_is_a_problem_that_says_which_there_are(level: int) -> None:
    found = plan(photos(a__x=2, a__y=2), class_level=level)
    assert "from 1 to 2" in found.problem


@pytest.mark.parametrize("is_whole", [True, False])
def test_doubtful_code_pages_are_offered_by_how_a_name_reads(tmp_path: Path, is_whole: bool) -> None:
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for folder in ("XXXXX", "YYYYY"):
            for number in range(4):
                archive.writestr(f"{folder}/{number}.jpg", b"x")
    replaced = (
        path.read_bytes()
        .replace(b"XXXXX", "кошка".encode("cp866"))
        .replace(b"YYYYY", "собак".encode("cp866"))
    )
    path.write_bytes(replaced)

    def ask(**said: Any) -> DataPlan:
        return plan_archive_file(path, Corrections.from_json(said), Limits(), is_whole=is_whole)

    assert ask().classes == {"кошка": 4, "собак": 4}
    assert "cp866 was taken" in ask().notes[0]
    wrong = ask(name_encoding="cp437")
    assert "кошка" not in wrong.classes
    assert labels(wrong)["Read names like 'кошка'"] == {"name_encoding": "cp866"}
    assert labels(wrong)["Guess how names are written"] == {"name_encoding": None}
