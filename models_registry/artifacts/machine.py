"""What this machine is, and what was measured on it before: figures in a small file beside its prepared networks.

A file that cannot be read counts as empty, and one that cannot be written is measured for again.
"""

import contextlib
import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")


def processor() -> str:
    """Return the name of this machine's processor."""
    with contextlib.suppress(OSError):
        for line in CPUINFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@dataclass(frozen=True)
class Measured:
    """Figures by what they are of: a processor, the version of a library, a network."""

    path: Path

    def find(self, key: str) -> dict[str, float] | None:
        """Return the figures of a key; None where there are none."""
        found = self._read().get(key)
        if not isinstance(found, dict) or not all(isinstance(one, int | float) for one in found.values()):
            return None
        return found

    def keep(self, key: str, figures: dict[str, float]) -> None:
        """Add figures. What another process adds at the same moment may be lost: it is measured again."""
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            temporary.write_text(json.dumps({**self._read(), key: figures}, indent=1))
            temporary.replace(self.path)

    def _read(self) -> dict[str, object]:
        try:
            found = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}
