from training.pages.dataset_report import summarise


def test_classes_come_largest_first_with_their_share_of_the_largest() -> None:
    summary = summarise({"classes": {"a": 5, "b": 20}}, ["a", "b"])
    assert [(row.name, row.count, row.percent) for row in summary.classes] == [("b", 20, 100), ("a", 5, 25)]


def test_long_lists_are_cut_and_say_so() -> None:
    unreadable = [{"name": f"{number}.jpg", "reason": "damaged"} for number in range(30)]
    summary = summarise({"unreadable": unreadable, "unreadable_count": 400}, [])
    assert (len(summary.unreadable), summary.unreadable_more) == (20, 380)


def test_report_of_an_older_version_is_no_error() -> None:
    summary = summarise({}, ["a", "b"])
    assert [row.name for row in summary.classes] == ["a", "b"]
    assert (summary.duplicates, summary.warnings, summary.majority_percent) == (0, [], None)


def test_fractions_become_percent() -> None:
    assert summarise({"majority_baseline": 0.25}, []).majority_percent == 25
