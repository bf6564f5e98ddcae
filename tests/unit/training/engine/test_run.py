import json
import os
import subprocess
import sys
from pathlib import Path

from .conftest import MakeRequest

ROOT = Path(__file__).resolve().parents[4]


def run(request: Path) -> tuple[int, list[dict[str, object]]]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "training.engine.run", str(request)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_bare_machine_trains_from_a_file(make_request: MakeRequest, tmp_path: Path) -> None:
    output = tmp_path / "new" / "folder"
    request = make_request("imageclassification", output_dir=str(output))
    (tmp_path / "request.json").write_text(json.dumps(request.to_json()))
    code, events = run(tmp_path / "request.json")
    assert code == 0
    assert {event["event"] for event in events[:-2]} == {"progress"}
    assert [event["event"] for event in events[-2:]] == ["result", "findings"]
    assert (output / f"{request.public_id}.onnx").exists()


def test_error_is_the_last_event_and_the_exit_code(make_request: MakeRequest, tmp_path: Path) -> None:
    request = make_request("imageclassification", strategy="magic")
    (tmp_path / "request.json").write_text(json.dumps(request.to_json()))
    code, events = run(tmp_path / "request.json")
    assert code == 1
    assert events[-1] == {"event": "error", "kind": "training", "message": events[-1]["message"]}
