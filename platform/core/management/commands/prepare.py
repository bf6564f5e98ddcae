"""What a new platform, and a new release of an old one, need before anything starts. May be run again at any time."""

from io import StringIO
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError


class Command(BaseCommand):
    """`manage.py prepare`."""

    help = "Migrate the database, bring the documents into step, make the first administrator."

    def handle(self, *args: object, **options: Any) -> None:
        out = self.stdout if options["verbosity"] else StringIO()
        try:
            call_command("migrate", verbosity=0)
        except OperationalError as error:
            raise CommandError(
                f"The database cannot be used: {str(error).strip()} See DATABASE_URL."
            ) from error
        try:
            call_command("sync_documents", stdout=out, stderr=self.stderr)
        except CommandError as error:  # the bucket is away, or others have written: the admin tells more
            self.stderr.write(self.style.WARNING(str(error)))
        call_command("ensure_admin", stdout=out, stderr=self.stderr)
