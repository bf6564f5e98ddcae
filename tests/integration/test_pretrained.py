"""Weights that lie in an S3 bucket are found on a machine that has never seen them."""

from pathlib import Path

import pytest

from devtools import servers
from devtools.platform_process import PlatformProcess

NAME = "resnet18-f37072fd.pth"


@pytest.mark.servers
def test_weights_in_the_bucket_reach_every_machine(tmp_path: Path) -> None:
    with servers.s3_server() as s3:
        client = s3.client()
        for key, content in ((NAME, b"weights"), ("readme.txt", b"no weights")):
            client.put_object(Bucket=s3.bucket, Key=f"pretrained/{key}", Body=content)
        with PlatformProcess(tmp_path / "home", env=s3.env, web=False, worker=False) as platform:
            for _ in range(2):
                platform.manage("reconcile")
            found = [path.name for path in (tmp_path / "home" / "pretrained").iterdir()]
            checked = platform.manage_json("sync_documents", "--check")
    assert found == [NAME]
    assert (tmp_path / "home" / "pretrained" / NAME).read_bytes() == b"weights"
    assert checked == {"documents": "ok"}
