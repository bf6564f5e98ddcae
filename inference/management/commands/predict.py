"""Predict from a shell: files for an image model, sentences (or files of lines) for a text model."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.exceptions import TrainyardError
from inference.api.serializers import answer_json
from inference.services import get_live_model, predict
from models_registry.models import TaskType


class Command(BaseCommand):
    """`manage.py predict TOKEN FILE_OR_TEXT… [--json]`."""

    help = "Classify image files or sentences with a live model."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("token")
        parser.add_argument("inputs", nargs="+", metavar="FILE_OR_TEXT")
        parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            is_image = get_live_model(options["token"]).task_type == TaskType.IMAGE
            inputs = [_read(given) if is_image else given for given in options["inputs"]]
            answer = predict(token=options["token"], inputs=inputs)
        except TrainyardError as error:
            raise CommandError(str(error)) from error
        for given, prediction in zip(options["inputs"], answer.predictions, strict=True):
            self.stdout.write(f"{prediction.probability:7.2%}  {prediction.label}  ({given})")
        if options["json"]:
            self.stdout.write(json.dumps(answer_json(answer), ensure_ascii=False))


def _read(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise CommandError(
            f"Cannot read {name}: {error.strerror}. An image model wants image files."
        ) from error
