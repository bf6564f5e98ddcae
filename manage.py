#!/usr/bin/env python
"""Run Django's commands with `platform/` on the import path.

`platform/` is a plain folder: with an `__init__.py` it would shadow the standard library's
module of that name, which torch, boto3 and celery import.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent


def main() -> None:
    """Hand the command line to Django."""
    sys.path[1:1] = [str(ROOT / "platform")]
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")
    if not {"worker", "runserver"} & set(sys.argv[1:2]):
        # Events are news of long-running processes; a command has output of its own.
        os.environ.setdefault("LOG_LEVEL", "WARNING")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
