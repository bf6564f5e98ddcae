"""Make the first administrator, so that a new platform can be signed in to.

The password is made at random and written to a file in the home folder that its owner alone can read; it is printed
nowhere, because what is printed ends up in logs. When any administrator exists the command only removes that file once
its password is no longer good.
"""

import os
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import transaction

from accounts.models import User
from core.home import password_file


class Command(BaseCommand):
    """`manage.py ensure_admin`."""

    help = "Make an administrator with a random password when there is none."

    def handle(self, *args: object, **options: Any) -> None:
        path = password_file(settings.HOME)
        with transaction.atomic():
            if User.objects.filter(is_superuser=True).exists():
                self.stdout.write("An administrator exists." + (f" See {path}." if _is_good(path) else ""))
                return
            password = secrets.token_urlsafe(12)
            taken = User.objects.filter(username="admin").exists()
            user = User.objects.create_superuser(
                f"admin-{secrets.token_hex(3)}" if taken else "admin", password=password
            )
            _write_privately(path, f"{user.username}\n{password}\n")
        self.stdout.write(
            f"Sign in at http://127.0.0.1:{settings.PORT}/admin/ as {user.username} with the password in {path}. "
            "Change it there; the next start removes the file."
        )


def _is_good(path: Path) -> bool:
    """Tell whether the file's password is still valid; a file with an old one is removed."""
    try:
        name, password = path.read_text().split()
    except (OSError, ValueError):
        return False
    user = User.objects.filter(username=name, is_active=True).first()
    if user is not None and user.check_password(password):
        return True
    path.unlink()
    return False


def _write_privately(path: Path, text: str) -> None:
    """Write a file that only its owner can read from its creation on, replacing what was there."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
