"""How live models appear in inference.json."""

from collections.abc import Collection

from documents import keys
from documents.merge import Json, Ownership
from documents.projections import EntriesProjection, News
from documents.schemas import InferenceDocument, read_entry
from documents.serialise import entry_name

from .entries import render_entry
from .import_entries import follow_news
from .models import RegisteredModel
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
    """The live models by token."""

    key = keys.INFERENCE
    schema = InferenceDocument
    ownership = Ownership(followed=FOLLOWED)

    def render(self, tokens: Collection[str] | None) -> dict[str, Json]:
        models = RegisteredModel.objects.live().prefetch_related("artifacts")
        if tokens is None:
            return {model.token: render_entry(model) for model in models.iterator(chunk_size=ROWS_PER_QUERY)}
        chosen = sorted(tokens)
        return {
            model.token: render_entry(model)
            for start in range(0, len(chosen), ROWS_PER_QUERY)
            for model in models.filter(token__in=chosen[start : start + ROWS_PER_QUERY])
        }

    def canonical(self, entry: Json) -> Json:
        return read_entry(entry)

    def has_files(self, token: str) -> bool:
        model = RegisteredModel.objects.filter(token=token).prefetch_related("artifacts").first()
        return model is not None and bool(model.artifacts.all()) and not missing_files(model)

    def without_files(self, tokens: Collection[str]) -> frozenset[str]:
        known = RegisteredModel.objects.filter(
            origin=RegisteredModel.Origin.TRAINED,
            state=RegisteredModel.State.RETIRED,
            retired_by_document=True,
        ).prefetch_related("artifacts")
        chosen = sorted(token for token in tokens if entry_name(token) == token)
        return frozenset(
            model.token
            for start in range(0, len(chosen), ROWS_PER_QUERY)
            for model in known.filter(token__in=chosen[start : start + ROWS_PER_QUERY])
            if missing_files(model)
        )

    def follow(self, news: News) -> dict[str, str]:
        return follow_news(news)
