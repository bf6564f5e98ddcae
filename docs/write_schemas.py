"""Write the JSON Schema of each document into docs/schemas, from the models that check them.

`make schemas`; a test fails while the files differ from what this would write.
"""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "platform"))

from documents import schemas  # noqa: E402

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DOCUMENTS = {
    "status": schemas.StatusDocument,
    "cleanup": schemas.CleanupDocument,
    "training": schemas.TrainingDocument,
    "inference": schemas.InferenceDocument,
}


def schema_of(name: str) -> dict[str, Any]:
    """Return a document's schema; keys that it does not name are allowed everywhere."""
    return {"$schema": DIALECT, **DOCUMENTS[name].model_json_schema(by_alias=True)}


def render(name: str) -> str:
    """Return the text of a schema's file."""
    return json.dumps(schema_of(name), indent=2) + "\n"


if __name__ == "__main__":
    for document in DOCUMENTS:
        (ROOT / "docs" / "schemas" / f"{document}.schema.json").write_text(render(document))
