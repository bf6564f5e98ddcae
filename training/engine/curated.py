"""Networks of the hub that are worth having: which to take for what, under which licence, how large.

Facts as their pages on the hub state them; bytes are those of model.safetensors. An administrator fetches them
(`training.networks`); what is not listed here can be fetched as well, and says less about itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from models_registry.artifacts.metadata import IMAGE_CLASSIFICATION, TEXT_CLASSIFICATION

SMALL, ACCURATE, MULTILINGUAL = "small", "accurate", "multilingual"  # what a network is good for


@dataclass(frozen=True)
class CuratedNetwork:
    """A network of the hub. `name` is the catalogue's, `bytes` about what has to be fetched.

    `good_for` are `SMALL`, `ACCURATE` and `MULTILINGUAL`; `in_seed` tells that the form of older clients offers it with
    pretrained weights. A network that is multilingual knows about a hundred languages unless `knows` names others.
    """

    name: str
    task_type: str
    license: str
    bytes: int
    knows: str
    good_for: tuple[str, ...] = ()
    in_seed: bool = False

    @property
    def is_multilingual(self) -> bool:
        """Whether it was trained on texts of many languages."""
        return MULTILINGUAL in self.good_for


def _images(
    name: str, terms: str, size: int, knows: str, *good_for: str, in_seed: bool = False
) -> CuratedNetwork:
    return CuratedNetwork(f"timm/{name}", IMAGE_CLASSIFICATION, terms, size, knows, good_for, in_seed)


def _texts(name: str, terms: str, size: int, knows: str, *good_for: str) -> CuratedNetwork:
    return CuratedNetwork(f"hf/{name}", TEXT_CLASSIFICATION, terms, size, knows, good_for)


PHOTOS = "1.3 million photos of a thousand things (ImageNet-1k)"
MORE_PHOTOS = "14 million photos (ImageNet-21k), then ImageNet-1k"

# Of the multilingual ones, the presets take the first that is at hand.
CURATED: tuple[CuratedNetwork, ...] = (
    _images("resnet18.a1_in1k", "apache-2.0", 46_807_446, PHOTOS, SMALL, in_seed=True),
    _images("resnet34.a1_in1k", "apache-2.0", 87_278_950, PHOTOS, in_seed=True),
    _images("mobilenetv2_100.ra_in1k", "apache-2.0", 14_214_862, PHOTOS, SMALL, in_seed=True),
    _images("mobilenetv4_conv_small.e2400_r224_in1k", "apache-2.0", 15_200_000, PHOTOS, SMALL),
    _images("resnet50.a1_in1k", "apache-2.0", 102_500_000, PHOTOS, ACCURATE),
    _images("tf_efficientnetv2_s.in21k_ft_in1k", "apache-2.0", 86_500_000, MORE_PHOTOS, ACCURATE),
    _images("convnext_tiny.in12k_ft_in1k", "apache-2.0", 114_400_000, MORE_PHOTOS, ACCURATE),
    _texts(
        "intfloat/multilingual-e5-small",
        "mit",
        471_000_000,
        "a billion pairs of texts in about a hundred languages",
        MULTILINGUAL,
        SMALL,
    ),
    _texts(
        "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
        "apache-2.0",
        471_000_000,
        "paraphrases in about fifty languages",
        MULTILINGUAL,
        SMALL,
    ),
    _texts(
        "intfloat/multilingual-e5-base",
        "mit",
        1_112_000_000,
        "a billion pairs of texts in about a hundred languages",
        MULTILINGUAL,
        ACCURATE,
    ),
    _texts("BAAI/bge-small-en-v1.5", "mit", 133_500_000, "pairs of English texts", SMALL),
    _texts(
        "sentence-transformers/all-mpnet-base-v2",
        "apache-2.0",
        438_000_000,
        "a billion pairs of English texts",
        ACCURATE,
    ),
)


def find_curated(name: str) -> CuratedNetwork | None:
    """Return what is known of a network; None for one that is not in the list."""
    return next((network for network in CURATED if network.name == name), None)


def seed_networks() -> Sequence[CuratedNetwork]:
    """Return the networks that the form of older clients offers with pretrained weights."""
    return [network for network in CURATED if network.in_seed]
