"""Celery tasks: messages carry an evaluation's id only."""

from celery import Task

from core.queue.app import app

from .models import RUN_EVALUATION


@app.task(bind=True, name=RUN_EVALUATION, ignore_result=True)
def run_evaluation(self: Task, evaluation_id: int) -> None:
    """Run the evaluation whose turn it is."""
    from work.attempt import run_next

    from .attempts import EvaluationAttempt

    run_next(EvaluationAttempt, evaluation_id, self.request)
