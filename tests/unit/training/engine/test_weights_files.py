from pathlib import Path

import pytest

from training.engine.events import TrainingError
from training.engine.weights_files import DownloadedFile, read_verified


def test_file_whose_digest_is_not_its_names_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "net-0123abcd.pth").write_bytes(b"something else")
    monkeypatch.setenv("TRAINYARD_PRETRAINED", str(tmp_path))
    with pytest.raises(TrainingError, match="not the expected 0123abcd"):
        read_verified(DownloadedFile("timm/net", "net-0123abcd.pth"))
