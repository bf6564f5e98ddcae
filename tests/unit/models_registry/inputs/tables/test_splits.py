import pytest

from models_registry.inputs.tables.splits import find_split_column, part_of_cell


@pytest.mark.parametrize(
    ("cell", "part"),
    [
        ("train", "train"),
        ("TRAINING", "train"),
        ("train_set", "train"),
        ("Validation", "valid"),
        ("dev", "valid"),
        (" val ", "valid"),
        ("Test", "test"),
        ("hold-out", None),
        ("holdout", "test"),
        ("test tube", None),
        ("train/test", None),
        ("3", None),
        (" ", ""),
    ],
)
def test_part_of_cell_in_all_spellings(cell: str, part: str | None) -> None:
    assert part_of_cell(cell) == part


@pytest.mark.parametrize(
    ("cell", "column", "part"),
    [
        ("True", "is_valid", "valid"),
        ("false", "is_valid", "train"),
        ("1.0", "Is-Test", "test"),
        ("0", "is_train", "valid"),
        ("train", "is_train", "train"),
        ("", "is_valid", ""),
        ("True", "split", None),
        ("maybe", "is_valid", None),
    ],
)
def test_columns_that_ask_are_answered_by_yes_and_no(cell: str, column: str, part: str | None) -> None:
    assert part_of_cell(cell, column) == part


@pytest.mark.parametrize(
    ("names", "values", "taken", "found"),
    [
        (["text", "label", "split"], ["train", "test"], [], "split"),
        (["text", "label", "Data Set"], ["Training", ""], [], "Data Set"),
        (["text", "label", "split"], ["train", "plane"], [], ""),
        (["text", "label", "split"], ["", ""], [], ""),
        (["text", "split"], ["train", "test"], ["text", "split"], ""),
        (["text", "label", "vehicle"], ["train", "train"], [], ""),
        (["text", "label", "is_valid"], ["False", "True"], [], "is_valid"),
        (["text", "label", "Is Test"], ["0", "0"], [], "Is Test"),
        (["text", "label", "is_valid"], ["False", "perhaps"], [], ""),
    ],
)
def test_find_split_column_by_name_and_values(
    names: list[str], values: list[str], taken: list[str], found: str
) -> None:
    sample = [dict.fromkeys(names, value) for value in values]
    assert find_split_column(names, sample, taken or names[:2]) == found


def test_find_split_column_is_sure_or_silent() -> None:
    sample = [{"split": "train", "fold": "test"}]
    assert find_split_column(["split", "fold"], sample, []) == ""
