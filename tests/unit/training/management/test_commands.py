"""The shell commands: what they make of their options."""

import json
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from core.queue.app import app
from training.jobs.models import TrainingJob
from training.management.commands import worker
from training.management.watching import progress_line

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "send_task", lambda *_, **__: None)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "d.csv"
    path.write_text("text,intent\nhello,x\nbye,y\nhi,x\nciao,y\n")
    return path


def submit(table: Path, *options: str) -> TrainingJob:
    out = StringIO()
    call_command(
        *("submit", "--task", "textclassification", "--data", str(table), "--name", "Mine", "--json"),
        *options,
        stdout=out,
    )
    return TrainingJob.objects.get(pk=json.loads(out.getvalue().splitlines()[-1])["job"])


def test_submit_without_options_is_the_fast_preset(table: Path) -> None:
    job = submit(table)
    assert (job.strategy, job.architecture, job.advanced, job.origin) == ("frozen", "minilm", {}, "shell")
    assert job.dataset.columns == {"input": "text", "label": "intent"}, "recognised"


def test_submit_sets_every_kind_of_setting(table: Path) -> None:
    job = submit(
        table,
        *("--preset", "scratch", "--set", "learning_rate=0.01", "--set", "optimizer=adamw"),
        *(
            "--set",
            "seed=7",
            "--set",
            "augmentation=light",
            "--set",
            "one_cycle=false",
            "--set",
            "priority=3",
        ),
        *("--set", 'reduce_lr_on_plateau={"factor": 0.5, "patience": 2, "min_lr": 0.0001}'),
    )
    assert (job.strategy, job.architecture) == ("scratch", "lstm")
    assert (job.learning_rate, job.optimizer, job.seed, job.priority) == (0.01, "adamw", 7, 3)
    assert job.advanced == {"augmentation": "light", "one_cycle": False}
    assert job.reduce_lr_on_plateau == {"factor": 0.5, "patience": 2, "min_lr": 0.0001}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--set", "learning_rate=NaN"), "learning_rate"),
        (("--set", "learning_rate=fast"), "learning_rate"),
        (("--set", "learning_rate=Infinity"), "learning_rate"),
        (("--set", "speed=9"), "write FIELD=VALUE"),
        (("--set", "epochs"), "write FIELD=VALUE"),
        (("--set", "label_smoothing=0.9"), "label_smoothing"),
        (("--set", "step_lr=3"), "step_lr"),
        (("--model", "resnet18"), "does not classify"),
        (("--preset", "fast", "--strategy", "finetune"), "not allowed with"),
    ],
)
def test_submit_that_cannot_be_used_says_why_and_makes_nothing(
    table: Path, options: tuple[str, ...], words: str
) -> None:
    with pytest.raises(CommandError, match=words):
        submit(table, *options)
    assert not TrainingJob.objects.exists()


@pytest.mark.parametrize(
    ("gpus", "options", "queues", "slots"),
    [
        (0, (), "cpu", "1"),
        (1, (), "cpu,gpu", "1"),
        (4, (), "cpu,gpu", "4"),
        (4, ("--queues", "gpu", "--slots", "2"), "gpu", "2"),
    ],
)
def test_worker_serves_what_its_machine_has(
    monkeypatch: pytest.MonkeyPatch, gpus: int, options: tuple[str, ...], queues: str, slots: str
) -> None:
    given: list[str] = []
    monkeypatch.setattr(worker, "visible_gpus", lambda: gpus)
    monkeypatch.setattr(app, "worker_main", given.extend)
    monkeypatch.setattr(sys, "__stdout__", sys.__stdout__)  # the command silences it for Celery
    call_command("worker", *options)
    assert f"--queues={queues}" in given
    assert f"--concurrency={slots}" in given


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "queued, number 1 in the queue"),
        ({"progress": {"message": "Suspended for maintenance."}}, "queue. Suspended for maintenance."),
        ({"state": "running", "progress": {"phase": "fetch", "message": "Fetching"}}, "fetch Fetching"),
        (
            {
                "state": "running",
                "progress": {
                    "phase": "train",
                    "done": 5,
                    "total": 10,
                    "metrics": {"epoch": 2, "epochs": 4, "loss": 0.5},
                },
            },
            "5/10, epoch 2 of 4, loss 0.5",
        ),
    ],
)
def test_progress_line_says_how_far_a_job_is(fields: dict[str, Any], words: str) -> None:
    assert progress_line(TrainingJob(pk=1, **fields)).endswith(words)
