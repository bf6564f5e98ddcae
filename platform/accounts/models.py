"""The user of the platform (Django's own, kept as a table of ours so that it can grow), and attempts to sign in."""

from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils.crypto import salted_hmac


class User(AbstractUser):
    """Signs in by name or by e-mail address."""

    _password_removed = False

    @property
    def is_operator(self) -> bool:
        """Whether this person may see and steer what belongs to others, on the users' pages too.

        Staff who may only look do so in the admin.
        """
        return self.is_staff and self.has_perms(
            ("models_registry.change_registeredmodel", "training.change_trainingjob")
        )

    def set_unusable_password(self) -> None:
        """Leave the account without a password; counts as a change of it."""
        super().set_unusable_password()
        self._password_removed = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save; a new password revokes all API tokens, on every way by which it can be set.

        Sessions end by themselves: each holds a digest of the password's hash. A hash that Django renews with
        stronger parameters at a sign-in is no new password. Guesses of the old one do not keep anybody out.
        """
        is_new = self._password is not None or self._password_removed  # type: ignore[attr-defined]
        revokes = is_new and not self._state.adding
        super().save(*args, **kwargs)
        self._password_removed = False
        if revokes:
            self.auth_token_set.all().delete()  # type: ignore[attr-defined]
            SignInAttempt.objects.filter(
                account=SignInAttempt.digest(f"user {self.pk}"), succeeded=False
            ).delete()


class SignInAttempt(models.Model):
    """A password that was tried, as `sign_in_limits` counts them. Who tried which account is kept as digests."""

    account = models.CharField(max_length=64)
    client = models.CharField(max_length=64)
    succeeded = models.BooleanField(default=False)
    at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["client", "at"]),
            models.Index(fields=["account", "at"]),
            models.Index(fields=["succeeded", "at"]),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {'succeeded' if self.succeeded else 'failed'}"

    @staticmethod
    def digest(who: str) -> str:
        """Return the digest by which a client or an account is stored."""
        return salted_hmac("accounts.SignInAttempt", who, algorithm="sha256").hexdigest()
