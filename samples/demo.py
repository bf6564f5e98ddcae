"""The main job without a person: train, publish, predict, check; `make demo`.

Everything goes through the commands that a person would type, against a worker process of its own,
in the home that `TRAINYARD_HOME` names. The last line of output is one JSON object.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "samples"
WORKER_STARTS_WITHIN = 600  # seconds; the first start prepares the backbones
SENTENCE = "I am still waiting for my new card to arrive in the post"


class DemoFailed(Exception):
    """A command did not do what it should; its output was shown."""


def manage(*arguments: str) -> str:
    """Run a command and return its output, which is shown as well."""
    print(f"$ manage.py {' '.join(arguments)}", flush=True)
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout, end="", flush=True)
    if done.returncode:
        raise DemoFailed(f"manage.py {arguments[0]} ended with {done.returncode}.")
    return done.stdout


def manage_json(*arguments: str) -> Any:
    """Run a command with --json and return what it says in its last line."""
    return json.loads(manage(*arguments, "--json").splitlines()[-1])


class Worker:
    """A worker process of the demo's own, up and warm."""

    def __enter__(self) -> "Worker":
        print("$ manage.py worker &", flush=True)
        log = Path(os.environ.get("TRAINYARD_HOME") or ROOT / ".data").resolve() / "logs" / "demo-worker.log"
        with log.open("wb") as sink:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "worker"],
                cwd=ROOT,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + WORKER_STARTS_WITHIN
        while "worker.warm " not in log.read_text(errors="replace"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise DemoFailed(f"The worker did not become ready:\n{log.read_text(errors='replace')}")
            time.sleep(0.2)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def train_and_predict(*, task: str, data: Path, name: str, given: str) -> dict[str, object]:
    """Submit a job, wait for its model, and use it once."""
    job = manage_json("submit", "--task", task, "--data", str(data), "--name", name, "--wait")
    answer = manage_json("predict", job["token"], given)
    prediction = answer["predictions"][0]["label"]
    return {**{key: job[key] for key in ("token", "accuracy", "seconds")}, "prediction": prediction}


def main() -> None:
    """Run the demo; exit 1 with the reason when anything does not work."""
    digit = sorted((SAMPLES / "digits_new").glob("*.png"))[0]
    try:
        manage("migrate", "--verbosity", "0")
        manage("sync_documents")
        with Worker():
            image = train_and_predict(
                task="imageclassification", data=SAMPLES / "digits.zip", name="Digits", given=str(digit)
            )
            text = train_and_predict(
                task="textclassification", data=SAMPLES / "banking.csv", name="Banking", given=SENTENCE
            )
            manage("cleanup", "--dry-run")
        documents = manage_json("sync_documents", "--check")["documents"]
    except DemoFailed as error:
        sys.exit(str(error))
    print(json.dumps({"image": image, "text": text, "documents": documents}))


if __name__ == "__main__":
    main()
