"""The forms at the entrance: what is asked first has the focus."""

from typing import Any

from allauth.account.forms import ResetPasswordForm, SignupForm


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
