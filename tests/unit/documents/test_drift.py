"""Whatever others write into the documents: nothing escapes, the other documents stay in step, switches work."""

import base64
import copy
import hashlib
import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bucket.base import Bucket
from bucket.factory import get_bucket
from control.models import CleanupPolicy, PlatformStatus
from devtools import servers
from documents import keys
from documents.drift import check_document
from documents.models import Document
from documents.projections import get
from documents.publish import publish_waiting
from documents.serialise import DEEPEST, parse_document
from training.jobs.models import TrainingJob

pytestmark = pytest.mark.django_db(transaction=True)

SEED = Path(__file__).parents[2] / "seed"
TABLE = "input,label\nhello,x\nbye,y\nhi,x\nciao,y\n"
NAMED = "training/theirs/table.csv"
numbers = count()

# Values as they stand in JSON, which Python's own writer would not write.
TEXTS = [
    '"\\u0000"',
    '"a\\u0000b"',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '""',
    '"\\ud83d\\ude00"',
    '"\u202e\u0000"',
]
LONG = [json.dumps("é" * 300), json.dumps("x" * 5000), json.dumps("training/" + "x" * 300 + ".csv")]
NUMBERS = [
    "9" * 400,
    "-" + "9" * 400,
    "9" * 5000,
    "1e400",
    "-1e400",
    "1e-400",
    f"1e{'9' * 30}",
    f"0.{'1' * 400}",
]
OTHERS = ["null", "true", "[]", "{}", "0", "-1", "NaN", "[[]]", '{"":{}}', '["x", 1, null]', '"1e400"', "1.5"]
DEEP = ["[" * depth + "]" * depth for depth in (20, 100, 900, 100_000)]
PREFIXES = [
    f'"{key}"' for key in ("training/", "training/theirs", "training/theirs/", "training/training.json")
]
FOLDERS = [f'{{"$ref": {key}, "sha256": "{"0" * 64}", "bytes": 10}}' for key in (*PREFIXES, *TEXTS, *LONG)]
HOSTILE = [*TEXTS, *LONG, *NUMBERS, *OTHERS, *DEEP, *PREFIXES, *FOLDERS]
KEYS = [value for value in (*TEXTS, *LONG, *PREFIXES) if value.startswith('"')]
HERE = "@@here@@"


def training_document() -> dict[str, Any]:
    return {
        **json.loads((SEED / "training.json").read_text()),
        "token": f"textClassification-mood-{next(numbers)}",
        "task_type": "textclassification",
        "num_classes": 2,
        "model": "LSTM",
        "dataset": base64.b64encode(TABLE.encode()).decode(),
        "pretrain_dataset": "scratch",
        "reduce_lr_on_plateau": {"factor": 0.1, "patience": 5, "min_lr": 1e-5},
        "step_lr": {"step_size": 4, "gamma": 0.1},
    }


def referring_document() -> dict[str, Any]:
    digest = hashlib.sha256(TABLE.encode()).hexdigest()
    columns = {"input": "input", "label": "label"}
    reference = {"$ref": NAMED, "sha256": digest, "bytes": len(TABLE), "columns": columns}
    return {**training_document(), "dataset": reference}


def image_document() -> dict[str, Any]:
    return {**training_document(), **json.loads((SEED / "training.json").read_text())}


def seed(key: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SEED / Path(key).name).read_text())
    return found


DOCUMENTS = {
    "table": (keys.TRAINING, training_document),
    "reference": (keys.TRAINING, referring_document),
    "images": (keys.TRAINING, image_document),
    "status": (keys.STATUS, lambda: seed(keys.STATUS)),
    "cleanup": (keys.CLEANUP, lambda: seed(keys.CLEANUP)),
    "inference": (keys.INFERENCE, lambda: seed(keys.INFERENCE)),
}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every value of a document."""
    yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*path, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from places(inner, (*path, number))


def mutated(document: Any, path: tuple[Any, ...], raw: str, *, as_key: bool) -> bytes:
    """Return a document with a value (or the name of one) replaced by a piece of JSON."""
    document = copy.deepcopy(document)
    if not path:
        return raw.encode("utf-8", "surrogatepass")
    inner = document
    for step in path[:-1]:
        inner = inner[step]
    if as_key and isinstance(inner, dict):
        inner[HERE] = inner.pop(path[-1])
    else:
        inner[path[-1]] = HERE
    return json.dumps(document).replace(f'"{HERE}"', raw).encode("utf-8", "surrogatepass")


@st.composite
def hostile(draw: st.DrawFn) -> dict[str, bytes]:
    """Documents by key, one to three of them with up to three hostile places."""
    found: dict[str, bytes] = {}
    for name in draw(st.lists(st.sampled_from(sorted(DOCUMENTS)), min_size=1, max_size=3, unique=True)):
        key, make = DOCUMENTS[name]
        document = make()
        path = draw(st.sampled_from(sorted(places(document), key=repr)))
        as_key = draw(st.booleans())
        raw = draw(st.sampled_from(KEYS if as_key else HOSTILE))
        found[key] = mutated(document, path, raw, as_key=as_key)
    return found


def write(store: Bucket, key: str, body: bytes) -> None:
    store.put(key, body, if_match=store.head(key))


def set_switches(store: Bucket, *, dev_mode: bool, status: str) -> None:
    write(store, keys.STATUS, json.dumps({**seed(keys.STATUS), "dev_mode": dev_mode}).encode())
    write(store, keys.CLEANUP, json.dumps({"status": status}).encode())


def assert_survives(found: dict[str, bytes]) -> None:
    """Write the documents, and check that nothing but themselves has suffered."""
    store = get_bucket()
    write(store, NAMED, TABLE.encode())
    store.delete(keys.TRAINING)
    TrainingJob.objects.all().delete()
    write(store, keys.INFERENCE, json.dumps(seed(keys.INFERENCE)).encode())
    set_switches(store, dev_mode=True, status="active")
    assert set(publish_waiting().values()) == {"clean"}
    set_switches(store, dev_mode=False, status="sleeping")
    for key, body in found.items():
        write(store, key, body)
    for _ in range(2):  # what was rejected once is not stumbled over again
        for key, outcome in publish_waiting().items():
            if outcome == "postponed":
                assert key == keys.TRAINING
                assert PlatformStatus.load().dev_mode
            elif outcome != "clean":
                error = Document.objects.get(key=key).last_error
                assert key in found, f"{key}: {outcome}, {error}"
                assert outcome == "failed"
                assert "Unexpected" not in error
                with pytest.raises(ValueError):
                    parse_document(found[key])
    for key in {keys.STATUS, keys.CLEANUP, keys.INFERENCE} - found.keys():
        assert check_document(key).problems == ()
    if keys.STATUS not in found:
        assert not PlatformStatus.load().dev_mode
    if keys.CLEANUP not in found:
        assert CleanupPolicy.load().status == "sleeping"
    if store.head(keys.TRAINING) is not None and not PlatformStatus.load().dev_mode:
        assert Document.objects.get(key=keys.TRAINING).rejected_because


UNHURRIED = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


@hypothesis_settings(max_examples=25, **UNHURRIED)
@given(found=hostile())
def test_documents_that_others_have_broken(found: dict[str, bytes], bucket: Path) -> None:
    assert_survives(found)


@pytest.mark.long
@hypothesis_settings(max_examples=1000, **UNHURRIED)
@given(found=hostile())
def test_very_many_documents_that_others_have_broken(found: dict[str, bytes], bucket: Path) -> None:
    assert_survives(found)


@pytest.fixture(scope="module")
def s3() -> Iterator[servers.S3Server]:
    with servers.s3_server() as server:
        yield server


@pytest.fixture
def in_s3(s3: servers.S3Server, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    settings.S3_BUCKET, settings.S3_ENDPOINT_URL = s3.bucket, s3.endpoint
    get_bucket.cache_clear()
    yield
    get_bucket.cache_clear()


def assert_unusable(raw: str) -> None:
    """Check that a document with this in the place of its data set is refused with the reason."""
    assert_survives({keys.TRAINING: mutated(training_document(), ("dataset",), raw, as_key=False)})
    reason = Document.objects.get(key=keys.TRAINING).rejected_because
    assert reason.startswith(f"{keys.TRAINING} cannot become a job: ")
    assert "Unexpected" not in reason
    assert len(reason) < 3000


@pytest.mark.servers
def test_data_set_that_names_what_no_bucket_of_a_server_has(in_s3: None) -> None:
    for raw in (*FOLDERS, *DEEP[2:], *NUMBERS[:3]):
        assert_unusable(raw)


def test_training_document_with_a_broken_data_set_is_unusable_with_the_reason(bucket: Path) -> None:
    for raw in (*FOLDERS, *TEXTS, *LONG, *NUMBERS, *OTHERS, *DEEP):
        assert_unusable(raw)


@pytest.mark.parametrize("depth", [2, DEEPEST, DEEPEST + 1, 900])
def test_document_that_can_be_read_can_be_written_again(depth: int, bucket: Path) -> None:
    publish_waiting()
    deep = "[" * (depth - 1) + "]" * (depth - 1)
    (bucket / keys.INFERENCE).write_text(f'{{"theirs": {deep}}}')
    (bucket / keys.STATUS).write_text(json.dumps(seed(keys.STATUS))[:-1] + f', "theirs": {deep}}}')
    expected = "clean" if depth <= DEEPEST else "failed"
    outcomes = publish_waiting()
    assert (outcomes[keys.INFERENCE], outcomes[keys.STATUS]) == (expected, expected)
    assert get(keys.STATUS).key == keys.STATUS
