"""System checks of settings that would otherwise fail at a request; run by `manage.py check` and at every start."""

from typing import cast

from django.core.checks import CheckMessage, Error, register
from rest_framework.settings import api_settings

from .http.throttles import SCOPES, parse_rate
from .queue.app import find_broker_problem


@register()
def check_rates(**_: object) -> list[CheckMessage]:
    """Return errors for rate limits that cannot be parsed or whose scope is unknown."""
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
    """Return an error if this process would send messages to another broker than the configured one."""
    problem = find_broker_problem()
    return [Error(problem, id="core.E003")] if problem else []
