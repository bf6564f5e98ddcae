import subprocess
import sys

import pytest

# Freed blocks stay on a heap when something lies above them; that a larger one was freed lets glibc put them there.
PROGRAM = """
import re, sys
from models_registry.artifacts.memory import set_malloc

def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024

if sys.argv[1:] == ["mapped"]:
    set_malloc(map_from=1 << 20)
large = bytearray(30 << 20)
del large
before = resident()
blocks = [bytearray(b"x") * (2 << 20) for _ in range(50)]
above = [bytearray(1000) for _ in range(1000)]
del blocks
print(resident() - before)
"""


@pytest.mark.parametrize(("given", "least", "most"), [(["mapped"], -5, 20), ([], 80, 200)])
def test_large_blocks_that_are_mapped_go_back_when_they_are_freed(
    given: list[str], least: int, most: int
) -> None:
    command = [sys.executable, "-c", PROGRAM, *given]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert least <= int(found.stdout) <= most, found.stdout
