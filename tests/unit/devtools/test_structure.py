from pathlib import Path

from devtools.structure import measure

SOURCE = (
    '''"""A module."""

from typing import Any


def short(values: dict[str, Any]) -> Any:
    return values


def long() -> None:
'''
    + "    print()\n" * 30
)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_structure_counts_what_lies_in_the_product(tmp_path: Path) -> None:
    write(tmp_path / "platform" / "core" / "__init__.py", "")
    write(tmp_path / "platform" / "core" / "errors.py", SOURCE)
    write(tmp_path / "training" / "jobs" / "models.py", '"""Rows."""\n')
    write(tmp_path / "training" / "migrations" / "0001_initial.py", SOURCE)
    write(tmp_path / "tests" / "test_errors.py", SOURCE)
    found = measure(tmp_path)
    assert found.modules_at_root == {"core": 1, "training/jobs": 1}
    assert found.files == 3
    assert found.lines == len(SOURCE.splitlines()) + 1
    assert found.long_functions == {"platform/core/errors.py:long": 31}
    assert (found.uses_of_any, found.uses_of_dict_of_any) == (2, 1)
