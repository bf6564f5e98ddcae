"""How sign-up behaves here."""

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.http import HttpRequest


class AccountAdapter(DefaultAccountAdapter):
    """Closes sign-up when the platform's settings say so."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Tell whether strangers may make an account."""
        return bool(settings.SIGN_UP_OPEN)
