"""Registration of a document by its app, once, in its `ready`."""

from functools import partial

from core import periodic

from . import projections
from .publish import bring_into_step


def register(projection: projections.Projection) -> None:
    """Publish and follow the document of a projection from now on; a periodic task keeps both sides in step."""
    projections.add(projection)
    work = partial(bring_into_step, projection.key)
    periodic.register(f"sync {projection.key}", work, may_take=projection.may_take)
