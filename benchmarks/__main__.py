"""Run a benchmark by name, or all of them; with --json the last line is one JSON object."""

import argparse
import json
from importlib import import_module

# Each needs libraries of its own, so that a benchmark is imported when it runs.
BENCHMARKS = {
    "time_to_live_image": "time_to_live:image",
    "time_to_live_text": "time_to_live:text",
    "accurate_image": "finetune:image",
    "accurate_text": "finetune:text",
    "recurrent_text": "finetune:recurrent",
    "best": "best:best",
    "languages": "languages:languages",
    "scale": "scale:scale",
    "few_shot": "few_shot:few_shot",
    "honest": "honest:honest",
    "label_issues": "label_issues:label_issues",
    "int8": "eight_bits:int8",
    "finetune_throughput": "finetune:throughput",
    "serving": "serving:serving",
    "mirror": "mirror:mirror",
    "ingest": "ingest:image",
    "ingest_text": "ingest:text",
    "folder_upload": "folder_upload:folder_upload",
    "cases": "cases:cases",
    "cases_by_shell": "cases:by_shell",
    "registry_pages": "registry_pages:registry_pages",
    "project_pages": "project_pages:project_pages",
    "retrain": "retrain:retrain",
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
        module, function = BENCHMARKS[name].split(":")
        figures[name] = getattr(import_module(f"benchmarks.{module}"), function)()
        print(name)
        for key, value in figures[name].items():
            print(f"  {key:20} {value}")
    if arguments.json:
        print(json.dumps(figures if arguments.name == "all" else figures[arguments.name]))


if __name__ == "__main__":
    main()
