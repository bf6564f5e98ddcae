"""Forms of an account: what is asked first has the focus, and an old password is guessed as rarely as at sign-in."""

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.forms import ChangePasswordForm, ResetPasswordForm, SignupForm


class FocusedSignupForm(SignupForm):
    """An account in two fields and one that may stay empty."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].widget.attrs["autofocus"] = True


class FocusedResetPasswordForm(ResetPasswordForm):
    """Where to send a link for a new password."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].widget.attrs["autofocus"] = True


class GuardedChangePasswordForm(ChangePasswordForm):
    """A new password for who knows the old one; wrong ones count as at the sign-in page."""

    def clean_oldpassword(self) -> str:
        """Return the old password. Raises `ValidationError` when it is wrong, or too many were."""
        password = str(self.cleaned_data["oldpassword"])
        if not get_adapter().reauthenticate(self.user, password):
            raise get_adapter().validation_error("enter_current_password")
        return password
