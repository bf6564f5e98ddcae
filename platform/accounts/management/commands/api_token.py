"""Create a token for the REST API: sent as `Authorization: Token …`, it acts for its user."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from knox.models import AuthToken

from accounts.models import User


class Command(BaseCommand):
    """`manage.py api_token USER [--days 90]`."""

    help = "Make an API token for a user; it is shown this once, and only its hash is kept."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="the user's name")
        parser.add_argument("--days", type=int, default=90, help="how long it is good for (default: 90)")

    def handle(self, *args: object, **options: Any) -> None:
        user = User.objects.filter(username=options["user"], is_active=True).first()
        if user is None:
            raise CommandError(f"There is no active user {options['user']!r}.")
        if options["days"] < 1:
            raise CommandError("--days must be 1 or more.")
        _, token = AuthToken.objects.create(user=user, expiry=timedelta(days=options["days"]))
        self.stdout.write(token)
