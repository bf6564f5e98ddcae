"""One attempt of a worker at an upload: a data set to validate, or more examples for a project."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import structlog
from django.db import transaction
from django.utils import timezone

from core.exceptions import InvalidRequest
from core.text import storable
from work import transitions
from work.attempt import HopelessAttempt

from ..datasets.attempts import ValidationAttempt, fetch_upload, is_as_uploaded, read_in_a_child
from ..datasets.models import Dataset
from ..datasets.outcomes import file_in_other_form
from ..datasets.signals import dataset_ready
from ..engine.data.labelled import FoundExample
from ..engine.data.validation_events import AllExamplesFound, ExamplesFound
from .appending import append_examples, new_examples
from .models import Addition

logger = structlog.get_logger(__name__)


class UploadAttempt(ValidationAttempt):
    """Reads an upload in a child process, and does what it was brought for."""

    def run(self) -> None:
        """Append what is new to the project that the upload is for; else make it a data set."""
        additions = Addition.objects.filter(validation=self.work)
        addition = additions.select_related("project", "author").first()
        if addition is None:
            super().run()
            return
        path = fetch_upload(self.work, self.folder, self.heartbeat)
        try:
            self._append(addition, path)
        except InvalidRequest as error:
            raise HopelessAttempt(storable(error)) from error

    def _append(self, addition: Addition, path: Path) -> None:
        """Append what is new and end the work, both or neither. Raises `InvalidRequest`, `StaleAttempt`."""
        examples, end = self._listed(path)
        found = new_examples(addition.project, examples, addition.source)
        if not found.new:
            raise InvalidRequest(_nothing_new(len(examples), end))
        kept: AbstractContextManager[dict[str, str | int]] = nullcontext({})
        if not is_as_uploaded(path):
            kept = file_in_other_form(self.work, path)
        read, shard = len(examples) + end.unreadable_count, self.work.dataset
        with kept as file, transaction.atomic():
            transitions.succeed(
                self.work, done=read, total=read
            )  # first: who deletes the upload locks it first
            edit = append_examples(
                project=addition.project,
                author=addition.author,
                shard=shard,
                new=found.new,
                source=addition.source,
            )
            Addition.objects.filter(pk=addition.pk).update(
                edit=edit, known=len(examples) - edit.examples, unreadable=end.unreadable_count
            )
            Dataset.objects.filter(pk=shard.pk).update(
                state=Dataset.State.READY,
                columns=end.columns,
                classes=sorted({one.label for one in examples}),
                examples=len(examples),
                updated_at=timezone.now(),
                **file,
            )
            dataset_ready.send(sender=Dataset, dataset_id=shard.pk)
        logger.info("examples.taken_in", addition=addition.pk, examples=edit.examples)

    def _listed(self, path: Path) -> tuple[list[FoundExample], AllExamplesFound]:
        """Return every example of the upload, and the end of the list. Raises `HopelessAttempt`, `ReaderDied`."""
        examples: list[FoundExample] = []
        *some, end = read_in_a_child(self.work, path, self.heartbeat, "examples")
        for one in some:
            assert isinstance(one, ExamplesFound)
            examples += one.examples
        assert isinstance(end, AllExamplesFound)
        return examples, end


def _nothing_new(readable: int, end: AllExamplesFound) -> str:
    """Return why an upload adds nothing, in words for who brought it."""
    if readable:
        return f"The project has all its {readable:,} examples already."
    name, reason = end.unreadable[0] if end.unreadable else ("", "")
    return f"It has no labelled example that can be read. {f'The first: {name} ({reason}).' if name else ''}".strip()
