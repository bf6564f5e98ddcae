import json
from dataclasses import replace

import pytest

from models_registry.artifacts import InvalidModel, ModelMetadata

METADATA = ModelMetadata(
    public_id="i",
    name="Blumen & <b>$x$</b>",
    task_type="imageclassification",
    architecture="efficientnet lite0",
    strategy="frozen",
    classes=("Gänseblümchen", "🌷"),
    preprocessing={"resize": 240, "crop": 224},
    data_sha256="0" * 64,
    created="2026-01-02T03:04:05+00:00",
    versions={"torch": "2"},
)


def test_metadata_survives_json() -> None:
    assert ModelMetadata.from_json(METADATA.to_json()) == METADATA


def test_fields_of_later_versions_are_ignored() -> None:
    text = json.dumps({**json.loads(METADATA.to_json()), "licence": "MIT"})
    assert ModelMetadata.from_json(text) == METADATA


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", METADATA.to_json().replace("imageclassification", "regression")],
)
def test_damaged_metadata_is_refused(text: str) -> None:
    with pytest.raises(InvalidModel):
        ModelMetadata.from_json(text)


def test_metadata_of_earlier_versions_has_a_token_that_is_not_read() -> None:
    older = json.loads(METADATA.to_json())
    older["token"] = older.pop("public_id")
    metadata = ModelMetadata.from_json(json.dumps(older))
    assert metadata == replace(METADATA, public_id="")
