"""Models that came by way of inference.json are looked at, whatever they do."""

import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone

from core.periodic import SomeFailed
from models_registry import checks
from models_registry.artifacts import Predictor
from models_registry.checks import check_imported_models
from models_registry.models import UNCHECKED, Artifact, RegisteredModel
from tests import hostile_models as hostile
from tests.factories import ArtifactFactory, RegisteredModelFactory
from tests.tiny_models import COLOURS, colour_model

pytestmark = pytest.mark.django_db(transaction=True)

CLASSES = ["red", "green", "blue"]


@pytest.fixture(autouse=True)
def strict_limits(settings: Any) -> None:
    settings.TRAINYARD = {
        **settings.TRAINYARD,
        "EXTERNAL_MODEL_SECONDS": 1,
        "EXTERNAL_MODEL_MEMORY_BYTES": 2**28,
    }


def brought(bucket: Path, content: bytes | None, **fields: Any) -> RegisteredModel:
    """A model whose entry and file others wrote, not looked at yet."""
    model = RegisteredModelFactory(
        **{
            "origin": RegisteredModel.Origin.IMPORTED,
            "classes": CLASSES,
            "unusable_because": UNCHECKED,
            **fields,
        }
    )
    artifact = ArtifactFactory(model=model, size=0, sha256="")
    if content is not None:
        path = bucket / artifact.key
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    return model


def reason_of(model: RegisteredModel) -> str:
    model.refresh_from_db()
    return model.unusable_because


def make_due() -> None:
    RegisteredModel.objects.update(checked_at=timezone.now() - timedelta(hours=1))


HOSTILE = {
    **{
        f"external_{name}": (make("secret_key"), "other files")
        for name, make in hostile.EXTERNAL_DATA.items()
    },
    "endless_loop": (hostile.endless_loop(), "longer than"),
    "endless_loop_of_nothing": (hostile.endless_loop(with_nodes=False), "longer than"),
    "memory": (hostile.memory_hog(2**33), "memory"),
    "much_memory": (hostile.memory_hog(2**40), "memory"),
    "memory_when_opened": (hostile.memory_hog(2**30, when_opened=True), ""),
    "operator": (hostile.foreign_operator(), "EPContext"),
    "nul": (hostile.described_with(classes=["nul\x00", "b", "c"]), "NUL"),
    "surrogate": (hostile.described_with(classes=["\ud800", "b", "c"]), "surrogate"),
    "deep": (hostile.with_metadata("[" * 100_000), "cannot be read"),
    "no_numbers": (hostile.not_numbers(), "no probabilities"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_model_is_flagged_with_the_reason(bucket: Path, name: str) -> None:
    content, reason = HOSTILE[name]
    model = brought(bucket, content)
    assert check_imported_models() == 0
    found = reason_of(model)
    assert reason in found
    assert found != UNCHECKED
    assert model.checked_at is not None


def test_tokenizer_that_panics_is_flagged_with_the_reason(bucket: Path) -> None:
    model = brought(bucket, hostile.panicking_tokenizer(), task_type="textclassification")
    assert check_imported_models() == 0
    assert "tokenizer" in reason_of(model)


def test_bad_models_keep_no_other_from_being_looked_at(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Panic(BaseException):
        """As a Rust library's."""

    original = checks._check

    def check(model: RegisteredModel) -> bool:
        if model.pk == panics.pk:
            raise Panic
        return original(model)

    panics = brought(bucket, colour_model())
    folder = brought(bucket, None)
    (bucket / folder.artifacts.get().key).mkdir(parents=True)
    long = brought(bucket, None)
    Artifact.objects.filter(model=long).update(key="imageclassification/" + "x" * 300 + ".onnx")
    good = brought(bucket, colour_model())
    monkeypatch.setattr(checks, "_check", check)
    with pytest.raises(SomeFailed, match="1 of 4 failed"):
        check_imported_models()
    assert reason_of(good) == ""
    for model in (folder, long):
        assert "is not in the bucket" in reason_of(model)
    panics.refresh_from_db()
    assert panics.checked_at is not None, "it is not the first one at the next round again"
    assert check_imported_models() == 0, "none is due"


def test_model_is_looked_at_by_one_process_at_a_time(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = brought(bucket, colour_model())
    assert checks._claim(model)
    assert not checks._claim(model)


def test_model_that_breaks_limits_twice_is_not_opened_again(
    bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = brought(bucket, hostile.endless_loop())
    for _ in range(2):
        check_imported_models()
        make_due()
    model.refresh_from_db()
    assert model.broken_limits == 2
    opened: list[object] = []
    monkeypatch.setattr(checks, "_open", lambda *_: opened.append(1))
    assert check_imported_models() == 0
    assert not opened
    monkeypatch.undo()
    (bucket / model.artifacts.get().key).write_bytes(colour_model())
    make_due()
    assert check_imported_models() == 1, "another file is another model"
    model.refresh_from_db()
    assert model.broken_limits == 0


def test_models_are_opened_in_no_process_of_the_platform(
    bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        pytest.fail("opened here")

    monkeypatch.setattr(Predictor, "from_bytes", never)
    brought(bucket, colour_model())
    assert check_imported_models() == 1


def test_outage_is_no_fault_of_the_models(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = brought(bucket, colour_model())
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(SomeFailed, match="cannot be started"):
        check_imported_models()
    monkeypatch.undo()
    assert reason_of(model) == UNCHECKED
    RegisteredModel.objects.update(checked_at=F("checked_at") - checks.AFTER_OUTAGE)
    assert check_imported_models() == 1


def test_own_model_whose_file_others_replaced_is_external_from_then_on(bucket: Path) -> None:
    from documents import keys
    from documents.publish import publish_waiting

    ours = RegisteredModelFactory(classes=CLASSES)
    ArtifactFactory(model=ours, key=f"imageclassification/{ours.token}/1/model.onnx")
    publish_waiting()
    document = json.loads((bucket / keys.INFERENCE).read_bytes())
    document[ours.token]["model_filename_onnx"] = "imageclassification/theirs.onnx"
    (bucket / "imageclassification").mkdir(exist_ok=True)
    (bucket / "imageclassification/theirs.onnx").write_bytes(colour_model())
    (bucket / keys.INFERENCE).write_text(json.dumps(document))
    publish_waiting()
    ours.refresh_from_db()
    assert ours.origin == RegisteredModel.Origin.TRAINED
    assert ours.is_external
    assert check_imported_models() == 1
    ours.refresh_from_db()
    assert ours.is_external


def test_own_model_that_was_flagged_is_not_looked_at(bucket: Path) -> None:
    flagged = RegisteredModelFactory(unusable_because="It was switched off.", broken_limits=2)
    assert check_imported_models() == 0
    assert reason_of(flagged) == "It was switched off."
    assert list(COLOURS) == CLASSES
