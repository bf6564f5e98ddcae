"""A client of Trainyard's REST API in a hundred lines, to be copied: it needs `requests` and nothing else.

    python client.py train flowers.zip --name "My flowers"
    python client.py predict TOKEN photo.jpg
    python client.py download TOKEN onnx

`TRAINYARD_URL` says where the platform is, `TRAINYARD_TOKEN` who you are: an API token, made by
`manage.py api_token YOU` or `curl -u YOU -X POST $TRAINYARD_URL/api/v1/tokens/`. Who only predicts,
or downloads a model that may be, needs the model's token alone.
"""

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import requests

ENDED = ("succeeded", "failed", "cancelled")


class TrainyardProblem(Exception):
    """The platform refused; the message is what it said, which is meant to be read."""


class Trainyard:
    """One platform, and who asks it."""

    def __init__(self, url: str, api_token: str = "", *, patience: float = 60.0) -> None:
        """Name the platform; `patience` (seconds) is for each answer, and for how long to wait in line."""
        self.url = url.rstrip("/") + "/api/v1/"
        self.patience = patience
        self.session = requests.Session()
        if api_token:
            self.session.headers["Authorization"] = f"Token {api_token}"

    def train(self, data: Path, *, task_type: str, name: str, **settings: Any) -> dict[str, Any]:
        """Upload a data set and submit a job; `settings` are the job's fields, as `preset="accurate"`."""
        with data.open("rb") as file:
            form = {"name": name, "task_type": task_type}
            dataset = self._ask("POST", "datasets/", data=form, files={"file": (data.name, file)})
        while dataset["state"] == "validating":  # much data is looked at in the background
            time.sleep(1.0)
            dataset = self._ask("GET", f"datasets/{dataset['id']}/")
        if dataset["state"] != "ready":
            raise TrainyardProblem(dataset["reason"])
        return self._ask("POST", "jobs/", json={"dataset": dataset["id"], "name": name, **settings})

    def watch(self, job: dict[str, Any], *, every: float = 1.0) -> Iterator[dict[str, Any]]:
        """Yield the job again and again until it has ended."""
        while True:
            job = self._ask("GET", f"jobs/{job['id']}/")
            yield job
            if job["state"] in ENDED:
                return
            time.sleep(every)

    def models(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """Yield your models, newest first, page by page; `filters` as in `state="live"`."""
        page = self._ask("GET", "models/", params=filters)
        while True:
            yield from page["results"]
            if not page["next"]:
                return
            page = self._ask("GET", page["next"])

    def classify_images(self, token: str, paths: Sequence[Path]) -> list[dict[str, Any]]:
        """Return for each image its label, the probability, and the runners-up."""
        with contextlib.ExitStack() as stack:
            files = [("file", (path.name, stack.enter_context(path.open("rb")))) for path in paths]
            return list(self._ask("POST", f"models/{token}/predict/", files=files)["predictions"])

    def classify_texts(self, token: str, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Return for each text its label, the probability, and the runners-up."""
        answer = self._ask("POST", f"models/{token}/predict/", json={"texts": list(texts)})
        return list(answer["predictions"])

    def download(self, token: str, wanted: str, folder: Path) -> Path:
        """Save a model's file (onnx, onnx-int8, pytorch or metadata) under the name that the platform gives it."""
        address = f"{self.url}models/{token}/download/"
        with self.session.get(
            address, params={"format": wanted}, stream=True, timeout=self.patience
        ) as answer:
            _check(answer)
            name = answer.headers["Content-Disposition"].partition('filename="')[2].rstrip('"')
            path = folder / Path(name or f"model.{wanted}").name
            with path.open("wb") as file:
                for piece in answer.iter_content(1 << 20):
                    file.write(piece)
        return path

    def _ask(self, method: str, path: str, **request: Any) -> Any:
        """Ask, and wait as long as the platform says when there are too many requests."""
        address = path if path.startswith("http") else self.url + path
        deadline = time.monotonic() + self.patience
        while True:
            answer = self.session.request(method, address, timeout=self.patience, **request)
            wait = float(answer.headers.get("Retry-After", "inf"))
            resendable = "files" not in request  # an open file has been read to its end
            if answer.status_code != 429 or not resendable or time.monotonic() + wait > deadline:
                break
            time.sleep(wait)
        _check(answer)
        return answer.json() if answer.content else None


def _check(answer: requests.Response) -> None:
    if answer.ok:
        return
    if answer.headers.get("Content-Type") != "application/problem+json":
        answer.raise_for_status()
    problem = answer.json()
    told = [problem["detail"], *(f"{name}: {texts}" for name, texts in problem.get("errors", {}).items())]
    raise TrainyardProblem(" ".join(told))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train")
    train.add_argument("data", type=Path, help="a zip with a folder for each class, or a table")
    train.add_argument("--name", required=True)
    train.add_argument("--preset", default="fast", choices=("fast", "accurate", "best", "scratch"))
    train.add_argument("--minutes", type=int, help="how long the preset best may try out ways to train")
    predict = commands.add_parser("predict")
    predict.add_argument("token")
    predict.add_argument("inputs", nargs="+", help="image files, or sentences")
    download = commands.add_parser("download")
    download.add_argument("token")
    download.add_argument("format", choices=("onnx", "onnx-int8", "pytorch", "metadata"))
    chosen = parser.parse_args(arguments)
    platform = Trainyard(
        os.environ.get("TRAINYARD_URL", "http://127.0.0.1:8000"), os.environ.get("TRAINYARD_TOKEN", "")
    )
    try:
        return COMMANDS[chosen.command](platform, chosen)
    except (TrainyardProblem, requests.RequestException) as error:
        print(error, file=sys.stderr)
        return 1


def _train(platform: Trainyard, chosen: argparse.Namespace) -> int:
    task = "imageclassification" if chosen.data.suffix == ".zip" else "textclassification"
    budget = {} if chosen.minutes is None else {"budget_minutes": chosen.minutes}
    submitted = platform.train(chosen.data, task_type=task, name=chosen.name, preset=chosen.preset, **budget)
    for job in platform.watch(submitted):
        print(job["state"], job["progress"].get("message", ""), file=sys.stderr)
    if job["state"] != "succeeded":
        print(job["error"], file=sys.stderr)
        return 1
    print(f"{job['token']}\t{job['accuracy']:.2f} %")
    return 0


def _predict(platform: Trainyard, chosen: argparse.Namespace) -> int:
    paths = [Path(given) for given in chosen.inputs]
    if all(path.is_file() for path in paths):
        predictions = platform.classify_images(chosen.token, paths)
    else:
        predictions = platform.classify_texts(chosen.token, chosen.inputs)
    for given, prediction in zip(chosen.inputs, predictions, strict=True):
        print(f"{prediction['probability']:7.2%}  {prediction['label']}  ({given})")
    return 0


def _download(platform: Trainyard, chosen: argparse.Namespace) -> int:
    print(platform.download(chosen.token, chosen.format, Path.cwd()))
    return 0


COMMANDS = {"train": _train, "predict": _predict, "download": _download}

if __name__ == "__main__":
    sys.exit(main())
