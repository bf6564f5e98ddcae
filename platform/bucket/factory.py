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
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=3,
        read_timeout=20,
        retries={"mode": "standard", "total_max_attempts": 3},
        signature_version="s3v4",  # the older one, the default for signed addresses, is not taken everywhere
        s3={"addressing_style": "path" if settings.S3_ENDPOINT_URL else "auto"},
    )
    client = boto3.client("s3", endpoint_url=settings.S3_ENDPOINT_URL or None, config=config)
    return S3Bucket(client, settings.S3_BUCKET)
