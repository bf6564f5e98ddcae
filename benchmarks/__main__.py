"""Run a benchmark by name, or all of them; with --json the last line is one JSON object."""

import argparse
import json
from collections.abc import Callable
from typing import Any

from benchmarks import mirror, time_to_live

BENCHMARKS: dict[str, Callable[[], dict[str, Any]]] = {
    "time_to_live_image": time_to_live.image,
    "time_to_live_text": time_to_live.text,
    "mirror": mirror.mirror,
}


def main() -> None:
    """Parse the command line, run, print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=[*BENCHMARKS, "all"])
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    arguments = parser.parse_args()
    names = list(BENCHMARKS) if arguments.name == "all" else [arguments.name]
    figures = {}
    for name in names:
        figures[name] = BENCHMARKS[name]()
        print(name)
        for key, value in figures[name].items():
            print(f"  {key:20} {value}")
    if arguments.json:
        print(json.dumps(figures if arguments.name == "all" else figures[arguments.name]))


if __name__ == "__main__":
    main()
