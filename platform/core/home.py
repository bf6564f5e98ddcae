"""The one folder that holds all local state of a platform: `TRAINYARD_HOME`."""

import contextlib
import os
import secrets
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("bucket", "broker/messages", "broker/control", "backbones", "jobs", "logs", "static", "tmp")
PRIVATE = ("mail",)  # even where the home itself was made for others to look into


def home_folder() -> Path:
    """Return the home that `TRAINYARD_HOME` names, from the repository's root; .data there without it."""
    return (ROOT / (os.environ.get("TRAINYARD_HOME") or ".data")).resolve()


def prepare_home(home: Path) -> None:
    """Create the home and its folders, readable by their owner alone."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in FOLDERS:
        (home / folder).mkdir(parents=True, exist_ok=True)
    for folder in PRIVATE:
        (home / folder).mkdir(exist_ok=True)
        (home / folder).chmod(0o700)


def password_file(home: Path) -> Path:
    """Return the file with the first administrator's name and password, one on each line."""
    return home / "admin_password"


def secret_key(home: Path) -> str:
    """Return the home's own secret key; the first call makes it.

    Two processes that start at the same moment agree: a hard link either is the first or fails.
    """
    path = home / "secret_key"
    if not path.exists():
        draft = home / f"secret_key.{os.getpid()}.{secrets.token_hex(4)}"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(64))
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_text()
