"""What a person may do with a model: see it, have its files, manage it."""

from django.contrib.auth.models import AnonymousUser
from django.http import Http404

from accounts.models import User
from models_registry.models import Artifact, RegisteredModel, RegisteredModelQuerySet

SHOWN_STATES = (RegisteredModel.State.LIVE, RegisteredModel.State.RETIRED)
FOR_OWNERS = {Artifact.Kind.EVALUATION}  # it shows examples of the data


def shown_models() -> RegisteredModelQuerySet:
    """Return the models that have a page: live ones, and retired ones until their files are deleted."""
    return RegisteredModel.objects.filter(state__in=SHOWN_STATES)


def visible_model(
    user: User | AnonymousUser, token: str, *, among: RegisteredModelQuerySet | None = None
) -> RegisteredModel:
    """Return a live model to anybody who has its token (or the project's whose production version it is).

    Its owner and operators get also one that is over.

    `among` are `shown_models` with what the caller wants loaded. Raises `Http404`, also for a token that is unknown.
    """
    model = (shown_models() if among is None else among).named(token).first()
    if model is None or not (model.is_serving or may_manage(user, model)):
        raise Http404
    return model.under(token)


def may_manage(user: User | AnonymousUser, model: RegisteredModel) -> bool:
    """Tell whether this person owns the model or is an operator."""
    return isinstance(user, User) and (user.is_operator or model.owner_id == user.pk)


def may_have(kind: str, model: RegisteredModel, *, manages: bool) -> bool:
    """Tell whether those who have the token, or manage the model, may have a file of this kind."""
    return manages or (model.is_serving and model.downloadable and kind not in FOR_OWNERS)
