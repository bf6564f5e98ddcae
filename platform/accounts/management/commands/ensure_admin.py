"""Make the first administrator, so that a new platform can be signed in to.

The password is made at random and printed once, and written to a file in the home folder that its
owner alone can read. When any administrator exists the command changes nothing.
"""

import os
import secrets
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import transaction

from accounts.models import User


class Command(BaseCommand):
    """`manage.py ensure_admin`."""

    help = "Make an administrator with a random password when there is none."

    def handle(self, *args: Any, **options: Any) -> None:
        path = settings.HOME / "admin_password"
        with transaction.atomic():
            if User.objects.filter(is_superuser=True).exists():
                self.stdout.write("An administrator exists." + (f" See {path}." if path.exists() else ""))
                return
            password = secrets.token_urlsafe(12)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(f"admin\n{password}\n")
            User.objects.create_superuser("admin", password=password)
        self.stdout.write(
            f"Sign in at http://127.0.0.1:{settings.PORT}/admin/ as admin, password {password}\n"
            f"(kept in {path}; change it and delete that file)"
        )
