"""Account forms: the first field has the focus, and guesses of the old password are limited as at sign-in."""

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.forms import ChangePasswordForm, ResetPasswordForm, SignupForm


class FocusedSignupForm(SignupForm):
    """Sign-up: name, password, and optionally an e-mail address."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].widget.attrs["autofocus"] = True


class FocusedResetPasswordForm(ResetPasswordForm):
    """The e-mail address to which the link for a new password is sent."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].widget.attrs["autofocus"] = True


class GuardedChangePasswordForm(ChangePasswordForm):
    """A new password; the old one has to be given, and wrong ones count as failed sign-ins."""

    def clean_oldpassword(self) -> str:
        """Return the old password. Raises `ValidationError` when it is wrong, or too many were."""
        password = str(self.cleaned_data["oldpassword"])
        if not get_adapter().reauthenticate(self.user, password):
            raise get_adapter().validation_error("enter_current_password")
        return password
