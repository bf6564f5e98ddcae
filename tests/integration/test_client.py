"""The example client of the documentation, as somebody copies it: another process, requests alone."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from devtools.platform_process import ROOT, PlatformProcess, WholePlatform

CLIENT = ROOT / "docs" / "examples" / "client.py"
SAMPLES = ROOT / "samples"
DIGIT = sorted((SAMPLES / "digits_new").glob("*.png"))[0]


@pytest.fixture
def whole(tmp_path: Path) -> WholePlatform:
    """A platform that prepares its backbones as one that is started for the first time."""
    return WholePlatform(tmp_path / "home")


def run(platform: PlatformProcess, folder: Path, *arguments: str, api_token: str = "") -> str:
    env = {"PATH": os.environ["PATH"], "TRAINYARD_URL": platform.base_url, "TRAINYARD_TOKEN": api_token}
    done = subprocess.run(
        [sys.executable, str(CLIENT), *arguments],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr + platform.log("web")
    return done.stdout


def test_the_example_client_does_the_main_job(whole: WholePlatform, tmp_path: Path) -> None:
    with whole as platform:
        make_user = "from tests.factories import UserFactory; UserFactory(username='ann')"
        platform.manage("shell", "-v0", "-c", make_user)
        api_token = platform.manage("api_token", "ann").stdout.strip()

        trained = run(
            platform, tmp_path, "train", str(SAMPLES / "digits.zip"), "--name", "Digits", api_token=api_token
        )
        token, accuracy = trained.strip().split("\t")
        assert float(accuracy.removesuffix(" %")) > 80

        said = run(platform, tmp_path, "predict", token, str(DIGIT))
        assert re.match(rf" *[\d.]+%  {DIGIT.stem}  ", said)

        for wanted in ("onnx", "pytorch"):
            path = Path(run(platform, tmp_path, "download", token, wanted).strip())
            assert path.parent == tmp_path
            assert path.stat().st_size > 100_000

        sys.path.insert(0, str(CLIENT.parent))
        try:
            from client import Trainyard, TrainyardProblem
        finally:
            sys.path.pop(0)
        mine = Trainyard(platform.base_url, api_token)
        assert [model["token"] for model in mine.models(state="live", page_size=1)] == [token]
        with pytest.raises(TrainyardProblem, match="There is nothing here"):
            mine.classify_texts("imageClassification-x-0", ["x"])
        with pytest.raises(TrainyardProblem, match="image files"):
            mine.classify_texts(token, ["x"])
