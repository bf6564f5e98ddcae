"""`make test`: every test for which this machine has the servers; with CI=true all are required.

`make soak` runs those marked `long`: further rows of a matrix that `make test` samples, and trainings of
minutes.
"""

import os
import subprocess
import sys

from devtools import servers

SELECTED = {"PostgreSQL", "Redis", "RabbitMQ", "S3 server"}


def main() -> int:
    """Run the suites one after the other; 0 when all are green."""
    missing = servers.missing()
    for name, remedy in missing.items():
        print(f"tests.run: {name} is not here: {remedy}", flush=True)
    if missing and servers.CI:
        print("tests.run: CI=true requires every server.", flush=True)
        return 1
    soak = "--soak" in sys.argv[1:]
    left_out = ["long" if soak else "not long"]
    if SELECTED & set(missing):
        left_out.append("not servers")
    if "Chromium" in missing:
        left_out.append("not browser")
    marks = ["-m", " and ".join(left_out)]
    workers = ["-n", "2", "--dist", "loadfile"]
    failed = _pytest("SQLite", "tests/unit", *workers, *marks)
    if "PostgreSQL" not in missing and not soak:
        with servers.postgres_database() as url:
            failed |= _pytest(
                "PostgreSQL", "tests/unit", "--only-database", *workers, *marks, DATABASE_URL=url
            )
    failed |= _pytest("real processes", "tests/integration", "tests/browser", *workers, *marks)
    for name in missing:
        print(f"tests.run: left out for want of {name}", flush=True)
    return failed


def _pytest(what: str, *arguments: str, **more: str) -> int:
    print(f"tests.run: {what}: pytest {' '.join(arguments)}", flush=True)
    env = {**os.environ, **more}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # hundreds of processes import the same modules
    code = subprocess.run([sys.executable, "-m", "pytest", "-q", *arguments], env=env, check=False).returncode
    return int(code not in (0, 5))


if __name__ == "__main__":
    sys.exit(main())
