"""What tests run in processes of their own; imports nothing that a trainer's child should not have."""

import json
import os
import signal
import sys
from multiprocessing.connection import Connection


def tell_modules(connection: Connection) -> None:
    """Send which of the heavy packages are loaded, as a child of the fork server sees it."""
    names = ("django", "torch", "torch._dynamo", "onnxruntime", "matplotlib")
    connection.send_bytes(json.dumps([name for name in names if name in sys.modules]).encode())


def train_and_tell(request: str, fault: str, connection: Connection) -> None:
    """Train, dying at a crash point if one is named; send the result's metrics and the checkpoints told."""
    from training.engine.events import CheckpointEvent
    from training.engine.request import TrainingRequest
    from training.engine.strategies import features
    from training.engine.training import train

    os.environ["FAULT"] = fault
    features.KEEP_EVERY = 0.0
    told = []

    def note(event: object) -> None:
        if isinstance(event, CheckpointEvent):
            told.append([event.epoch, list(event.files)])

    result = train(TrainingRequest.from_json(json.loads(request)), note, should_stop=lambda: False)
    connection.send_bytes(json.dumps({"result": result.to_json(), "checkpoints": told}).encode())


def start_and_wait(request: str) -> None:
    """Start a training, print its process id once it works, and then do nothing."""
    from training.engine.process import TrainerProcess
    from training.engine.request import TrainingRequest

    trainer = TrainerProcess()
    trainer.start(TrainingRequest.from_json(json.loads(request)))
    while trainer.next_event(60) is None:
        pass
    print(trainer.pid, flush=True)
    signal.pause()


if __name__ == "__main__":
    start_and_wait(sys.argv[1])
