"""Questions about models and their files."""

from documents.drift import KnownFiles

from .models import Artifact, RegisteredModel


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
