"""What is installed is what was tested, to the last byte, and comes from whatever registry pip is set up for."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = ("requirements.txt", "requirements-dev.txt")
REQUIREMENT = re.compile(r"[\w.-]+(\[[\w,-]+\])?==[\w.!+-]+( ; [^\\]+?)?( --hash=sha256:[0-9a-f]{64})+")


@pytest.mark.parametrize("name", FILES)
def test_every_requirement_is_pinned_by_version_and_hash(name: str) -> None:
    text = re.sub(r" *\\\n *", " ", (ROOT / name).read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert len(lines) > 100
    assert [line[:80] for line in lines if not REQUIREMENT.fullmatch(line)] == []


def test_both_files_pin_the_same() -> None:
    ours, with_tools = (
        set(re.findall(r"^\S+==\S+", (ROOT / name).read_text(), re.MULTILINE)) for name in FILES
    )
    assert ours - with_tools == set()


def test_every_installation_asks_for_the_hashes() -> None:
    installs = [
        line for line in (ROOT / "Makefile").read_text().splitlines() if re.search(r"pip install.* -r ", line)
    ]
    assert len(installs) == 2
    assert all("--require-hashes" in line for line in installs)
