"""What a data report holds."""

from dataclasses import asdict, dataclass, field

from ..left_out import LeftOutFiles


@dataclass
class DataReport:
    """What was found; `problems` forbid training, `warnings` do not. Sizes in bytes.

    `leaking` is how many validation examples may expect an exact copy in the training part at a split of 70 : 30, if
    each were drawn on its own. `near_copies` counts the examples beyond the first of each bundle of copies and near
    copies, of the first 100,000; `groups` counts the groups that are named.
    `columns` are a table's, as they were found, "split" only where its parts are used; `thumbnails` are base64
    JPEGs by class. `left_out` has the files of an archive that are no examples: for each reason their number and the
    first names. `validation` is how many examples the data set's own validation part has, when it is used; `test`
    counts those of its test part, which are in no other figure. `language` is that of most texts: its ISO 639
    `code`, its `name` in English and the `share` of texts that are in it (0…1); empty where none is found.
    """

    task_type: str
    bytes: int
    sha256: str
    classes: dict[str, int]
    examples: int
    columns: dict[str, str] = field(default_factory=dict)
    unreadable: list[dict[str, str]] = field(default_factory=list)
    unreadable_count: int = 0
    left_out: list[LeftOutFiles] = field(default_factory=list)
    validation: int = 0
    test: int = 0
    duplicates: int = 0
    conflicting_duplicates: int = 0
    leaking: int = 0
    near_copies: int = 0
    groups: int = 0
    majority_baseline: float = 0.0
    imbalance: float = 1.0
    samples: dict[str, list[str]] = field(default_factory=dict)
    thumbnails: dict[str, list[str]] = field(default_factory=dict)
    language: dict[str, str | float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, object]:
        """Return the report as plain data."""
        return asdict(self)
