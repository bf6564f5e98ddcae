"""EfficientNets and MobileNets of timm: a stem, blocks in groups, and a layer on top."""

from torch import nn

from .stages import ImageStage
from .timm_images import Pool, TimmFamily


class EfficientNet(TimmFamily):
    """Networks with the layers of timm's EfficientNet."""

    def stages(self, network: nn.Module) -> list[ImageStage]:
        """Return the stem, each group of blocks, and the top with the pool."""
        get = network.get_submodule
        stem = ImageStage(get("conv_stem"), get("bn1"))
        blocks = [ImageStage(block) for block in get("blocks").children()]
        return [stem, *blocks, ImageStage(get("conv_head"), get("bn2"), Pool(get("global_pool")))]

    def last_cut(self, stages: int) -> int:
        """Return the cut before the last group of blocks."""
        return stages - 2
