"""The files that people really bring, through REST and the shell: how many are handled well, poorly and wrongly.

Each file is planned and handed in as a data set of a platform of its own, or to one of its models when it is an image
or a batch (over REST alone); `tests/cases.json` says what is expected.
"""

import csv
import io
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import requests

from devtools.platform_process import FOR_EVERYTHING, PlatformProcess
from tests.cases import FILES, Answer, Expected, expectations, is_for_model, judge, task_of

from .ingest import api_token

RATES = "upload=none,plan=none,user=none,address=none"
LEARNT_FROM = {  # what the models are trained on that images and batches are handed to
    "imageclassification": "Z23-methods/ok.zip",
    "textclassification": "T04-headers/category.csv",
}
WITHIN = 120.0  # seconds, for a worker to look at a file, or to train
POLL = 0.2


def cases() -> dict[str, Any]:
    """Hand all files in over REST."""
    with (
        tempfile.TemporaryDirectory(prefix="trainyard-bench-") as folder,
        PlatformProcess(Path(folder) / "home", env={"THROTTLE_RATES": RATES}, worker=False) as platform,
    ):
        platform.start_worker(*FOR_EVERYTHING)
        client = requests.Session()
        client.headers["Authorization"] = f"Token {api_token(platform)}"
        models = Models(client, platform.base_url)

        def answer_of(name: str, expected: Expected) -> Answer:
            if is_for_model(name):
                return models.ask(name)
            return hand_in(client, platform.base_url, name, expected)

        return judged(expectations(), answer_of)


def by_shell() -> dict[str, Any]:
    """Submit the data sets from a shell, after a dry run of each."""
    files = {name: expected for name, expected in expectations().items() if not is_for_model(name)}
    with (
        tempfile.TemporaryDirectory(prefix="trainyard-bench-") as folder,
        PlatformProcess(Path(folder) / "home", web=False, worker=False) as platform,
    ):
        return judged(files, lambda name, expected: submit(platform, name, expected))


def judged(files: Mapping[str, Expected], ask: Callable[[str, Expected], Answer]) -> dict[str, Any]:
    """Count the verdicts on what is answered for each file, and name all but those that are good."""
    counts, found = Counter[str](), {}
    for name, expected in files.items():
        verdict, why = judge(expected, ask(name, expected))
        counts[verdict] += 1
        if verdict != "well":
            found[name] = f"{verdict}: {why[:200]}"
    return {"files": counts.total(), "well": 0, "poorly": 0, "wrongly": 0, **counts, **found}


def submit(platform: PlatformProcess, name: str, expected: Expected) -> Answer:
    """Plan a file and submit it from a shell; returns what was printed."""
    command = ("submit", "--task", task_of(name), "--data", str(FILES / name), "--json")
    plan = platform.manage(*command, "--dry-run", check=False)
    done = platform.manage(*command, "--name", "Case", check=False)
    if "Traceback" in plan.stderr + done.stderr:
        return Answer({}, f"{plan.stderr}{done.stderr}"[-500:], has_failed=True)
    if done.returncode:
        return Answer({}, done.stderr)
    said = json.loads(done.stdout.splitlines()[-1])
    is_comparable = not expected.refused and not said["unreadable"]
    planned = json.loads(plan.stdout.splitlines()[-1])["classes"] if is_comparable else None
    return Answer(said["classes"], done.stderr, planned)


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
    url = f"{address}/api/v1/datasets/{answer.json()['id']}/"
    dataset = wait(client, url, while_in=("validating",), first=answer.json())
    if dataset["state"] != "ready":
        return Answer({}, dataset["reason"], has_failed=dataset["state"] == "validating")
    report = dataset["report"]
    if task == "imageclassification" and report["unreadable_count"]:
        planned = None  # a plan is made of names, and no image is decoded for it
    left = [f"{one['name']}: {one['reason']}" for one in report["unreadable"]]
    return Answer(report["classes"], os.linesep.join([*report["warnings"], *left]), planned)


class Models:
    """A model for each task, trained when the first file is handed to it."""

    def __init__(self, client: requests.Session, address: str) -> None:
        self._client, self._address = client, address
        self._urls: dict[str, str] = {}

    def ask(self, name: str) -> Answer:
        """Have an image or a batch classified; returns how many inputs were, and what is said of the others."""
        path, task = FILES / name, task_of(name)
        if task not in self._urls:
            self._urls[task] = self._train(task)
        kind = "predict" if path.parent.name.startswith("I00") else "batches"
        answer = self._client.post(
            f"{self._urls[task]}/{kind}/", files={"file": (path.name, path.read_bytes())}
        )
        if not answer.ok:
            return Answer({}, answer.text, has_failed=answer.status_code >= 500)
        if kind == "predict":
            return Answer({}, "", inputs=len(answer.json()["predictions"]))
        batch = wait(self._client, answer.json()["url"], while_in=("queued", "running"))
        if batch["state"] != "succeeded":
            return Answer({}, batch["message"], has_failed=batch["state"] in ("queued", "running"))
        rows = list(csv.DictReader(io.StringIO(self._client.get(batch["result"]).content.decode())))
        problems = [row["problem"] for row in rows]
        return Answer({}, "; ".join(filter(None, problems)), inputs=problems.count(""))

    def _train(self, task: str) -> str:
        """Train a model and return its address."""
        path = FILES / LEARNT_FROM[task]
        fields = {"name": "Learnt from", "task_type": task}
        dataset = self._client.post(
            f"{self._address}/api/v1/datasets/", fields, files={"file": (path.name, path.read_bytes())}
        ).json()
        answer = self._client.post(
            f"{self._address}/api/v1/jobs/", json={"dataset": dataset["id"], "name": "Classifier"}
        )
        answer.raise_for_status()
        url = f"{self._address}/api/v1/jobs/{answer.json()['id']}/"
        job = wait(self._client, url, while_in=("queued", "running"))
        if job["state"] != "succeeded":
            raise RuntimeError(f"no model to hand files to: {job}")
        return f"{self._address}/api/v1/models/{job['token']}"


def wait(
    client: requests.Session, url: str, *, while_in: tuple[str, ...], first: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Ask an address until its state is another, or time is up."""
    found, ends = first or client.get(url).json(), time.monotonic() + WITHIN
    while found["state"] in while_in and time.monotonic() < ends:
        time.sleep(POLL)
        found = client.get(url).json()
    return dict(found)
