"""The files that people really bring, through REST: how many are handled well, poorly and wrongly.

Each file is planned and handed in as a data set of a platform of its own; `tests/cases.json` says what is expected.
"""

import os
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import requests

from devtools.platform_process import PlatformProcess
from tests.cases import FILES, Answer, Expected, expectations, judge, task_of

from .ingest import api_token

RATES = "upload=none,plan=none,user=none,address=none"
WITHIN = 120.0  # seconds, for a worker to look at a file
POLL = 0.2


def cases() -> dict[str, Any]:
    """Count the verdicts, and name all but those that are good."""
    counts, found = Counter[str](), {}
    with (
        tempfile.TemporaryDirectory(prefix="trainyard-bench-") as folder,
        PlatformProcess(Path(folder) / "home", env={"THROTTLE_RATES": RATES}) as platform,
    ):
        client = requests.Session()
        client.headers["Authorization"] = f"Token {api_token(platform)}"
        for name, expected in expectations().items():
            verdict, why = judge(expected, hand_in(client, platform.base_url, name, expected))
            counts[verdict] += 1
            if verdict != "well":
                found[name] = f"{verdict}: {why[:200]}"
    return {"files": counts.total(), "well": 0, "poorly": 0, "wrongly": 0, **counts, **found}


def hand_in(client: requests.Session, address: str, name: str, expected: Expected) -> Answer:
    """Plan a file and hand it in; returns what was answered."""
    path, task = FILES / name, task_of(name)
    content = path.read_bytes()
    fields = {"name": path.name, "task_type": task}
    plan = client.post(f"{address}/api/v1/datasets/plan/", fields, files={"file": (path.name, content)})
    answer = client.post(
        f"{address}/api/v1/datasets/",
        {**fields, "name": path.stem[:100]},
        files={"file": (path.name, content)},
    )
    if plan.status_code >= 500 or answer.status_code >= 500:
        return Answer({}, f"{plan.status_code}, {answer.status_code}", has_failed=True)
    planned = plan.json().get("classes") if plan.ok and not expected.refused else None
    if not answer.ok:
        return Answer({}, answer.text)
    dataset, ends = answer.json(), time.monotonic() + WITHIN
    while dataset["state"] == "validating" and time.monotonic() < ends:
        time.sleep(POLL)
        dataset = client.get(f"{address}/api/v1/datasets/{dataset['id']}/").json()
    if dataset["state"] != "ready":
        return Answer({}, dataset["reason"], has_failed=dataset["state"] == "validating")
    report = dataset["report"]
    left = [f"{one['name']}: {one['reason']}" for one in report["unreadable"]]
    return Answer(report["classes"], os.linesep.join([*report["warnings"], *left]), planned)
