"""Follow what others wrote into inference.json: their models, their edits, their removals.

Called with the document's news inside the transaction that remembers the document. A row that has
changed since the two were merged keeps its own value: the next publish writes it out again.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import structlog
from django.db.models import Q
from django.utils import timezone
from pydantic import ValidationError

from core.text import is_storable
from documents.merge import Json
from documents.projections import Edit, News
from documents.schemas import ENTRY_KINDS, parse_date, read_entry

from .artifacts.metadata import TASK_TYPES
from .entries import render_entry, render_project_entry
from .models import UNCHECKED, Artifact, Project, RegisteredModel
from .selectors import production_of
from .tokens import new_token, readable_name

logger = structlog.get_logger(__name__)

State = RegisteredModel.State

TOKEN = re.compile(r"[^\s/\\?#%]{1,160}")  # it has to stand in an address
FILE = re.compile(rf"({'|'.join(TASK_TYPES)})(/[^/\\\x00-\x1f]+)+")
# A model whose entry was removed may have got another token: its files go along with the new entry.
LEFT_BEHIND = Q(model__state=State.RETIRED, model__retired_by_document=True)
FIELDS_OF_FILES = {
    "model_filename": Artifact.Kind.TORCHSCRIPT,
    "model_filename_onnx": Artifact.Kind.ONNX,
    "metadata_filename": Artifact.Kind.METADATA,
}


@dataclass(frozen=True)
class _Described:
    """An entry as columns of a model, and its files by kind."""

    columns: dict[str, object]
    files: dict[str, str]


def follow_news(news: News) -> dict[str, str]:
    """Follow a document's news; returns why brought entries did not become models, "" where they did."""
    for token, ours in news.vanished.items():
        _retire(token, ours)
    for token, edit in news.edited.items():
        if is_storable(edit.fields):
            _follow(token, edit)
    return {
        token: _import(token, entry, is_gone=token in news.without_files)
        for token, entry in news.brought.items()
    }


def _retire(token: str, ours: Json) -> None:
    """Take a model out of service because its entry was removed from the document."""
    model = _locked(token)
    if model is None:
        _withdraw(token, ours)
        return
    if not model.is_live or render_entry(model) != ours:
        return
    model.state, model.retired_at, model.retired_by_document = State.RETIRED, timezone.now(), True
    model.save()
    logger.info("model.vanished", model=model.pk)


def _withdraw(token: str, ours: Json) -> None:
    """Take a project's token out of service because its entry was removed; its versions keep theirs."""
    project = Project.objects.in_service().select_for_update().filter(token=token).first()
    production = production_of(project) if project is not None else None
    if project is None or production is None or render_project_entry(production) != ours:
        return
    project.withdrawn_at = timezone.now()
    project.save()
    logger.info("project.withdrawn", project=project.pk)


def _give_back(token: str) -> bool:
    """Let a project's token answer again because its entry came back; says whether it is a project's."""
    if not _is_possible(token):
        return False
    project = Project.objects.select_for_update().filter(token=token).first()
    if project is not None and project.deleted_at is None and project.withdrawn_at is not None:
        project.withdrawn_at = None
        project.save()
    return project is not None


def _follow(token: str, edit: Edit) -> None:
    """Bring an entry's edited fields into its model; those of a project's entry are put back by the next publish."""
    model = _locked(token)
    if model is None or not model.is_live:
        return
    now = render_entry(model)
    fields = {name: value for name, value in edit.fields.items() if now.get(name) == edit.ours.get(name)}
    described = _describe(fields)
    if any(_file_problem(key, token) for key in described.files.values()):
        return
    for name, value in described.columns.items():
        setattr(model, name, value)
    if described.files or "classes" in fields:
        _await_check(model)
        _replace_files(model, described.files)
    model.save()
    logger.info("model.edited_in_document", model=model.pk, fields=sorted(fields))


def _import(token: str, entry: Any, *, is_gone: bool) -> str:
    """Make (or revive) the model of an entry that others brought; returns what is wrong with it.

    `is_gone` tells that it is one of ours whose files are not in the bucket any more.
    """
    known = _locked(token)
    if known is not None and known.origin == RegisteredModel.Origin.TRAINED:
        return _restore_trained(known, is_gone=is_gone)
    if known is None and _give_back(token):
        return ""  # the entry follows the production version
    problem = _problem(token, entry)
    if problem:
        return problem
    described = _describe(read_entry(entry))
    model = known or RegisteredModel(
        token=token, origin=RegisteredModel.Origin.IMPORTED, name=readable_name(token), version=1
    )
    for name, value in described.columns.items():
        setattr(model, name, value)
    model.state, model.retired_at, model.retired_by_document = State.LIVE, None, False
    _await_check(model)
    if known is None:
        model.project = Project.objects.create(
            token=new_token(model.task_type, model.name), task_type=model.task_type, name=model.name
        )
    model.save()
    _replace_files(model, described.files)
    logger.info("model.imported", model=model.pk, task_type=model.task_type)
    return ""


def _restore_trained(model: RegisteredModel, *, is_gone: bool) -> str:
    """Let a model of ours live again that a document had retired; returns what is wrong with its entry."""
    if is_gone:
        return "The model cannot be restored: its files are not in the bucket any more. Put them back first."
    if model.state == State.RETIRED and model.retired_by_document:
        model.state, model.retired_at, model.retired_by_document = State.LIVE, None, False
        model.save()
    return ""  # otherwise the model was deleted here, and its entry has to go


def _await_check(model: RegisteredModel) -> None:
    """Let a model wait until the files that others named for it have been looked at."""
    model.unusable_because, model.checked_at = UNCHECKED, None
    model.has_outside_files, model.broken_limits = True, 0


def _is_possible(token: str) -> bool:
    """Return whether a database can be asked for a token, which is anything that others have written."""
    return bool(TOKEN.fullmatch(token)) and token.isprintable()


def _locked(token: str) -> RegisteredModel | None:
    if not _is_possible(token):
        return None
    return RegisteredModel.objects.select_for_update().filter(token=token).first()


def _describe(fields: Json) -> _Described:
    """Translate an entry's fields, in today's spelling, into columns."""
    columns: dict[str, object] = {
        name: fields[name]
        for name in ("task_type", "classes", "downloadable", "accuracy", "accuracy_plot")
        if name in fields
    }
    if "created" in fields:
        columns["live_at"] = parse_date(fields["created"])
    return _Described(
        columns, {kind: fields[name] for name, kind in FIELDS_OF_FILES.items() if name in fields}
    )


def _problem(token: str, entry: Any) -> str:
    """Return why an entry cannot be a model; empty when it can."""
    if not TOKEN.fullmatch(token) or not token.isprintable():
        return "The token cannot stand in an address: use up to 160 visible characters, no slash or space."
    return " ".join(_entry_problems(token, entry))


def _entry_problems(token: str, entry: Any) -> Iterator[str]:
    task = entry.get("task_type") if isinstance(entry, dict) else None
    kind = ENTRY_KINDS.get(task) if isinstance(task, str) else None
    if kind is None:
        yield f"`task_type` has to be one of {', '.join(ENTRY_KINDS)}."
        return
    if not is_storable(entry):
        yield "It holds characters that cannot be stored (NUL or half a surrogate pair)."
        return
    try:
        kind.model_validate(entry)
    except ValidationError as error:
        for item in error.errors():
            yield f"{'.'.join(map(str, item['loc']))}: {item['msg']}."
        return
    fields = read_entry(entry)
    if "created" not in fields:
        yield f"created: {entry['created']!r} is no date."
    names = [fields[name] for name in FIELDS_OF_FILES if fields.get(name)]
    if len(set(names)) < len(names):
        yield "The same file is named twice."
    for name in names:
        yield from filter(None, [_file_problem(name, token)])


def _file_problem(key: str, token: str) -> str:
    """Return why a file may not belong to a model: clean-up deletes a model's files."""
    if not key:
        return ""
    if len(key) > 400 or not FILE.fullmatch(key) or ".." in key.split("/") or "." in key.split("/"):
        return f"{key[:100]!r} does not lie below {' or '.join(f'{task}/' for task in TASK_TYPES)}."
    if Artifact.objects.filter(key=key).exclude(Q(model__token=token) | LEFT_BEHIND).exists():
        return f"{key} is a file of another model."
    return ""


def _replace_files(model: RegisteredModel, files: dict[str, str]) -> None:
    for kind, key in files.items():
        model.artifacts.filter(kind=kind).exclude(key=key).delete()
        if key:
            Artifact.objects.filter(LEFT_BEHIND, key=key).exclude(model=model).delete()
            Artifact.objects.get_or_create(
                model=model, kind=kind, key=key, defaults={"size": 0, "sha256": ""}
            )
