"""Who sees a model's page and has its files, by what state it is in and whose it is."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import Http404
from django.utils import timezone

from accounts.models import User
from inference.access import may_have, may_manage, visible_model
from models_registry.models import Artifact
from tests.factories import RegisteredModelFactory, UserFactory

pytestmark = pytest.mark.django_db


def _operator() -> User:
    user: User = UserFactory(is_staff=True, is_superuser=True)
    return user


def test_a_live_model_is_seen_by_whoever_has_its_token() -> None:
    model = RegisteredModelFactory()
    assert visible_model(AnonymousUser(), model.token) == model


@pytest.mark.parametrize("over", [{"state": "retired"}, {"expires_at": timezone.now() - timedelta(days=1)}])
def test_a_model_that_is_over_is_seen_by_those_alone_who_manage_it(over: dict[str, object]) -> None:
    model = RegisteredModelFactory(**over)
    for stranger in (AnonymousUser(), UserFactory()):
        with pytest.raises(Http404):
            visible_model(stranger, model.token)
    for manager in (model.owner, _operator()):
        assert visible_model(manager, model.token) == model


def test_an_unknown_token_and_a_deleted_model_look_the_same_to_everybody() -> None:
    model = RegisteredModelFactory(state="deleted")
    for token in (model.token, "imageClassification-flowers-0"):
        with pytest.raises(Http404):
            visible_model(_operator(), token)


def test_a_model_is_managed_by_its_owner_and_operators() -> None:
    model, nobodys = RegisteredModelFactory(), RegisteredModelFactory(owner=None)
    assert may_manage(model.owner, model)
    assert may_manage(_operator(), model)
    assert may_manage(_operator(), nobodys)
    assert not may_manage(UserFactory(is_staff=True), model)
    assert not may_manage(AnonymousUser(), nobodys)


@pytest.mark.parametrize(
    ("kind", "downloadable", "manages", "allowed"),
    [
        (Artifact.Kind.ONNX, True, False, True),
        (Artifact.Kind.ONNX, False, False, False),
        (Artifact.Kind.ONNX, False, True, True),
        (Artifact.Kind.EVALUATION, True, False, False),
        (Artifact.Kind.EVALUATION, True, True, True),
    ],
)
def test_files_are_for_those_who_manage_a_model_and_some_for_all(
    kind: str, downloadable: bool, manages: bool, allowed: bool
) -> None:
    model = RegisteredModelFactory(downloadable=downloadable)
    assert may_have(kind, model, manages=manages) is allowed
