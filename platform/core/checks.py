"""Settings that would fail only when somebody asks for something; `manage.py check` and every start see them."""

from typing import cast

from django.core.checks import CheckMessage, Error, register
from rest_framework.settings import api_settings

from .http.throttles import SCOPES, parse_rate
from .queue.app import find_broker_problem


@register()
def check_rates(**_: object) -> list[CheckMessage]:
    """Find rates that cannot be read, and those of nothing."""
    rates = cast("dict[str, str | None]", api_settings.DEFAULT_THROTTLE_RATES)
    found: list[CheckMessage] = []
    for scope, text in rates.items():
        if scope not in SCOPES:
            known = ", ".join(sorted(SCOPES))
            found.append(Error(f"THROTTLE_RATES names {scope!r}. Known: {known}.", id="core.E001"))
        try:
            parse_rate(text)
        except ValueError as error:
            found.append(Error(f"THROTTLE_RATES, {scope}: {error}", id="core.E002"))
    return found


@register()
def check_broker(**_: object) -> list[CheckMessage]:
    """Find out that a process started like this one would announce jobs where no worker listens."""
    problem = find_broker_problem()
    return [Error(problem, id="core.E003")] if problem else []
