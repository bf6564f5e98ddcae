"""Jobs that are sent as people and programs send them: by the page and over REST."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import requests

from devtools.platform_process import PlatformProcess

from .jobs import SAMPLES, wait_until
from .pages import PATIENCE, Visitor

STARTED = ("running", "succeeded")
POLL = 0.5  # seconds; a person may ask so often, and the server counts


@contextmanager
def administrator(platform: PlatformProcess) -> Iterator[Visitor]:
    """Sign in with the password that the platform has made."""
    name, password = (platform.home / "admin_password").read_text().split()
    with Visitor(platform.base_url, name, password) as visitor:
        yield visitor


def api_session(platform: PlatformProcess) -> requests.Session:
    """Return a session that acts for the administrator over REST."""
    session = requests.Session()
    token = platform.manage("api_token", "admin").stdout.split()[-1]
    session.headers["Authorization"] = f"Token {token}"
    return session


def send_by_page(visitor: Visitor, data_set: Path, name: str) -> int:
    """Fill in the page of a new model; returns the job's number."""
    with data_set.open("rb") as file:
        found = visitor.send("/new/", "file", files={"file": (data_set.name, file)})
    chosen = found.url.removeprefix(visitor.base_url)
    started = visitor.send(chosen, "name", name=name)
    assert "/jobs/" in started.url, started.text
    return int(started.url.rstrip("/").rpartition("/")[2])


def send_over_rest(api: requests.Session, base_url: str, name: str, task: str = "textclassification") -> Any:
    """Upload the sample of a task and start a job on it; returns the job as it was answered."""
    sample = SAMPLES / ("banking.csv" if task == "textclassification" else "digits.zip")
    with sample.open("rb") as file:
        data = {"name": name, "task_type": task}
        uploaded = api.post(f"{base_url}/api/v1/datasets/", data=data, files={"file": file}, timeout=PATIENCE)
    assert uploaded.status_code == 201, uploaded.text
    wish = {"dataset": uploaded.json()["id"], "name": name, "preset": "fast"}
    job = api.post(f"{base_url}/api/v1/jobs/", json=wish, timeout=PATIENCE)
    assert job.status_code == 201, job.text
    return job.json()


def job_over_rest(api: requests.Session, base_url: str, number: int) -> Any:
    """Return a job."""
    return api.get(f"{base_url}/api/v1/jobs/{number}/", timeout=PATIENCE).json()


def started_job(api: requests.Session, base_url: str, number: int) -> Any:
    """Return a job once a worker has claimed it."""

    def look() -> Any:
        job = job_over_rest(api, base_url, number)
        return job if job["started_at"] else None

    return wait_until(f"job {number} is claimed", look, within=60, every=POLL)


def seconds_to_claim(job: Any) -> float:
    """Return how long a job lay between its acceptance and a worker's claim."""
    queued, started = (datetime.fromisoformat(job[at]) for at in ("queued_at", "started_at"))
    return (started - queued).total_seconds()


def ended_job(api: requests.Session, base_url: str, number: int) -> Any:
    """Return a job once it has succeeded."""

    def look() -> Any:
        job = job_over_rest(api, base_url, number)
        assert job["state"] in ("queued", *STARTED), job
        return job if job["state"] == "succeeded" else None

    return wait_until(f"job {number} has succeeded", look, every=POLL)
