"""How live models appear in inference.json, and projects, whose entry is that of their production version."""

from collections.abc import Collection, Iterator
from typing import TypeVar

from django.db.models import Model, Q, QuerySet

from documents import keys
from documents.merge import Json, Ownership
from documents.projections import EntriesProjection, News
from documents.schemas import InferenceDocument, read_entry
from documents.serialise import entry_name

from .entries import render_entry, render_project_entry
from .import_entries import follow_news
from .models import PRODUCTION, Alias, Project, RegisteredModel, production_under
from .selectors import missing_files

FOLLOWED = frozenset(
    {
        "model_filename",
        "model_filename_onnx",
        "metadata_filename",
        "classes",
        "downloadable",
        "accuracy",
        "accuracy_plot",
        "created",
    }
)
ROWS_PER_QUERY = 1000  # databases bound the parameters of a query


class InferenceProjection(EntriesProjection):
    """The live models by token, and the projects that a live model answers for, by theirs."""

    key = keys.INFERENCE
    schema = InferenceDocument
    ownership = Ownership(followed=FOLLOWED)

    def render(self, tokens: Collection[str] | None) -> dict[str, Json]:
        models = RegisteredModel.objects.live().prefetch_related("artifacts")
        aliases = (
            Alias.objects.filter(name=PRODUCTION, model__state=RegisteredModel.State.LIVE)
            .filter(project__in=Project.objects.in_service())
            .select_related("project", "model")
            .prefetch_related("model__artifacts")
        )
        entries = {model.token: render_entry(model) for model in _chosen(models, "token", tokens)}
        for alias in _chosen(aliases, "project__token", tokens):
            entries[alias.project.token] = render_project_entry(alias.model)
        return entries

    def canonical(self, entry: Json) -> Json:
        return read_entry(entry)

    def has_files(self, token: str) -> bool:
        models = RegisteredModel.objects.filter(Q(token=token) | Q(pk=production_under(token)))
        model = models.prefetch_related("artifacts").first()
        return model is not None and bool(model.artifacts.all()) and not missing_files(model)

    def without_files(self, tokens: Collection[str]) -> frozenset[str]:
        known = RegisteredModel.objects.filter(
            origin=RegisteredModel.Origin.TRAINED,
            state=RegisteredModel.State.RETIRED,
            retired_by_document=True,
        ).prefetch_related("artifacts")
        usual = [token for token in tokens if entry_name(token) == token]
        return frozenset(model.token for model in _chosen(known, "token", usual) if missing_files(model))

    def follow(self, news: News) -> dict[str, str]:
        return follow_news(news)


Row = TypeVar("Row", bound=Model)


def _chosen(rows: QuerySet[Row], column: str, names: Collection[str] | None) -> Iterator[Row]:
    """Yield the rows whose column holds one of the names; for None, all."""
    if names is None:
        yield from rows.iterator(chunk_size=ROWS_PER_QUERY)
        return
    ordered = sorted(names)
    for start in range(0, len(ordered), ROWS_PER_QUERY):
        yield from rows.filter(**{f"{column}__in": ordered[start : start + ROWS_PER_QUERY]})
