"""Predict from a shell: image files or sentences, or a whole batch of them in one file.

A batch is classified here and now, without a worker; its result is the CSV that a worker would write.
"""

import json
import sys
from pathlib import Path
from typing import Any, TextIO

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.exceptions import TrainyardError
from inference.api.serializers import answer_json
from inference.batches.results import classify, heading, write_lines
from inference.batches.services import open_batch_file
from inference.batches.sources import Source
from models_registry.artifacts import InvalidModel
from models_registry.artifacts.sandbox import AnyPredictor
from models_registry.inputs import DataError
from models_registry.models import TaskType

from ...predict.lookup import find_served_model
from ...predict.services import broken_limits_noted, get_live_model, load_served, predict


class Command(BaseCommand):
    """`manage.py predict TOKEN FILE_OR_TEXT… [--json]` or `predict TOKEN --batch FILE --output FILE`."""

    help = "Classify image files or sentences with a live model."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("token")
        parser.add_argument("inputs", nargs="*", metavar="FILE_OR_TEXT")
        parser.add_argument("--batch", type=Path, metavar="FILE", help="a zip of images or a table of texts")
        parser.add_argument("--output", type=Path, metavar="FILE", help="where a batch's CSV goes")
        parser.add_argument("--column", default="", help="of a table's texts (recognised by its name)")
        parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")

    def handle(self, *args: object, **options: Any) -> None:
        if bool(options["inputs"]) == bool(options["batch"]) or bool(options["batch"]) != bool(
            options["output"]
        ):
            raise CommandError("Give either inputs, or --batch FILE with --output FILE.")
        if options["batch"]:
            self._classify_batch(options)
        else:
            self._classify(options)

    def _classify_batch(self, options: dict[str, Any]) -> None:
        """Write the result to a temporary file and rename it when it is complete."""
        output: Path = options["output"]
        draft = output.with_name(f".{output.name}.part")
        try:
            served = find_served_model(options["token"])
            source = open_batch_file(options["batch"], model=served.model, column=options["column"])
            total = source.count()
            with broken_limits_noted(served.model), draft.open("w", encoding="utf-8", newline="") as file:
                file.write(heading(served.model.task_type))
                unreadable = self._write(file, source, load_served(served), total)
            draft.replace(output)
        except (TrainyardError, DataError, InvalidModel, OSError) as error:
            raise CommandError(str(error)) from error
        finally:
            draft.unlink(missing_ok=True)
        if options["json"]:
            told = {"inputs": total, "unreadable": unreadable, "output": str(output)}
            self.stdout.write(json.dumps(told, ensure_ascii=False))
        else:
            self.stdout.write(f"{total:,} classified into {output}; {unreadable:,} could not be used.")

    def _write(self, file: TextIO, source: Source, predictor: AnyPredictor, total: int) -> int:
        """Write all lines, and on a terminal how far it is; returns how many inputs could not be used."""
        done = unreadable = 0
        for items in source.chunks(0):
            outcomes = list(classify(predictor, items))
            file.write(write_lines(items, outcomes))
            done, unreadable = done + len(items), unreadable + sum(isinstance(one, str) for one in outcomes)
            if sys.stderr.isatty():
                self.stderr.write(f"\r{done:,} of {total:,}", ending="\n" if done == total else "")
        return unreadable

    def _classify(self, options: dict[str, Any]) -> None:
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
