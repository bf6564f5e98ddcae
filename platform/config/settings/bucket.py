"""The bucket: a folder, or an S3 server; what Django's storages are."""

import os
from datetime import timedelta

from .environment import HOME, env

S3_BUCKET = env.str("S3_BUCKET", default="")
S3_ENDPOINT_URL = env.str("S3_ENDPOINT_URL", default="")
BUCKET_FOLDER = HOME / "bucket"

# Weights that an administrator put below pretrained/ in the bucket; from S3, `reconcile` copies them here.
PRETRAINED_FOLDER = HOME / "pretrained" if S3_BUCKET else BUCKET_FOLDER / "pretrained"
os.environ.setdefault("TRAINYARD_PRETRAINED", str(PRETRAINED_FOLDER))

if S3_BUCKET:
    from boto3.s3.transfer import TransferConfig

    BUCKET_STORAGE = {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": S3_BUCKET,
            "endpoint_url": S3_ENDPOINT_URL or None,
            "addressing_style": "path" if S3_ENDPOINT_URL else "auto",
            "default_acl": None,
            "file_overwrite": True,
            "querystring_auth": True,
            "signature_version": "s3v4",  # the older one, the default for signed addresses, is not taken everywhere
            # Parts one after the other: ten at a time, boto3's choice, are 80 MB of every upload's process.
            "transfer_config": TransferConfig(use_threads=False),
            # What is read goes to disk beyond this; 0, the library's choice, keeps files in memory whole.
            "max_memory_size": 2**20,
        },
    }
else:
    BUCKET_STORAGE = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": BUCKET_FOLDER, "allow_overwrite": True},
    }

STORAGES = {
    "default": BUCKET_STORAGE,
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

# How long an address lasts that S3 has signed for one download.
DOWNLOAD_ADDRESS_LASTS = timedelta(seconds=env.int("DOWNLOAD_ADDRESS_SECONDS", default=300))
