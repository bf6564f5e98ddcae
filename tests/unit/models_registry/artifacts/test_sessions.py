"""What runs may take of this process's memory. In a process of its own: the limit is for good."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]

PROBE = """
import sys
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/platform"]
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.test"
import django
django.setup()
from models_registry.artifacts import BrokenLimit, Predictor
from models_registry.artifacts.sessions import limit_memory, shrink_memory
from tests import hostile_models as hostile
from tests.tiny_models import COLOURS, colour_model, picture

def predicted(content):
    try:
        Predictor.from_bytes(content, image_classes=COLOURS, threads=1).predict([picture("red")])
    except BrokenLimit as error:
        return "memory" in str(error)
    return None

limit_memory(100 << 20)
own = Predictor.from_bytes(colour_model(), threads=1)
for numbers in (2**25, 2**28, 2**33, 2**40, 2**62):  # of four bytes
    assert predicted(hostile.memory_hog(numbers)), numbers
assert own.predict([picture("green")])[0].label == "green"
for megabytes in (10, 20, 30, 50, 80):  # more in all than may be, in pieces that do not fit into each other's
    assert predicted(hostile.memory_hog(megabytes << 18)) is None, megabytes
shrink_memory()
status = open("/proc/self/status").read()
print(next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) >> 10)
"""


def test_memory_of_runs_in_this_process_is_bounded() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(ROOT)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 500, "MB"
