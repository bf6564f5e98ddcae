"""allauth's adapter: whether sign-up is open, and limits on guessing passwords."""

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from core.http.throttles import client_of

from .sign_in_limits import Guess, TooManyGuesses, count_guess


class AccountAdapter(DefaultAccountAdapter):
    """Closes sign-up when the platform's settings say so, and counts guesses of passwords."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Tell whether sign-up is open."""
        return bool(settings.SIGN_UP_OPEN)

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return the client's address as the rate limits see it."""
        return client_of(request)

    def authenticate(self, request: HttpRequest, **credentials: object) -> AbstractBaseUser | None:
        """Return the user whose password it is. Raises `ValidationError` after too many wrong ones.

        Every door comes through here: the sign-in page, Basic authentication, the change of a password.
        """
        login = str(credentials.get("email") or credentials.get("username") or "")
        guess = self._count(login, request)
        user: AbstractBaseUser | None = super().authenticate(request, **credentials)
        if user is not None:
            guess.succeed()
        return user

    def pre_authenticate(self, request: HttpRequest, **credentials: object) -> None:
        """Skip allauth's own limit, which counts in the cache by the name as it was typed."""

    @staticmethod
    def _count(login: str, request: HttpRequest) -> Guess:
        try:
            return count_guess(login=login, client=client_of(request))
        except TooManyGuesses as error:
            seconds = error.wait.total_seconds()
            raise ValidationError(str(error), "too_many_login_attempts", {"seconds": seconds}) from error
