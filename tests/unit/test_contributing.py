"""What docs/contributing/ shows in full works as it stands there."""

import re
import struct
from pathlib import Path
from types import ModuleType

import pytest

from core import periodic
from core.models import PeriodicTask
from models_registry.artifacts.image_files import factory as image_files
from models_registry.artifacts.image_files.base import DamagedImage
from models_registry.inputs import DataError, Limits, open_table
from models_registry.inputs.tables import factory as tables

PAGES = Path(__file__).resolve().parents[2] / "docs" / "contributing"


def shown(page: str) -> ModuleType:
    """Return the module that a page shows."""
    found = re.search(r"```python\n(.*?)```", (PAGES / page).read_text(), re.DOTALL)
    assert found is not None
    module = ModuleType(page.partition(".")[0])
    exec(compile(found[1], page, "exec"), module.__dict__)
    return module


@pytest.fixture
def fixed_width(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A file of the format that the page of table readers adds."""
    reader = shown("table-reader.md").FixedWidthReader
    monkeypatch.setitem(tables.READERS, ".fwf", reader)
    path = tmp_path / "register.fwf"
    path.write_text("text              label\nA warm day        good\n\nRain since Monday bad\n")
    return path


def test_table_reader_of_the_page_reads_rows(fixed_width: Path) -> None:
    table = open_table(fixed_width)
    assert table.columns() == ["text", "label"]
    assert [tuple(row) for row in table.rows(text="text", label="label")] == [
        ("line 2", "A warm day", "good", "", ()),
        ("line 4", "Rain since Monday", "bad", "", ()),
    ]


def test_table_reader_of_the_page_keeps_the_limits(fixed_width: Path) -> None:
    for limits in (Limits(max_rows=1), Limits(max_line_chars=10)):
        with pytest.raises(DataError, match=r"limit"):
            list(open_table(fixed_width, limits).rows(text="text"))


def test_image_format_of_the_page_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    module = shown("image-format.md")
    monkeypatch.setattr(image_files, "READERS", (*image_files.READERS, (module.SIGNATURES, module.read)))
    header = b"qoif" + struct.pack(">IIBB", 640, 480, 3, 0)
    found = image_files.read_image_file(header)
    assert (found.format, found.width, found.height) == ("QOI", 640, 480)
    with pytest.raises(DamagedImage, match="cut off"):
        image_files.read_image_file(header[:9])


@pytest.mark.django_db
def test_periodic_task_of_the_page_does_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(periodic, "_tasks", dict(periodic._tasks))
    shown("periodic-task.md")
    PeriodicTask.objects.create(name="of an older release")
    task = next(task for task in periodic.registered() if task.name == "forget unknown tasks")
    assert periodic.run_task(task).did == 1
    assert not PeriodicTask.objects.filter(name="of an older release").exists()
