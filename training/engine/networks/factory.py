"""The families of networks by name."""

from .base import Family
from .efficientnet import EfficientNet
from .hub_texts import HubTexts
from .minilm import MiniLM
from .recurrent import Recurrent
from .resnet import ResNet
from .timm_images import WholeNetwork

FAMILIES: dict[str, Family] = {
    "efficientnet": EfficientNet(),
    "resnet": ResNet(),
    "timm": WholeNetwork(),
    "minilm": MiniLM(),
    "recurrent": Recurrent(),
    "hub": HubTexts(),
}


def get_family(name: str) -> Family:
    """Return a family. Raises ValueError that lists the known ones."""
    try:
        return FAMILIES[name]
    except KeyError:
        raise ValueError(f"There is no family of networks {name!r}. Known: {', '.join(FAMILIES)}.") from None
