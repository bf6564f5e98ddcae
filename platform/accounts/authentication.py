"""REST authentication by API token, or by name and password (to create a token)."""

import math

from allauth.account import app_settings as account_settings
from allauth.account.adapter import get_adapter
from allauth.account.utils import has_verified_email
from django.core.exceptions import ValidationError
from knox.auth import TokenAuthentication
from rest_framework.authentication import BasicAuthentication
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request


class ApiTokenAuthentication(TokenAuthentication):
    """`Authorization: Token …`."""

    def authenticate_credentials(self, token: bytes) -> object:
        """Return the user and the token. Raises `AuthenticationFailed`, also for what is no text."""
        if not token.isalnum():
            raise AuthenticationFailed("Invalid token.")
        return super().authenticate_credentials(token)


class PasswordAuthentication(BasicAuthentication):
    """`Authorization: Basic …`, with the same limits on guessing as the sign-in page."""

    def authenticate_credentials(
        self, userid: str, password: str, request: Request | None = None
    ) -> tuple[object, None]:
        """Return the user. Raises `AuthenticationFailed`, or `Throttled` after too many failures."""
        assert request is not None
        if "\x00" in userid:
            raise AuthenticationFailed("Invalid username or password.")
        try:
            user = get_adapter().authenticate(request._request, username=userid, password=password)
        except ValidationError as error:  # too many failed attempts
            refused = Throttled(detail=" ".join(error.messages))
            refused.wait = math.ceil((error.params or {}).get("seconds", 60))  # type: ignore[attr-defined]  # Retry-After
            raise refused from error
        if user is None or not user.is_active:
            raise AuthenticationFailed("Invalid username or password.")
        verification = account_settings.EMAIL_VERIFICATION
        mandatory = verification == account_settings.EmailVerificationMethod.MANDATORY
        if mandatory and not has_verified_email(user):
            raise AuthenticationFailed("Confirm your e-mail address first.")
        return user, None
