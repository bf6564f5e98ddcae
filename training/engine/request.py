"""What goes into a training and what comes out: plain data that crosses a process's border as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from models_registry.artifacts.model_metrics import ModelMetrics, ParityMetrics

from .specs.hyperparameters import Hyperparameters


@dataclass(frozen=True)
class Shard:
    """An upload in which examples of a revision lie: its SHA-256, its file, and how its report read it."""

    sha256: str
    path: str
    columns: dict[str, str] = field(default_factory=dict)
    corrections: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FeatureSource:
    """A file with features that an earlier training computed, and the fingerprint of what computed them."""

    path: str
    fingerprint: str


@dataclass(frozen=True)
class TrainingRequest:
    """One training. `public_id` names the model's files and stands in them; a trainer is not told the token,
    with which a model can be used. Paths are strings; `columns` maps input and label to a table's columns,
    for texts; `corrections` are those with which the data set's report was made.

    `checkpoint_dir` is a folder that may hold what an earlier attempt at the same job left there, and
    that takes this one's checkpoints; "" for none. `limits` overrides fields of `Limits`; `device` is
    torch's name of one, "" for the best there is, several with commas between them to train on all.
    `digests` are the SHA-256 of the network's files that the platform fetched from the hub, by their names there.

    With a `manifest` (a file, see `data.manifest`) its rows are trained on, out of the `shards`; `dataset_sha256` is
    the manifest's then, and the other fields of the data set mean nothing. What `features` have is not computed again.
    """

    public_id: str
    name: str
    task_type: str
    architecture: str
    strategy: str
    dataset_path: str
    dataset_sha256: str
    columns: dict[str, str]
    output_dir: str
    cache_dir: str
    corrections: dict[str, Any] = field(default_factory=dict)
    data_split: str = "70 : 30"
    seed: int = 0
    hyperparameters: Hyperparameters = field(default_factory=Hyperparameters)
    threads: int | None = None
    checkpoint_dir: str = ""
    limits: dict[str, int] = field(default_factory=dict)
    device: str = ""
    digests: dict[str, str] = field(default_factory=dict)
    manifest: str = ""
    shards: tuple[Shard, ...] = ()
    features: tuple[FeatureSource, ...] = ()

    @property
    def devices(self) -> list[str]:
        """Return the devices that are named; a rank trains on each when there are several."""
        return [name.strip() for name in self.device.split(",") if name.strip()]

    def to_json(self) -> dict[str, object]:
        """Return plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` made."""
        shards = tuple(Shard(**shard) for shard in data.get("shards", ()))
        settings = Hyperparameters(**data["hyperparameters"])
        features = tuple(FeatureSource(**source) for source in data.get("features", ()))
        further = {"hyperparameters": settings, "shards": shards, "features": features}
        return cls(**{**data, **further})


@dataclass(frozen=True)
class TrainingResult:
    """A finished training. `accuracy` is percent of the validation part; `artifacts` maps kinds to files in
    the request's output folder; `accuracy_plot` is a base64 PNG; seconds are wall-clock. `examples` names the file
    there that lists what was trained on (see `seen_examples`); `features` the one with
    features that the request did not bring, "" for none; `fingerprint` says what computed them."""

    accuracy: float
    classes: list[str]
    metrics: ModelMetrics
    artifacts: dict[str, str]
    accuracy_plot: str
    parity: ParityMetrics
    phase_seconds: dict[str, float]
    examples: str = ""
    features: str = ""
    fingerprint: str = ""

    def to_json(self) -> dict[str, object]:
        """Return plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` made."""
        return cls(**data)
