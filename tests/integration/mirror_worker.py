"""One of many processes that change the registry at once, and the book of what must come of it.

As a program (`python -m tests.integration.mirror_worker`) it takes an order as a line of JSON on its
standard input, says "ready", waits for a line, works, and says as a line of JSON what inference.json has
to hold of its models. The book is kept here, apart from the code that is tested. With the `naive`
publisher it writes the document itself, as one does it without thinking of others. An order of no saves
makes it a console, which evaluates what it is sent.

`MirrorWorker` and `Console` are the test's end of it.
"""

import contextlib
import json
import os
import random
import subprocess
import sys
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
Entry = dict[str, Any]
Book = dict[str, Entry | None]  # token → what its entry must hold; None: there must be none
ENDS_WITHIN = 120.0  # seconds
STEP = 0.01  # by which each worker raises the accuracy of the shared model, each time


@dataclass(frozen=True)
class Order:
    """What a worker is to do: `saves` changes drawn by `seed`; every sixth one is of the `shared` model."""

    name: str
    saves: int
    seed: int
    shared: str = ""
    publisher: str = "trainyard"  # or "naive"


class MirrorWorker:
    """A worker process as a context manager; started at once, told to go by the test."""

    def __init__(self, order: Order, *, env: Mapping[str, str]) -> None:
        self.order = order
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.mirror_worker"],
            cwd=ROOT,
            env={**env, "LOG_LEVEL": "CRITICAL"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.say(json.dumps(asdict(order)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):
                stream.close()

    def say(self, line: str) -> None:
        """Send a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def hear(self, expected: str = "") -> str:
        """Return the worker's next line; AssertionError when it is another one, or none."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().rstrip("\n")
        assert line, f"{self.order.name} ended with {self.process.wait()} (its errors are above)"
        assert expected in ("", line), f"{self.order.name} said {line!r}, not {expected!r}"
        return line

    def report(self) -> Any:
        """Wait for the end, which publishes what waits, and return `{"book": …, "raised": n}`."""
        report = json.loads(self.hear())
        assert self.process.wait(ENDS_WITHIN) == 0
        return report


class Console(MirrorWorker):
    """A process of the platform that answers questions: the models of all its apps are named in it."""

    def __init__(self, *, env: Mapping[str, str]) -> None:
        super().__init__(Order("console", 0, seed=0), env=env)
        self.hear("ready")
        self.say("go")

    def ask(self, expression: str) -> Any:
        """Evaluate an expression there; AssertionError when it raises."""
        self.say(json.dumps(expression))
        answer = json.loads(self.hear())
        assert "error" not in answer, answer["error"]
        return answer["value"]


def let_work(orders: Iterable[Order], *, env: Mapping[str, str]) -> list[Any]:
    """Run one worker for each order, all at once, and return their reports."""
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(MirrorWorker(order, env=env)) for order in orders]
        for worker in workers:
            worker.hear("ready")
        for worker in workers:
            worker.say("go")
        return [worker.report() for worker in workers]


class Work:
    """The changes, by services and by the ORM, and the book of them."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.dice = random.Random(order.seed)
        self.book: Book = {}
        self.raised = 0
        self.models: list[Any] = []
        self.retired: list[Any] = []
        self.made = 0

    def run(self) -> None:
        """Do everything that was ordered. The first model is left as it was made."""
        self.create()
        for number in range(1, self.order.saves):
            if self.order.shared and number % 6 == 0:
                self.raise_shared()
            else:
                self.dice.choice(
                    [self.create, self.create, self.change, self.retire, self.restore, self.delete]
                )()

    def create(self) -> None:
        """Publish a model with two files, as a finished job does."""
        from io import BytesIO

        from bucket.factory import get_bucket
        from models_registry.projects.services import create_project
        from models_registry.projects.versions import ModelDescription, StoredFile, publish_model

        self.made += 1
        token = f"imageClassification-{self.order.name}-{self.made}"
        files = [
            StoredFile(kind, f"imageclassification/{token}/1/model.{ending}", 1, "0" * 64)
            for kind, ending in (("onnx", "onnx"), ("torchscript", "pt"))
        ]
        for file in files:
            get_bucket().save(file.key, BytesIO(b"."))
        accuracy = round(self.dice.uniform(50, 99), 2)
        model = publish_model(
            description=ModelDescription(
                token=token,
                public_id=uuid.uuid4(),
                project_id=create_project(owner=None, task_type="imageclassification", name="Flowers").pk,
                name=f"Model {self.made}",
                owner_id=None,
                task_type="imageclassification",
                architecture="efficientnet lite0",
                strategy="frozen",
                classes=["daisy", token],
                downloadable=bool(self.made % 2),
                accuracy=accuracy,
                accuracy_plot="iVBORw0KGgo=",
                metrics={},
            ),
            files=files,
        )
        self.models.append(model)
        self.note(
            token,
            {
                "task_type": "imageclassification",
                "model_filename": files[1].key,
                "model_filename_onnx": files[0].key,
                "classes": ["daisy", token],
                "downloadable": bool(self.made % 2),
                "accuracy": accuracy,
                "accuracy_plot": "iVBORw0KGgo=",
            },
        )

    def change(self) -> None:
        """Save a model whose switch was changed, as its owner does."""
        if model := self.pick(self.models):
            model.downloadable = not model.downloadable
            model.save()
            self.note(model.token, {**(self.book[model.token] or {}), "downloadable": model.downloadable})

    def retire(self) -> None:
        """Take a model out of service."""
        from models_registry.services import retire_model

        if model := self.pick(self.models):
            retire_model(model=model)
            self.models.remove(model)
            self.retired.append((model, self.book[model.token]))
            self.note(model.token, None)

    def restore(self) -> None:
        """Bring one back."""
        from models_registry.services import restore_model

        if self.retired:
            model, entry = self.retired.pop(self.dice.randrange(len(self.retired)))
            restore_model(model=model)
            self.models.append(model)
            self.note(model.token, entry)

    def delete(self) -> None:
        """Delete a row for good, and its files."""
        from django.db import transaction

        from bucket.factory import get_bucket
        from models_registry.models import AliasMove
        from models_registry.projects.versions import remove_aliases

        if model := self.pick(self.models):
            self.models.remove(model)
            keys = [file.key for file in model.artifacts.all()]
            with transaction.atomic():
                remove_aliases([model.pk])
                AliasMove.objects.filter(project=model.project_id).delete()  # a history keeps its models
                model.delete()
            for key in keys:
                get_bucket().delete(key)
            self.note(model.token, None)

    def raise_shared(self) -> None:
        """Change the row that all workers change; and touch status.json, as a job's start does."""
        from django.db import transaction

        from documents import keys
        from documents.outbox import mark_changed
        from models_registry.models import RegisteredModel

        with transaction.atomic():
            model = RegisteredModel.objects.select_for_update().get(token=self.order.shared)
            model.accuracy += STEP
            model.save()
            mark_changed(keys.STATUS)
        self.raised += 1

    def pick(self, models: list[Any]) -> Any:
        """Draw a model, but not the first one that was made."""
        later = [model for model in models if not model.token.endswith("-1")]
        return self.dice.choice(later) if later else None

    def note(self, token: str, entry: Entry | None) -> None:
        """Write into the book what the document has to hold now."""
        self.book[token] = entry


class NaiveWork(Work):
    """Publishes by reading, changing and writing the document: what the mirror must not do."""

    def note(self, token: str, entry: Entry | None) -> None:
        from django.conf import settings

        from bucket.factory import get_bucket

        super().note(token, entry)
        store: Any = get_bucket()
        first = len(self.book) == 1
        document = json.loads(store.get("inference.json").body)
        if first:
            meet("read", "write")  # with all the others in one place, one of them gets through
        document.pop(token, None)
        if entry is not None:
            document[token] = entry
        body = json.dumps(document).encode()
        if settings.S3_BUCKET:
            store.client.put_object(Bucket=settings.S3_BUCKET, Key="inference.json", Body=body)
        else:
            draft = Path(settings.BUCKET_FOLDER) / f".{self.order.name}.json"
            draft.write_bytes(body)
            draft.replace(Path(settings.BUCKET_FOLDER) / "inference.json")
        if first:
            meet("written", "go on")


def answer_questions() -> None:
    """Evaluate one expression a line, until there are no more."""
    from django.apps import apps

    names = {model.__name__: model for model in apps.get_models()}
    for line in sys.stdin:
        try:
            print(json.dumps({"value": eval(json.loads(line), names)}), flush=True)
        except Exception as error:  # the test's to raise
            print(json.dumps({"error": repr(error)}), flush=True)


def meet(said: str, heard: str) -> None:
    """Tell the test where we are, and wait for it."""
    print(said, flush=True)
    line = sys.stdin.readline().rstrip("\n")
    assert line == heard, line


def main() -> None:
    """Take an order, wait for the start, work, report."""
    order = Order(**json.loads(sys.stdin.readline()))
    sys.path.insert(0, str(ROOT / "platform"))
    import django

    django.setup()
    work = Work(order)
    if order.publisher == "naive":
        from documents import publish

        publish.publish = lambda *_, **__: publish.Outcome.CLEAN  # type: ignore[assignment]
        work = NaiveWork(order)
    from django.db import connection

    connection.ensure_connection()
    meet("ready", "go")
    if not order.saves:
        answer_questions()
        return
    work.run()
    print(json.dumps({"book": work.book, "raised": work.raised}), flush=True)


if __name__ == "__main__":
    assert os.environ.get("DJANGO_SETTINGS_MODULE"), "started by MirrorWorker only"
    main()
