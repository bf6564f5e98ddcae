"""The model of the serving benchmark under LitServe: the same code from bytes to label, another server.

Runs in the benchmark's own virtual environment: `litserve_server.py MODEL.onnx PORT WORKERS`.
"""

import sys
from pathlib import Path
from typing import Any

import litserve

from models_registry.artifacts import Prediction, Predictor


class PredictorAPI(litserve.LitAPI):
    """Takes the same form and answers the same JSON as Trainyard."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def setup(self, device: str) -> None:
        """Load the model, once in each worker; with a worker a core, one thread each is fastest."""
        self.predictor = Predictor.from_bytes(self.path.read_bytes(), threads=1)

    def decode_request(self, request: Any, **_: Any) -> bytes:
        """Return the bytes of the form's file."""
        content: bytes = request["file"].file.read()
        return content

    def predict(self, x: bytes, **_: Any) -> list[Prediction]:
        """Decode, preprocess, run."""
        return self.predictor.predict([x])

    def encode_response(self, output: list[Prediction], **_: Any) -> dict[str, Any]:
        """Return what Trainyard returns."""
        return {
            "predictions": [
                {
                    "label": one.label,
                    "probability": round(one.probability, 6),
                    "top": [{"label": label, "probability": round(value, 6)} for label, value in one.top],
                }
                for one in output
            ]
        }


if __name__ == "__main__":
    _, model, port, workers = sys.argv
    server = litserve.LitServer(PredictorAPI(Path(model)), accelerator="cpu", workers_per_device=int(workers))
    server.run(port=int(port), generate_client_file=False, log_level="warning")
