from pathlib import Path

import pytest

from models_registry.artifacts.machine import Measured, processor


def test_processor_has_a_name() -> None:
    assert processor()


def test_figures_are_found_again_by_another_process(tmp_path: Path) -> None:
    path = tmp_path / "measured.json"
    Measured(path).keep("first", {"seconds": 1.0})
    Measured(path).keep("second", {"seconds": 2.0})
    assert Measured(path).find("first") == {"seconds": 1.0}
    assert Measured(path).find("third") is None
    assert [file.name for file in tmp_path.iterdir()] == ["measured.json"]


@pytest.mark.parametrize("content", ["", "[]", '{"first": 1}', '{"first": {"seconds": "1"}}', "{"])
def test_file_that_cannot_be_read_counts_as_empty(content: str, tmp_path: Path) -> None:
    path = tmp_path / "measured.json"
    path.write_text(content)
    assert Measured(path).find("first") is None
    Measured(path).keep("first", {"seconds": 1.0})
    assert Measured(path).find("first") == {"seconds": 1.0}


def test_folder_that_is_not_there_is_measured_for_again(tmp_path: Path) -> None:
    measured = Measured(tmp_path / "gone" / "measured.json")
    measured.keep("first", {"seconds": 1.0})
    assert measured.find("first") is None
