"""What a REST call takes is what its description names. Everything else is refused: nothing is lost unread."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import wraps
from itertools import islice
from typing import Any, TypeVar

from django.http.response import HttpResponseBase
from django_filters import MultipleChoiceFilter
from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import Direction, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.settings import api_settings

from .parsers import BoundedJSONParser

Handler = TypeVar("Handler", bound=Callable[..., HttpResponseBase])
ViewSet = TypeVar("ViewSet", bound=type)
Known = Mapping[str, bool]  # what can be sent, by name: whether several times

MOST_TOLD = 20  # unknown names of one request
LONGEST_NAME = 100  # characters of one that is told
FORM_TOKEN = "csrfmiddlewaretoken"  # noqa: S105 - a field's name
SEVERAL = (
    serializers.ListField,
    serializers.ListSerializer,
    serializers.ManyRelatedField,
    serializers.MultipleChoiceField,
)


def described(
    *, parameters: Iterable[OpenApiParameter | type[serializers.Serializer]] = (), **description: Any
) -> Callable[[Handler], Handler]:
    """Return a decorator that describes a call as `extend_schema` does, and holds whoever calls to the description.

    A parameter of the address that it does not name is refused with `ValidationError`, as is a body where it says that
    the call takes none (`request=None`, or DELETE). The body of others is for a `RequestSerializer` to check.
    """
    asked = list(parameters)
    query = {name: several for one in asked for name, several in _of_parameter(one)}

    def mark(handler: Handler) -> Handler:
        @wraps(handler)
        def call(view: Any, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
            known = query | (_of_list(view) if getattr(view, "action", "") == "list" else {})
            require_known(request.query_params, known, "parameter of this address")
            if description.get("request", ...) is None or request.method == "DELETE":
                _require_nothing(request)
            return handler(view, request, *args, **kwargs)

        return extend_schema(parameters=asked or None, **description)(call)  # type: ignore[return-value]

    return mark


def described_reads(*, many: str, one: str) -> Callable[[ViewSet], ViewSet]:
    """Return a decorator that describes the list of a view set and the retrieval of one of its rows.

    The rows are the caller's own; `many` and `one` say what the answers hold.
    """

    def mark(view: Any) -> Any:
        refused = "400: there is no such filter, or it has a value that it cannot have."
        view.list = described(description=f"{many} {refused}")(view.list)
        view.retrieve = described(description=f"{one} 404: it is unknown, or another user's.")(view.retrieve)
        return view

    return mark


def require_known(sent: Mapping[Any, Any], known: Known, what: str) -> None:
    """Refuse what was sent under a name that is not known. Raises `ValidationError`."""
    problems = unread(sent, known, what)
    if problems:
        raise serializers.ValidationError(problems)


def _require_nothing(request: Request) -> None:
    """Refuse whatever a call is sent that takes no body, in any form. Raises `ValidationError`."""
    request.parsers = [BoundedJSONParser(), FormParser(), MultiPartParser()]
    body = request.data
    if isinstance(body, Mapping):
        require_known(body, {}, "field")
    elif body:
        raise serializers.ValidationError(
            {api_settings.NON_FIELD_ERRORS_KEY: ["This call takes no fields: leave the body out."]}
        )


def unread(sent: Mapping[Any, Any], known: Known, what: str = "field") -> dict[str, list[str]]:
    """Return what would be overlooked in what was sent, by name, each with a sentence; `what` is the word for a name.

    That is what is not known, and all but the last value of what can be sent once.
    """
    return dict(islice(_overlooked(sent, known, what), MOST_TOLD))


def _overlooked(sent: Mapping[Any, Any], known: Known, what: str) -> Iterator[tuple[str, list[str]]]:
    is_form = hasattr(sent, "getlist")
    for name in map(str, sent):
        base = name.partition("[")[0].partition(".")[0] if is_form else name  # as in texts[0]
        if base not in known and name not in {*known, FORM_TOKEN}:
            yield name[:LONGEST_NAME], [_not_known(name, known, what)]
        elif is_form and not known.get(name, True) and len(sent.getlist(name)) > 1:  # type: ignore[attr-defined]
            yield name, ["Send this once: only one value can be used."]


def _not_known(name: str, known: Known, what: str) -> str:
    if not known:
        return f"This is no {what}: the call takes none."
    close = get_close_matches(name[:LONGEST_NAME], known, n=1)
    meant = f" Did you mean {close[0]}?" if close else ""
    return f"This is no {what}.{meant} There are: {', '.join(known)}."


class RequestSerializer(serializers.Serializer):
    """What a request says. A field that it does not have, or that only an answer has, is refused."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the values. Raises `ValidationError` that names all fields that cannot be used."""
        writable = {name: isinstance(one, SEVERAL) for name, one in self.fields.items() if not one.read_only}
        problems = unread(data, writable) if isinstance(data, Mapping) else {}
        for name in problems.keys() & self.fields.keys() - writable.keys():
            problems[name] = ["This is for the platform to set."]
        for one in self.fields.values():
            if isinstance(one, serializers.ChoiceField):
                words = ", ".join(map(str, one.choices))
                one.error_messages["invalid_choice"] = f'"{{input}}" cannot be used. Choose from: {words}.'
        try:
            values = super().to_internal_value(data)
        except serializers.ValidationError as error:
            raise serializers.ValidationError({**error.detail, **problems}) from error  # type: ignore[dict-item]
        if problems:
            raise serializers.ValidationError(problems)
        return values


class _SaysSo(OpenApiSerializerExtension):
    """Tells in the description of a request that it has no other fields."""

    target_class = RequestSerializer
    match_subclasses = True

    def map_serializer(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        """Return the description."""
        found: dict[str, Any] = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        return {**found, "additionalProperties": False} if direction == "request" else found


def _of_parameter(one: Any) -> Iterable[tuple[str, bool]]:
    if isinstance(one, OpenApiParameter):
        return [(one.name, bool(one.many))] if one.location == OpenApiParameter.QUERY else []
    return [(name, isinstance(field, SEVERAL)) for name, field in one().fields.items()]


def _of_list(view: Any) -> dict[str, bool]:
    """Return by what a list is filtered and paged."""
    filters = view.filterset_class.base_filters if getattr(view, "filterset_class", None) else {}
    pages = (view.paginator.cursor_query_param, view.paginator.page_size_query_param)
    return {name: isinstance(one, MultipleChoiceFilter) for name, one in filters.items()} | dict.fromkeys(
        pages, False
    )
