"""Which network the presets take, and what they say of it."""

import pytest
from django.utils import timezone

from tests.factories import DatasetFactory, HubNetworkFactory
from training.engine.specs.strategies import FINETUNE, FROZEN, SCRATCH, find_strategy
from training.jobs.presets import suitable_network, why_this_network
from training.jobs.services import JobSettings, submit_job

pytestmark = pytest.mark.django_db
TEXT = "textclassification"
SMALL, LARGE = "hf/intfloat/multilingual-e5-small", "hf/intfloat/multilingual-e5-base"


def fetch(*names: str) -> None:
    for name in names:
        HubNetworkFactory(name=name, task_type=TEXT, revision="1", fetched_at=timezone.now())


@pytest.mark.parametrize("strategy", [FROZEN, FINETUNE])
def test_multilingual_encoder_is_taken_for_other_languages(strategy: str) -> None:
    assert suitable_network(TEXT, strategy, "ru").name == "minilm"
    fetch(LARGE)
    assert suitable_network(TEXT, strategy, "ru").name == LARGE
    fetch(SMALL)
    assert suitable_network(TEXT, strategy, "ru").name == SMALL
    for language in ("en", ""):
        assert suitable_network(TEXT, strategy, language).name == "minilm"


def test_training_from_scratch_takes_no_pretrained_network() -> None:
    fetch(SMALL)
    assert suitable_network(TEXT, SCRATCH, "ru").name == "lstm"


def test_presets_say_which_network_they_take() -> None:
    frozen = find_strategy(FROZEN)
    assert "knows English only" in why_this_network(suitable_network(TEXT, FROZEN, "ru"), frozen, "ru")
    fetch(SMALL)
    said = why_this_network(suitable_network(TEXT, FROZEN, "ru"), frozen, "ru")
    assert said == "Takes intfloat/multilingual-e5-small, which knows many languages."
    assert why_this_network(suitable_network(TEXT, FROZEN, "en"), frozen, "en") == ""


def test_job_takes_the_network_that_knows_the_language() -> None:
    fetch(SMALL)
    report = {"samples": {"a": ["Где моя карта"], "b": ["Хочу оплатить"]}}
    dataset = DatasetFactory(task_type=TEXT, report=report, columns={"input": "a", "label": "b"})
    job = submit_job(
        owner=dataset.owner, dataset=dataset, name="Russian", choice=JobSettings(strategy=FROZEN)
    )
    assert job.architecture == SMALL
