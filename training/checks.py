"""What of the settings can be found wrong before anybody meets it on a page."""

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from .engine.catalogue import get_architecture


@register
def further_networks_exist(**_: object) -> list[CheckMessage]:
    """Every name in FURTHER_NETWORKS has to be one that the catalogue understands."""
    found: list[CheckMessage] = []
    for name in settings.TRAINYARD["FURTHER_NETWORKS"]:
        try:
            get_architecture(name)
        except ValueError as error:
            hint = (
                "Write timm/<name>.<tag> or hf/<owner>/<name>, as in FURTHER_NETWORKS=timm/resnet50.a1_in1k."
            )
            found.append(Error(f"FURTHER_NETWORKS: {error}", hint=hint, id="training.E001"))
    return found
