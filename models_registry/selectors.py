"""Questions about models and their files."""

from bucket.factory import get_bucket
from core.exceptions import BucketError
from documents.drift import KnownFiles

from .models import PRODUCTION, Artifact, Project, RegisteredModel


def live_model(token: str) -> RegisteredModel | None:
    """Return the model that answers to a token now; None for one that is unknown, expired or retired.

    A prediction asks more in the same statement: `inference.predict.lookup`.
    """
    model = RegisteredModel.objects.answering_to(token).first()
    return model.under(token) if model is not None else None


def tokens_of(model: RegisteredModel) -> list[str]:
    """Return the tokens that a model answers: its own, and its project's while it is the production version."""
    served = Project.objects.filter(aliases__model=model.pk, aliases__name=PRODUCTION)
    return [model.token, *served.values_list("token", flat=True)]


def production_of(project: Project) -> RegisteredModel | None:
    """Return the version that the project's production alias names, whatever its state; None without one."""
    return RegisteredModel.objects.filter(aliases__project=project, aliases__name=PRODUCTION).first()


def known_files(task_type: str) -> KnownFiles:
    """Return the files that a task's models consist of.

    Those of a model that is being deleted, or whose files are known not to be usable, may be missing.
    """
    artifacts = Artifact.objects.filter(model__task_type=task_type)
    sound = artifacts.filter(
        model__state__in=[RegisteredModel.State.LIVE, RegisteredModel.State.RETIRED],
        model__unusable_because="",
    )
    other = artifacts.exclude(pk__in=sound.values("pk"))
    return KnownFiles(dict(sound.values_list("key", "size")), tuple(other.values_list("key", flat=True)))


def stored_size(artifact: Artifact) -> int | None:
    """Return the bytes that a file has in the bucket; None when it is gone. Raises `BucketError`."""
    try:
        return get_bucket().size(artifact.key)
    except BucketError as error:  # its words name the key
        raise BucketError("The model's file cannot be fetched from the bucket now. Try again.") from error


def missing_files(model: RegisteredModel) -> list[Artifact]:
    """Return a model's files that are gone from the bucket or are not those that were published.

    Raises `BucketError`.
    """
    found = [(artifact, stored_size(artifact)) for artifact in model.artifacts.all()]
    # Of a file of others that was not looked at yet no size is known.
    return [one for one, size in found if size is None or (one.sha256 and size != one.size)]
