"""What people do with data sets and jobs, below every form of asking for it."""

import pytest
from celery import current_app

from core.exceptions import InvalidRequest
from tests.factories import DatasetFactory, RegisteredModelFactory, TrainingJobFactory
from training.models import TrainingJob
from training.services import JobSettings, submit_job

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current_app, "send_task", lambda *_, **__: None)


def submit(**options: object) -> TrainingJob:
    dataset = DatasetFactory()
    defaults = {"owner": dataset.owner, "dataset": dataset, "name": "Flowers", "choice": JobSettings()}
    return submit_job(**{**defaults, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize("token", ["a", "imageClassification-my_flowers-0f", "x" * 160])
def test_token_of_somebody_else_is_kept(token: str) -> None:
    assert submit(token=token, owner=None).token == token


@pytest.mark.parametrize("token", ["", "a/b", "../up", "a b", "ä", "a\n", "x" * 161])
def test_token_that_could_be_no_file_name_is_refused(token: str) -> None:
    with pytest.raises(InvalidRequest, match="letters, digits"):
        submit(token=token)
    assert not TrainingJob.objects.exists()


@pytest.mark.parametrize("factory", [TrainingJobFactory, RegisteredModelFactory])
def test_token_that_is_taken_is_refused(factory: type) -> None:
    factory(token="taken")
    with pytest.raises(InvalidRequest, match="already"):
        submit(token="taken")
