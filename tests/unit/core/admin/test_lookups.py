"""Filters, dates and the search of the admin tell nothing that the pages hide, and cost one look at an index."""

from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import Model
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from accounts.roles import OPERATOR, VIEWER
from core.admin.lookups import NamedLookups, parameters_of
from inference.batches.models import Batch
from models_registry.models import RegisteredModel
from tests.factories import DatasetFactory, RegisteredModelFactory, TrainingJobFactory, UserFactory
from training.datasets.models import Dataset
from training.jobs.models import TrainingJob

pytestmark = pytest.mark.django_db

LISTS = sorted(admin.site._registry, key=lambda model: model._meta.label)
every_list = pytest.mark.parametrize("model", LISTS, ids=lambda model: model._meta.label)
ASKED = ("", "__regex", "__iregex", "__startswith", "__contains", "__gt", "__in", "__isnull", "__exact")
VALUES = ("(a+", "abc", "-1", "", "0,1", "9" * 30, "9" * 5000, "\x00", "٣", "²", "9999-12-31", "2026-02-31")
SECRETS = (
    *("token__regex", "token__startswith", "token", "token__gt", "identifier__startswith", "key__contains"),
    *(
        "password__regex",
        "owner__password__startswith",
        "user__password__iregex",
        "owner__auth_token__token_key",
    ),
    *(
        "token_key__startswith",
        "digest__regex",
        "auth_token_set__digest__gt",
        "user__auth_token_set__token_key__in",
    ),
    *(
        "model__token__startswith",
        "registered_model__token__regex",
        "artifacts__key__regex",
        "jobs__token__lt",
    ),
    *("entry__startswith", "name__regex", "pk__regex", "id__gt", "created_at__year", "created_at__regex"),
)


def as_(role: str) -> Client:
    person: User = UserFactory(is_staff=True, is_superuser=role == "superuser")
    if role != "superuser":
        person.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(person)
    return client


def address(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def columns(model: type[Model], deep: int = 1) -> Iterator[str]:
    """Yield a model's columns, and those of the rows that it belongs to or has."""
    for field in model._meta.get_fields():
        yield field.name
        if field.is_relation and deep and field.related_model:
            yield from (f"{field.name}__{one}" for one in columns(field.related_model, deep - 1))


@every_list
def test_list_of_the_admin_names_its_lookups(model: type[Model]) -> None:
    assert isinstance(admin.site._registry[model], NamedLookups)


@every_list
def test_no_column_is_asked_about_but_by_the_lists_filters(rf: RequestFactory, model: type[Model]) -> None:
    request = rf.get("/")
    request.user = User(is_superuser=True, is_staff=True, is_active=True)
    ours = admin.site._registry[model]
    filters = {str(one[0] if isinstance(one, tuple) else one) for one in ours.list_filter}
    own = {getattr(one, "parameter_name", "") for one in ours.list_filter}
    for column in columns(model):
        for lookup in ASKED:
            allowed = ours.lookup_allowed(f"{column}{lookup}", "1", request)
            of_filter = column in filters and lookup in ("__exact", "__isnull")
            of_key = lookup == "__exact" and column.endswith("__id")
            assert not allowed or of_filter or of_key or f"{column}{lookup}" in own, f"{column}{lookup}"


@every_list
@pytest.mark.parametrize("role", [VIEWER, OPERATOR, "superuser"])
def test_secrets_are_not_asked_about(role: str, model: type[Model]) -> None:
    client = as_(role)
    alone = not client.get(address(model)).content  # leads to its only row
    for asked in SECRETS:
        answer = client.get(address(model), {asked: "("})
        assert alone or answer.status_code in (400, 403), asked
        assert answer.status_code < 500


@every_list
def test_odd_values_of_every_filter_are_no_fault_of_ours(rf: RequestFactory, model: type[Model]) -> None:
    client, request, ours = as_("superuser"), rf.get("/"), admin.site._registry[model]
    request.user = User(is_superuser=True, is_staff=True, is_active=True)
    tried = [(name, value) for name in parameters_of(ours, request) for value in VALUES]
    passed = [one for one in tried if ours.lookup_allowed(*one, request)]
    passed += [
        (name, value) for name in ("q", "o", "p", "_to_field") for value in ("9" * 30, "9" * 5000, "\x00")
    ]
    for name, value in passed:
        assert client.get(address(model), {name: value}).status_code in (200, 302, 400), (name, value)


def test_filters_dates_and_links_narrow_as_before() -> None:
    owner = UserFactory()
    model, other = RegisteredModelFactory(owner=owner), RegisteredModelFactory(state="retired")
    data = DatasetFactory(owner=owner)
    job = TrainingJobFactory(dataset=data)
    TrainingJobFactory()
    Batch.objects.create(model=model, owner=owner, source_name="a.zip", suffix=".zip", size=1, total=1)
    now = timezone.now()
    client = as_(VIEWER)

    def found(kind: type[Model], **asked: object) -> list[object]:
        answer = client.get(address(kind), asked)
        assert answer.status_code == 200
        return [row.pk for row in answer.context["cl"].result_list]

    assert found(RegisteredModel, state__exact="live") == [model.pk]
    assert found(RegisteredModel, owner__id__exact=owner.pk) == [model.pk]
    assert found(RegisteredModel, state__exact="retired", unusable_because__isempty=1) == [other.pk]
    assert found(RegisteredModel, created_at__lt=f"{now.year}-01-01T00:00:00Z") == []
    assert len(found(RegisteredModel, created_at__gte=f"{now:%Y-%m-%d}T00:00:00Z")) == 2
    assert found(TrainingJob, dataset__id__exact=data.pk) == [job.pk]
    assert found(TrainingJob, owner__id__exact=owner.pk) == [job.pk]
    assert found(TrainingJob, queue="gpu") == []
    assert found(Dataset, owner__id__exact=owner.pk) == [data.pk]
    assert len(found(Batch, owner__id__exact=owner.pk)) == 1
    assert found(Batch, model__task_type__exact="textclassification") == []
    assert len(found(User, groups__id__exact=Group.objects.get(name=VIEWER).pk)) == 1
    assert owner.pk not in found(User, is_staff__exact=1)


@pytest.mark.parametrize(("role", "finds"), [(VIEWER, False), (OPERATOR, True), ("superuser", True)])
def test_token_is_searched_for_by_those_alone_who_see_it(role: str, finds: bool) -> None:
    model, job, client = RegisteredModelFactory(), TrainingJobFactory(), as_(role)
    for row in (model, job):
        answer = client.get(address(type(row)), {"q": row.token})
        assert bool(list(answer.context["cl"].result_list)) is finds
        assert ("whole token" in answer.content.decode()) is finds
        assert list(client.get(address(type(row)), {"q": row.token[:-1]}).context["cl"].result_list) == []


@every_list
def test_search_of_thousands_of_words_is_cut_short(model: type[Model]) -> None:
    assert as_("superuser").get(address(model), {"q": "a " * 5000}, follow=True).status_code == 200


def test_viewer_sees_no_part_of_a_passwords_hash() -> None:
    person = UserFactory()
    algorithm, salt, digest = person.password.split("$")
    page = as_(VIEWER).get(reverse("admin:accounts_user_change", args=[person.pk])).content.decode()
    assert algorithm in page
    assert salt not in page
    assert digest not in page


@every_list
@pytest.mark.parametrize("column", ["", "%00", "pk", "password"])
def test_rows_are_found_by_no_other_column(column: str, model: type[Model]) -> None:
    change = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=["0"])
    assert as_("superuser").get(f"{change}?_to_field={column}").status_code in (302, 400, 403, 404)
