from datetime import timedelta

import pytest
from django.utils import timezone

from control.models import CleanupPolicy
from control.services import use_retention_preset
from documents.publish import publish_waiting
from inference.predict.lookup import find_served_model
from inference.usage.statistics import UsageCount, write_usage
from models_registry.models import RegisteredModel
from models_registry.projects.versions import promote_version
from models_registry.retention import clean_up
from tests.factories import ProjectFactory, RegisteredModelFactory
from tests.unit.models_registry.projects.test_versions import publish

pytestmark = pytest.mark.django_db(transaction=True)
DAY = timedelta(days=1)


def left(model: RegisteredModel) -> timedelta | None:
    model.refresh_from_db()
    return model.time_left


def use(model: RegisteredModel, ago: timedelta = timedelta()) -> None:
    count = UsageCount(last_used_at=timezone.now() - ago)
    count.inputs = 1
    write_usage({(model.pk, (timezone.now() - ago).date()): count})
    model.refresh_from_db()


def test_production_never_expires_and_others_live_thirty_days() -> None:
    project = ProjectFactory()
    first, second = publish(project), publish(project)
    assert left(first) is None
    assert 29 * DAY < left(second) <= 30 * DAY
    promote_version(project=project, version=2)
    assert left(second) is None
    assert 29 * DAY < left(first) <= 30 * DAY, "as if it was last used when it went"


def test_use_lets_a_model_live_on_once_an_hour() -> None:
    model = RegisteredModelFactory(expires_at=timezone.now() + DAY)
    use(model)
    assert 29 * DAY < left(model) <= 30 * DAY
    noted, until = model.last_used_at, model.expires_at
    use(model)
    assert (model.last_used_at, model.expires_at) == (noted, until)
    RegisteredModel.objects.update(last_used_at=timezone.now() - timedelta(hours=2))
    use(model)
    assert model.last_used_at > noted


def test_a_project_may_keep_its_versions_shorter_and_not_longer_than_the_platform() -> None:
    project = ProjectFactory(retention=7 * DAY)
    first, second = publish(project), publish(project)
    assert 6 * DAY < left(second) <= 7 * DAY
    promote_version(project=project, version=2)
    assert 6 * DAY < left(first) <= 7 * DAY
    RegisteredModel.objects.filter(pk=first.pk).update(expires_at=timezone.now() + DAY)
    use(first)
    assert 6 * DAY < left(first) <= 7 * DAY
    project.retention = 90 * DAY
    project.save()
    assert 29 * DAY < left(publish(project)) <= 30 * DAY
    CleanupPolicy.objects.update(retention=None)
    assert 89 * DAY < left(publish(project)) <= 90 * DAY, (
        "the platform keeps models for ever, the project does not"
    )


def test_use_shortens_nothing() -> None:
    far = timezone.now() + 90 * DAY
    kept, forever = RegisteredModelFactory(expires_at=far), RegisteredModelFactory(expires_at=None)
    use(kept)
    use(forever)
    assert (kept.expires_at, forever.expires_at) == (far, None)


def test_public_demo_deletes_all_two_hours_after_birth() -> None:
    use_retention_preset("demo")
    project = ProjectFactory()
    first = publish(project)
    use(first)
    assert timedelta(hours=1) < left(first) <= timedelta(hours=2)
    RegisteredModel.objects.update(expires_at=timezone.now())
    publish_waiting()
    assert clean_up().deleted == [first.token]


def test_clean_up_leaves_what_is_in_production() -> None:
    project = ProjectFactory()
    first, second = publish(project), publish(project)
    RegisteredModel.objects.filter(expires_at__isnull=False).update(expires_at=timezone.now())
    publish_waiting()
    assert clean_up().deleted == [second.token]
    assert find_served_model(project.token).model == first


def test_unknown_preset_lists_the_known() -> None:
    with pytest.raises(ValueError, match="standard, demo"):
        use_retention_preset("mine")
    assert CleanupPolicy.load().retention == 30 * DAY
