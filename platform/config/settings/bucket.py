"""The bucket: a folder, or an S3 server."""

import os
from datetime import timedelta

from .environment import HOME, env

S3_BUCKET = env.str("S3_BUCKET", default="")
S3_ENDPOINT_URL = env.str("S3_ENDPOINT_URL", default="")
BUCKET_FOLDER = HOME / "bucket"

# Weights that an administrator put below pretrained/ in the bucket; from S3, `reconcile` copies them here.
PRETRAINED_FOLDER = HOME / "pretrained" if S3_BUCKET else BUCKET_FOLDER / "pretrained"
os.environ.setdefault("TRAINYARD_PRETRAINED", str(PRETRAINED_FOLDER))

# How long an address lasts that S3 has signed for one download.
DOWNLOAD_ADDRESS_LASTS = timedelta(seconds=env.int("DOWNLOAD_ADDRESS_SECONDS", default=300))
