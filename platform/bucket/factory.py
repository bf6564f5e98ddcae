"""The bucket that the settings name."""

from functools import lru_cache
from pathlib import Path

from django.conf import settings

from .base import Bucket
from .folder import FolderBucket
from .s3 import S3Bucket


@lru_cache(maxsize=1)
def get_bucket() -> Bucket:
    """Return the configured store: S3 when a bucket is named, else a folder."""
    if not settings.S3_BUCKET:
        return FolderBucket(Path(settings.BUCKET_FOLDER))
    from boto3.s3.transfer import TransferConfig
    from botocore.config import Config
    from storages.backends.s3 import S3Storage

    return S3Bucket(
        S3Storage(
            bucket_name=settings.S3_BUCKET,
            endpoint_url=settings.S3_ENDPOINT_URL or None,
            default_acl=None,
            file_overwrite=True,
            querystring_auth=True,
            # Parts one after the other: ten at a time, boto3's choice, are 80 MB of every upload's process.
            transfer_config=TransferConfig(use_threads=False),
            client_config=Config(
                connect_timeout=3,
                read_timeout=20,
                retries={"mode": "standard", "total_max_attempts": 3},
                signature_version="s3v4",  # the older one, the default, is not taken everywhere
                s3={"addressing_style": "path" if settings.S3_ENDPOINT_URL else "auto"},
            ),
        )
    )
