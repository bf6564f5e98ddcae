"""ResNets of timm: a stem and four layers of blocks."""

from torch import nn

from .stages import ImageStage
from .timm_images import Pool, TimmFamily

LAYERS = ("layer1", "layer2", "layer3", "layer4")


class ResNet(TimmFamily):
    """Networks with the layers of timm's ResNet."""

    def stages(self, network: nn.Module) -> list[ImageStage]:
        """Return the stem, each layer, and the pool."""
        get = network.get_submodule
        stem = ImageStage(get("conv1"), get("bn1"), get("act1"), get("maxpool"))
        return [stem, *(ImageStage(get(name)) for name in LAYERS), ImageStage(Pool(get("global_pool")))]

    def last_cut(self, stages: int) -> int:
        """Return the cut before the last layer."""
        return stages - 2
