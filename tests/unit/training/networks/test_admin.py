"""The admin's page of networks: adding one, its facts and progress, who may do what, and what history keeps."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from accounts.roles import OPERATOR
from devtools.hub_server import HubServer
from tests.factories import HubNetworkFactory, NetworkFetchFactory, UserFactory
from tests.hub_networks import ENCODER, RESNET
from training.networks import services
from training.networks.models import HubNetwork, NetworkFetch

pytestmark = pytest.mark.django_db
LIST, ADD = "/admin/training/hubnetwork/", "/admin/training/hubnetwork/add/"
FORM = {"curated": "", "name": "", "wanted_revision": "main", "fetch": "on"}


@pytest.fixture(autouse=True)
def no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "announce", lambda work: True)


def as_staff(*rights: str, operator: bool = False) -> Client:
    person: User = UserFactory(is_staff=True)
    person.user_permissions.add(*Permission.objects.filter(codename__in=rights))
    if operator:
        person.groups.add(Group.objects.get(name=OPERATOR))
    client = Client()
    client.force_login(person)
    return client


def as_superuser() -> Client:
    client = Client()
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    return client


def words(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def test_recommended_network_is_added_and_fetched() -> None:
    client = as_superuser()
    page = words(client.get(ADD))
    assert "resnet18.a1_in1k (small): apache-2.0, 44.6" in page
    assert "intfloat/multilingual-e5-small (multilingual, small): mit" in page
    assert client.post(ADD, {**FORM, "curated": RESNET}).status_code == 302
    network = HubNetwork.objects.get()
    assert (network.name, network.license) == (RESNET, "apache-2.0")
    assert network.added_by is not None
    assert NetworkFetch.objects.get().requested_by == network.added_by
    history = words(client.get(reverse("admin:training_hubnetwork_history", args=[network.pk])))
    assert "Added" in history


def test_network_can_be_added_without_fetching() -> None:
    assert as_superuser().post(ADD, {**FORM, "name": "resnet34", "fetch": ""}).status_code == 302
    assert HubNetwork.objects.get().name == "timm/resnet34.a1_in1k"
    assert not NetworkFetch.objects.exists()


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({}, "Choose a recommended network, or write the name of another one."),
        ({"name": "resnet34", "curated": RESNET}, "Choose a recommended network, or write the name"),
        ({"name": "minilm"}, "comes with the platform"),
        ({"name": "../etc"}, "is no network of the hub. Write timm/"),
        ({"name": "hf/somebody/here"}, "was added before"),
    ],
)
def test_what_cannot_be_added_is_told(sent: dict[str, str], told: str) -> None:
    HubNetworkFactory(name="hf/somebody/here")
    answer = as_superuser().post(ADD, {**FORM, **sent})
    assert answer.status_code == 200
    assert told in words(answer)
    assert HubNetwork.objects.count() == 1


def test_hubs_refusal_is_told(hub: HubServer) -> None:
    answer = as_superuser().post(ADD, {**FORM, "name": "hf/somebody/else"}, follow=True)
    assert "There is no somebody/else on" in words(answer)
    assert not HubNetwork.objects.exists()


def test_list_shows_progress_and_page_the_remedy() -> None:
    now = timezone.now()
    held = {"state": "running", "lease_expires_at": now, "done": 30_000_000, "total": 60_000_000}
    half = NetworkFetchFactory(network__name="hf/somebody/half", **held).network
    gated = NetworkFetchFactory(state="failed", finished_at=now, message="Accept its licence there.").network
    client = as_superuser()
    assert "50 %, 28.6" in words(client.get(LIST))
    assert 'max="100" value="50" aria-label="50 %' in words(client.get(f"{LIST}{half.pk}/change/"))
    assert "Accept its licence there." in words(client.get(f"{LIST}{gated.pk}/change/"))


def test_list_costs_the_same_for_many(django_assert_max_num_queries: Any) -> None:
    client = as_superuser()
    HubNetworkFactory.create_batch(25)
    with django_assert_max_num_queries(6):
        assert client.get(LIST).status_code == 200


def test_only_who_has_the_right_adds() -> None:
    for client in (as_staff("view_hubnetwork"), as_staff(operator=True)):
        assert client.get(ADD).status_code == 403
        assert client.post(ADD, {**FORM, "curated": RESNET}).status_code == 403
    assert not HubNetwork.objects.exists()
    assert (
        as_staff("view_hubnetwork", "add_hubnetwork").post(ADD, {**FORM, "curated": RESNET}).status_code
        == 302
    )
    assert HubNetwork.objects.count() == 1
    assert not NetworkFetch.objects.exists()  # which is another right


def test_actions_are_carried_out_and_kept_in_history() -> None:
    network = HubNetworkFactory(name=f"hf/{ENCODER}")
    client = as_staff(operator=True)

    def do(action: str) -> str:
        path = reverse(f"admin:training_hubnetwork_{action}", args=[network.pk])
        return words(client.post(path, {"confirmed": "yes"}, follow=True))

    assert "Being fetched." in do("fetch")
    assert "this is for networks that are not here and not being fetched" in do("fetch")
    assert "this is for networks that are not being fetched" in do("remove")
    assert "Cancelled." in do("cancel")
    assert NetworkFetch.objects.get().state == "cancelled"
    assert "Removed." in do("remove")
    assert not HubNetwork.objects.exists()
    told = [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")]
    assert len(told) == 3
