from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from control.models import PlatformStatus
from core.exceptions import BucketError, InvalidRequest, MaintenanceMode
from inference.predict import lookup
from inference.predict.lookup import UnknownModel, _statement, find_served_model
from models_registry.models import Alias, RegisteredModel, TaskType
from tests.factories import ArtifactFactory, RegisteredModelFactory

pytestmark = pytest.mark.django_db


def test_live_model_is_found_with_one_query(django_assert_num_queries) -> None:
    file = ArtifactFactory(sha256="a" * 64)
    ArtifactFactory(model=file.model, kind="torchscript")
    ArtifactFactory()
    find_served_model(file.model.token)
    with django_assert_num_queries(1):
        served = find_served_model(file.model.token)
        assert (served.key, served.sha256) == (file.key, "a" * 64)
        assert (served.model.pk, served.model.name, served.model.is_live) == (
            file.model.pk,
            file.model.name,
            True,
        )
        assert served.model.task_type == file.model.task_type
    assert served.model.classes == file.model.classes  # comes when it is asked for


@pytest.mark.parametrize(
    ("pays", "may", "task_type", "expected"),
    [
        (True, True, TaskType.IMAGE, "onnx-int8"),
        (True, True, TaskType.TEXT, "onnx"),  # only its weights are smaller: it is no faster
        (True, False, TaskType.IMAGE, "onnx"),
        (False, True, TaskType.IMAGE, "onnx"),
    ],
)
def test_images_are_answered_in_eight_bits_where_that_is_faster(
    pays: bool, may: bool, task_type: str, expected: str, settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TRAINYARD = settings.TRAINYARD | {"PREDICT_IN_EIGHT_BITS": may}
    monkeypatch.setattr(lookup, "eight_bits_pay", lambda folder: pays)
    model = RegisteredModelFactory(task_type=task_type)
    for kind in ("onnx", "onnx-int8", "torchscript"):
        ArtifactFactory(model=model, kind=kind)
    assert find_served_model(model.token).key.endswith(f"model.{expected}")


@pytest.mark.parametrize("state", ["retired", "deleting", "deleted"])
def test_model_is_gone_from_the_next_question_on(state: str) -> None:
    file = ArtifactFactory()
    find_served_model(file.model.token)
    RegisteredModel.objects.update(state=state)
    with pytest.raises(UnknownModel):
        find_served_model(file.model.token)


def test_model_past_its_expiry_is_gone_although_no_clean_up_has_come_by() -> None:
    file = ArtifactFactory()
    soon, past = timezone.now() + timedelta(minutes=1), timezone.now() - timedelta(milliseconds=1)
    for pinned, expires_at in ((False, soon), (False, None), (True, past)):
        RegisteredModel.objects.update(pinned=pinned, expires_at=expires_at)
        assert find_served_model(file.model.token).model.pk == file.model.pk
        assert RegisteredModel.objects.get().is_serving
    RegisteredModel.objects.update(pinned=False, expires_at=past)
    with pytest.raises(UnknownModel):
        find_served_model(file.model.token)
    assert not RegisteredModel.objects.get().is_serving


def test_project_is_found_with_one_query_by_indexes_alone(django_assert_num_queries) -> None:
    file = ArtifactFactory(sha256="a" * 64)
    project = file.model.project
    Alias.objects.create(project=project, name="candidate", model=file.model)
    with pytest.raises(UnknownModel):
        find_served_model(project.token)
    Alias.objects.create(project=project, name="production", model=file.model)
    with django_assert_num_queries(1):
        served = find_served_model(project.token)
    assert (served.model, served.sha256) == (file.model, "a" * 64)
    sql, parameters = _statement(connection.vendor, True)
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)
        else:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(f"EXPLAIN {sql}", parameters)
        plan = [str(row[-1]) for row in cursor.fetchall()]
    scans = [step for step in plan if "registeredmodel" in step and ("SCAN" in step or "Seq Scan" in step)]
    assert not scans, plan


@pytest.mark.parametrize("token", ["", "<token>", "nothing", "x" * 5000, "é\u202e"])
def test_unknown_token_is_unknown(token: str) -> None:
    ArtifactFactory()
    with pytest.raises(UnknownModel):
        find_served_model(token)


def test_halted_platform_serves_nothing() -> None:
    file = ArtifactFactory()
    PlatformStatus.objects.create(pk=1, dev_mode=True)
    for token in (file.model.token, "nothing"):
        with pytest.raises(MaintenanceMode):
            find_served_model(token)


def test_model_that_cannot_predict_says_why() -> None:
    file = ArtifactFactory()
    RegisteredModel.objects.update(unusable_because="Its file is damaged.")
    with pytest.raises(InvalidRequest, match="damaged"):
        find_served_model(file.model.token)
    with pytest.raises(BucketError, match="no ONNX"):
        find_served_model(RegisteredModelFactory().token)
