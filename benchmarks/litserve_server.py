"""The model of the serving benchmark under LitServe: the same code from bytes to label, another server.

Runs in the benchmark's own virtual environment: `litserve_server.py MODEL.onnx PORT WORKERS THREADS`, the
last one of ONNX Runtime, 0 for its own choice.
"""

import sys
from pathlib import Path
from typing import Any

import litserve
from fastapi import Request

from models_registry.artifacts import Prediction, Predictor


class PredictorAPI(litserve.LitAPI):
    """Takes the same form and answers the same JSON as Trainyard."""

    def __init__(self, path: Path, threads: int) -> None:
        super().__init__()
        self.path, self.threads = path, threads

    def setup(self, device: str) -> None:
        """Load the model, once in each worker."""
        self.predictor = Predictor.from_bytes(self.path.read_bytes(), threads=self.threads)

    def decode_request(self, request: Request, **_: Any) -> bytes:
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
    _, model, port, workers, threads = sys.argv
    api = PredictorAPI(Path(model), int(threads))
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=int(workers))
    server.run(port=int(port), generate_client_file=False, log_level="warning")
