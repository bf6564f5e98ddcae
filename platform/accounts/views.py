"""Pages of an account: storage and API tokens."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from core.exceptions import InvalidRequest

from .quota import storage_of
from .requests import signed_in
from .tokens import DAYS, MOST_DAYS, good_tokens, make_token, revoke_token


class TokenForm(forms.Form):
    """The lifetime of a new token."""

    days = forms.IntegerField(
        label="Good for days",
        initial=DAYS,
        min_value=1,
        max_value=MOST_DAYS,
        help_text=f"1 to {MOST_DAYS}. A token that is not needed any more is best revoked.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)


@login_required
@never_cache
@require_safe
def storage(request: HttpRequest) -> HttpResponse:
    """Show the storage that a user takes, the quota, and what can be deleted."""
    return render(request, "accounts/storage.html", {"storage": storage_of(request.user.pk)})


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def api_tokens(request: HttpRequest) -> HttpResponse:
    """List a user's tokens; create one, which is shown in this answer only."""
    form, token, status = TokenForm(), "", 200
    if request.method == "POST":
        form = TokenForm(request.POST)
        status = 400
        if form.is_valid():
            try:
                _, token = make_token(user=signed_in(request.user), days=form.cleaned_data["days"])
                status = 200
            except InvalidRequest as error:
                form.add_error(None, str(error))
    context = {"form": form, "token": token, "tokens": good_tokens(signed_in(request.user))}
    return render(request, "accounts/tokens.html", context, status=status)


@login_required
@require_POST
def revoke(request: HttpRequest, key: str) -> HttpResponse:
    """Revoke a token: requests with it are anonymous from now on."""
    if not revoke_token(user=signed_in(request.user), key=key):
        raise Http404
    messages.success(request, f"The token {key}… is revoked.")
    return redirect("accounts:tokens")
