"""A worker's attempt at an evaluation: predict, write down each answer, add them up."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import structlog

from bucket.factory import get_bucket
from bucket.files import WrongFile, download, upload
from core.exceptions import InvalidRequest, LimitExceeded
from inference.batches.results import classify
from inference.batches.sources import IMAGES_AT_ONCE, TEXTS_AT_ONCE, Item
from inference.predict.lookup import find_served_model
from inference.predict.services import broken_limits_noted, load_served
from models_registry.artifacts import InvalidModel, Prediction
from models_registry.inputs import DataError, Limits
from models_registry.models import TaskType
from training.datasets.models import Dataset
from training.engine.data.labelled import read_labelled
from training.engine.data.manifest import Manifest
from training.engine.data.revision import open_images, read_texts
from training.engine.request import Shard
from training.worker.shards import provide_upload
from work import transitions
from work.attempt import Attempt

from .files import answers_key
from .held_out import MOST, classes_now, learnt_by, names_now, out_of_fold, test_part
from .models import Evaluation
from .results import SHOWN, Answered, write_answers
from .statistics import measure

logger = structlog.get_logger(__name__)

Read = Callable[[int], bytes | str]


@dataclass(frozen=True)
class Chosen:
    """Examples to run a version on, and how many of the set were left out.

    `answers` lack the answer. `learnt` counts those that the version has learnt from, `beyond` those beyond `MOST`,
    `unreadable` those that a file's reader could not read. `edit` is the newest edit of the project's examples.
    """

    answers: list[Answered]
    manifest: Manifest
    shards: Sequence[Shard]
    learnt: int = 0
    beyond: int = 0
    unreadable: int = 0
    edit: int = 0


class EvaluationAttempt(Attempt[Evaluation]):
    """Measures a version on the examples that its row names."""

    kind = Evaluation
    hopeless = (DataError, InvalidRequest, InvalidModel, LimitExceeded, WrongFile)

    def run(self) -> None:
        """Answer each example, keep the answers in the bucket, and end the evaluation with the figures."""
        evaluation = self.work
        if evaluation.basis == Evaluation.Basis.OUT_OF_FOLD:
            answers, edit = out_of_fold(evaluation.project, evaluation.model)
            left_out = {}
        else:
            chosen = self._chosen()
            answers, edit = self._answered(chosen), chosen.edit
            unreadable = chosen.unreadable + len(chosen.answers) - len(answers)
            left_out = {"learnt": chosen.learnt, "beyond": chosen.beyond, "unreadable": unreadable}
        if not answers:
            raise InvalidRequest(_nothing(left_out))
        path = self.folder / "answers.parquet"
        write_answers(path, answers)
        key = answers_key(evaluation)
        transitions.succeed(
            evaluation,
            edit=edit,
            done=len(answers),
            total=len(answers),
            figures={**_figures(answers, classes_now(evaluation.model)), **left_out},
            result_key=key,
            result_sha256=upload(path, key),
            result_size=path.stat().st_size,
        )
        logger.info("evaluation.succeeded", evaluation=evaluation.pk, examples=len(answers))

    def tidy(self) -> None:
        """Delete the answers that no row names."""
        key = answers_key(self.work)
        if not Evaluation.objects.filter(pk=self.work.pk, result_key=key).exists():
            get_bucket().delete(key)

    def _chosen(self) -> Chosen:
        evaluation, learnt = self.work, learnt_by(self.work.model)
        found = self._read_file() if evaluation.file else self._read_test_part()
        kept = [row for row, one in enumerate(found.answers) if not learnt.has(one.sha256, one.group)]
        some = sorted(sorted(kept, key=lambda row: found.answers[row].sha256)[:MOST])
        return replace(
            found,
            answers=[found.answers[row] for row in some],
            manifest=_taken(found.manifest, some),
            learnt=len(found.answers) - len(kept),
            beyond=len(kept) - len(some),
        )

    def _read_test_part(self) -> Chosen:
        snapshot = test_part(self.work.project)
        answers = [
            Answered(row.sha256, row.label, "", 0.0, None, row.place, row.pk, row.group, row.text[:SHOWN])
            for row in snapshot.rows
        ]
        return Chosen(
            answers,
            _manifest([row.shard for row in snapshot.rows], answers),
            [self._shard(sha256) for sha256 in sorted({row.shard for row in snapshot.rows})],
            edit=snapshot.edit,
        )

    def _shard(self, sha256: str) -> Shard:
        """Fetch an upload in which examples of the project lie."""
        uploads = Dataset.objects.filter(sha256=sha256, project_examples__project=self.work.project)
        dataset = uploads.defer("report").distinct().first()
        if dataset is None:
            raise InvalidRequest("An upload that the test part lies in is gone.")
        path = self.folder / f"{sha256}{Path(dataset.key).suffix}"
        provide_upload(dataset, path, self.heartbeat.check)
        return Shard(sha256, str(path), dataset.columns, dataset.corrections)

    def _read_file(self) -> Chosen:
        """Fetch and read the labelled file."""
        file = self.work.file
        assert file is not None
        path = self.folder / f"labelled{Path(file.key).suffix}"
        download(file.key, path, sha256=file.sha256, limit=file.size, check=self.heartbeat.check)
        read = read_labelled(path, task_type=self.work.project.task_type)
        answers = [
            Answered(
                *(one.sha256, one.label, "", 0.0, None, one.place),
                text=one.text[:SHOWN],
                offset=one.offset,
                packed=one.packed,
                method=one.method,
            )
            for one in read.examples
        ]
        return Chosen(
            answers,
            _manifest([file.sha256] * len(answers), answers),
            [Shard(file.sha256, str(path), read.columns)],
            unreadable=len(read.unreadable),
        )

    def _answered(self, chosen: Chosen) -> list[Answered]:
        """Run the version on the examples; those that it cannot read are missing."""
        served, check = find_served_model(self.work.model.token), self.heartbeat.check
        names = names_now(self.work.model)
        is_image = self.work.project.task_type == TaskType.IMAGE
        with broken_limits_noted(served.model):
            predictor = load_served(served)
        answers: list[Answered] = []
        with _opened(chosen, is_image=is_image) as read:
            rows, portion = iter(range(len(chosen.answers))), IMAGES_AT_ONCE if is_image else TEXTS_AT_ONCE
            while some := list(islice(rows, portion)):
                check()
                items = [Item(chosen.answers[row].place, read(row)) for row in some]
                with broken_limits_noted(served.model):
                    outcomes = list(classify(predictor, items))
                for row, outcome in zip(some, outcomes, strict=True):
                    if isinstance(outcome, Prediction):
                        answers.append(_with_answer(chosen.answers[row], outcome, names))
                self.heartbeat.tell(done=some[-1] + 1, total=len(chosen.answers))
        return answers


@contextmanager
def _opened(chosen: Chosen, *, is_image: bool) -> Iterator[Read]:
    """Open the uploads; yields what reads an example by its row."""
    if is_image:
        with open_images(chosen.manifest, chosen.shards, Limits()) as read:
            yield read
    else:
        yield read_texts(chosen.manifest, chosen.shards, Limits()).__getitem__


def _manifest(shards: Sequence[str], answers: Sequence[Answered]) -> Manifest:
    nothing, no = [""] * len(answers), [False] * len(answers)
    places, digests, labels = (
        [getattr(one, name) for one in answers] for name in ("place", "sha256", "label")
    )
    return Manifest.of_columns([shards, places, digests, labels, nothing, nothing, nothing, no, no])


def _taken(manifest: Manifest, rows: Sequence[int]) -> Manifest:
    return Manifest.of_columns([[column[row] for row in rows] for column in manifest.columns().values()])


def _with_answer(one: Answered, outcome: Prediction, names: Mapping[str, str]) -> Answered:
    """Return an answer under the classes' names of now; what is said of merged classes is added up."""
    top: dict[str, float] = defaultdict(float)
    for label, probability in outcome.top:
        top[names.get(label, label)] += probability
    predicted = max(top, key=top.__getitem__)
    return replace(one, predicted=predicted, probability=top[predicted], own=top.get(one.label))


def _figures(answers: Sequence[Answered], classes: Sequence[str]) -> dict[str, object]:
    """Return the figures, and the examples of classes that the version does not know: each counts as a mistake."""
    unknown = Counter(one.label for one in answers if classes and one.label not in classes)
    figures = measure(
        [one.label for one in answers],
        [one.predicted for one in answers],
        [one.bundle for one in answers],
    )
    return {**figures, "unknown": dict(unknown.most_common())}


def _nothing(left_out: dict[str, int]) -> str:
    """Return why there was nothing to measure on, in words for the owner."""
    if left_out.get("learnt"):
        return (
            f"The version has learnt from all {left_out['learnt']:,} examples that it was to be measured on. "
            "Bring a labelled file of others, or move others to the test set."
        )
    if left_out.get("unreadable"):
        return "None of the examples can be read. Look at the file."
    return "There is no example to measure on. Bring a labelled file."
