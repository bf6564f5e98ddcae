import base64
import hashlib
import io
import json
import operator
from pathlib import Path
from typing import Any

import pytest
from django.core.files import File
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control.models import PlatformStatus
from documents import keys
from documents.models import Document
from documents.projections import Postponed, Unusable
from documents.publish import publish_waiting
from documents.schemas import TrainingDocument
from tests.factories import RegisteredModelFactory, TrainingJobFactory, UserFactory
from tests.unit.training.engine.data.test_images import archive, picture, two_classes
from training.datasets.models import Dataset
from training.datasets.services import create_dataset
from training.documents import external_jobs
from training.documents.external_jobs import choose_strategy
from training.documents.projections import TrainingProjection
from training.engine.catalogue import get_architecture
from training.engine.data import iter_image_archive
from training.jobs.models import TrainingJob
from training.jobs.services import JobSettings, submit_job
from work import transitions

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "imageClassification-cla-shan-test-ow5o0"
TABLE = "input,label\nhello,x\nbye,y\nhi,x\nciao,y\n"
DOCUMENTS = (keys.STATUS, keys.INFERENCE)
NO_IMAGE = base64.b64encode(b"no image").decode()


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def image_document(**changes: Any) -> dict[str, Any]:
    """A document as Flash writes it, with real images."""
    document = {
        "token": TOKEN,
        "task_type": "imageclassification",
        "num_classes": 2,
        "optimizer": "sgd",
        "learning_rate": "0.01",
        "batch_size": "16",
        "epochs": 20,
        "data_split": "80 : 20",
        "dataset": {
            label: [encoded(picture(number * 9 + 100 * (label == "pizza"), kind)) for number in range(4)]
            for label, kind in (("potpie", "JPEG"), ("pizza", "PNG"))
        },
        "model": "EfficientNet Lite0",
        "pretrain_dataset": "imagenet",
        "reduce_lr_on_plateau": {"factor": "0.1", "patience": "5", "min_lr": 1e-5},
        "step_lr": False,
    }
    return {**document, **changes}


def text_document(**changes: Any) -> dict[str, Any]:
    document = image_document(
        token="textClassification-mood-abc12",
        task_type="textclassification",
        model="LSTM",
        dataset=encoded(TABLE.encode()),
        pretrain_dataset=False,
        reduce_lr_on_plateau=False,
        step_lr={"step_size": 4, "gamma": 0.1},
    )
    return {**document, **changes}


def import_document(document: Any, etag: str = '"1"') -> None:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    external_jobs.import_document(io.BytesIO(content), etag=etag)


def files_in(bucket: Path) -> list[str]:
    """Return everything but the documents, which other changes write."""
    found = (str(path.relative_to(bucket)) for path in bucket.rglob("*") if path.is_file())
    return sorted(key for key in found if not key.startswith(".locks/") and key not in DOCUMENTS)


def assert_nothing_is_left(bucket: Path, temporary: Path, but: tuple[str, ...] = ()) -> None:
    assert not TrainingJob.objects.exists()
    assert not Dataset.objects.exists()
    assert files_in(bucket) == sorted(but)
    assert not list(temporary.iterdir())


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, settings: Any) -> Path:
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "temporary"
    settings.FILE_UPLOAD_TEMP_DIR.mkdir()
    return tmp_path / "temporary"


def test_image_document_becomes_a_queued_job_of_nobodys(bucket: Path, temporary: Path) -> None:
    import_document(image_document())
    job = TrainingJob.objects.select_related("dataset").get()
    assert (job.token, job.name, job.owner, job.state) == (TOKEN, "cla-shan-test", None, "queued")
    assert (job.origin, job.architecture, job.strategy) == ("document", "efficientnet lite0", "finetune")
    assert (job.optimizer, job.learning_rate, job.batch_size, job.epochs) == ("sgd", 0.01, 16, 20)
    assert (job.data_split, job.step_lr) == ("80 : 20", None)
    assert job.reduce_lr_on_plateau == {"factor": 0.1, "patience": 5, "min_lr": 1e-5}
    assert (job.dataset.owner, job.dataset.classes) == (None, ["pizza", "potpie"])
    assert job.dataset.report["classes"] == {"pizza": 4, "potpie": 4}
    assert files_in(bucket) == [job.dataset.key]
    assert not list(temporary.iterdir())


def test_text_document_becomes_a_queued_job(bucket: Path) -> None:
    import_document(text_document())
    job = TrainingJob.objects.select_related("dataset").get()
    assert (job.name, job.architecture, job.strategy) == ("mood", "lstm", "scratch")
    assert (job.reduce_lr_on_plateau, job.step_lr) == (None, {"step_size": 4, "gamma": 0.1})
    assert (bucket / job.dataset.key).read_text() == TABLE


def test_data_set_may_come_after_or_before_everything_else() -> None:
    document = image_document()
    for number, order in enumerate((sorted(document), sorted(document, reverse=True))):
        token = f"imageClassification-x-{number}"
        import_document({key: {**document, "token": token}[key] for key in order}, etag=str(number))
    assert TrainingJob.objects.count() == 2


def test_document_that_was_taken_before_makes_no_second_job(bucket: Path) -> None:
    import_document(image_document())
    import_document(image_document())
    import_document(b"not even read again")
    assert TrainingJob.objects.count() == Dataset.objects.count() == len(files_in(bucket)) == 1


def test_crash_before_the_job_is_made_good_by_the_next_try(
    bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(SystemExit):
        pass

    def die(**_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(external_jobs, "submit_job", die)
        patch.setattr(
            external_jobs, "discard_dataset", lambda dataset: None
        )  # a killed process discards nothing
        with pytest.raises(Killed):
            import_document(image_document())
    assert Dataset.objects.count() == 1
    import_document(image_document())
    assert TrainingJob.objects.count() == Dataset.objects.count() == len(files_in(bucket)) == 1


def test_crash_before_the_data_set_is_noted_leaves_no_second_file(
    bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Dataset, "save", lambda *args, **kwargs: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            import_document(image_document())
    import_document(image_document())
    assert len(files_in(bucket)) == 1


@pytest.mark.parametrize("taken_by", [TrainingJobFactory, RegisteredModelFactory])
def test_token_of_another_is_refused(bucket: Path, taken_by: Any) -> None:
    taken_by(token=TOKEN)
    before = Dataset.objects.count()
    with pytest.raises(Unusable, match="token"):
        import_document(image_document())
    assert Dataset.objects.count() == before
    assert not files_in(bucket)


def refer(bucket: Path, content: bytes, key: str, **changes: Any) -> dict[str, Any]:
    (bucket / key).parent.mkdir(parents=True, exist_ok=True)
    (bucket / key).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return {"$ref": key, "sha256": digest, "bytes": len(content), **changes}


def test_data_set_that_is_only_named_is_fetched(bucket: Path) -> None:
    table = b"Text;intent\nhello;x\nbye;y\nhi;x\nciao;y\n"
    reference = refer(bucket, table, "training/theirs/big.csv", columns={"input": "Text", "label": "intent"})
    import_document(text_document(dataset=reference))
    job = TrainingJob.objects.select_related("dataset").get()
    assert job.dataset.columns == {"input": "Text", "label": "intent"}
    assert job.dataset.key != "training/theirs/big.csv"
    assert (bucket / job.dataset.key).read_bytes() == table


@pytest.mark.parametrize(
    ("key", "changes", "message"),
    [
        ("training/x.csv", {"sha256": "0" * 64}, "SHA-256 is another"),
        ("training/x.csv", {"sha256": "short"}, r"dataset\.sha256"),
        ("training/x.csv", {"bytes": 3}, "more than the 3 bytes"),
        ("training/x.csv", {"$ref": "training/none.csv"}, "no training/none.csv"),
        ("training/x.csv", {"$ref": "training/../status.json"}, "no key below"),
        ("training/x.csv", {"$ref": "/training/x.csv"}, "no key below"),
        ("training/x.csv", {"$ref": "training/training.json"}, "no key below"),
        ("imageclassification/x.csv", {}, "no key below"),
        ("training/x.zip", {}, "no data set for textclassification"),
        ("training/x.pkl", {}, "no data set for textclassification"),
    ],
)
def test_bad_references_are_refused(
    bucket: Path, temporary: Path, key: str, changes: dict[str, Any], message: str
) -> None:
    reference = refer(bucket, TABLE.encode(), key, **changes)
    with pytest.raises(Unusable, match=message):
        import_document(text_document(dataset=reference))
    assert_nothing_is_left(bucket, temporary, but=(key,))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "AlexNet"}, "no model 'AlexNet'"),
        ({"model": "LSTM"}, "lstm is no model for imageclassification"),
        ({"task_type": "regression"}, "task_type"),
        ({"task_type": "textclassification", "model": "LSTM"}, "no data set for textclassification"),
        ({"num_classes": 3}, "num_classes is 3, but the data set has 2"),
        ({"num_classes": "many"}, "num_classes"),
        ({"learning_rate": "NaN"}, "learning_rate"),
        ({"learning_rate": "inf"}, "learning_rate"),
        ({"learning_rate": 1e9}, "learning_rate"),
        ({"learning_rate": None}, "learning_rate"),
        ({"epochs": 10**9}, "epochs"),
        ({"epochs": 2.5}, "epochs"),
        ({"batch_size": 0}, "batch_size"),
        ({"optimizer": "rmsprop"}, "optimizer"),
        ({"data_split": "70 : 20"}, "no split"),
        ({"reduce_lr_on_plateau": True}, "reduce_lr_on_plateau"),
        ({"reduce_lr_on_plateau": {"factor": 7, "patience": 5, "min_lr": 1e-5}}, "factor"),
        ({"reduce_lr_on_plateau": {"factor": 0.1}}, "patience"),
        ({"step_lr": {"step_size": 4, "gamma": "NaN"}}, "gamma"),
        ({"token": "../../etc/passwd"}, "token"),
        ({"token": ""}, "token"),
        ({"token": "x" * 161}, "token"),
        ({"dataset": {"a": [NO_IMAGE] * 3, "b": [NO_IMAGE] * 3}}, "no readable examples"),
        ({"dataset": {"a": [encoded(picture(1)), encoded(picture(2))], "b": [NO_IMAGE] * 3}}, "'b'"),
        ({"dataset": {"a": ["***"], "b": []}}, r"dataset\['a'\]\[0\] is no base64"),
        ({"dataset": {"../a": [NO_IMAGE], "b": []}}, "'../a'"),
        ({"dataset": {}}, "holds no files"),
        ({"dataset": encoded(b"\xff\xfe\x00")}, "no data set for imageclassification"),
    ],
)
def test_bad_documents_become_nothing(
    bucket: Path, temporary: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(Unusable, match=message):
        import_document(image_document(**changes))
    assert_nothing_is_left(bucket, temporary)


@pytest.mark.parametrize("missing", sorted(set(image_document()) - {"pretrain_dataset", "step_lr"}))
def test_missing_keys_are_named(bucket: Path, temporary: Path, missing: str) -> None:
    document = image_document()
    del document[missing]
    if missing == "reduce_lr_on_plateau":
        import_document(document)
        return
    with pytest.raises(Unusable, match=missing):
        import_document(document)
    assert_nothing_is_left(bucket, temporary)


def test_text_table_that_cannot_be_read_says_why(bucket: Path, temporary: Path) -> None:
    with pytest.raises(Unusable, match="row 2, has 3 fields"):
        import_document(text_document(dataset=encoded(b"input,label\na,b,c\n")))
    assert_nothing_is_left(bucket, temporary)


def test_too_large_a_data_set_is_refused(bucket: Path, temporary: Path, settings: Any) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "MAX_DATASET_BYTES": 100}
    with pytest.raises(Unusable, match="100 bytes"):
        import_document(image_document())
    assert_nothing_is_left(bucket, temporary)


def test_maintenance_says_nothing_about_the_document() -> None:
    PlatformStatus.load()
    PlatformStatus.objects.update(dev_mode=True)
    with pytest.raises(Postponed, match="halted"):
        import_document(image_document())
    PlatformStatus.objects.update(dev_mode=False)
    import_document(image_document())
    assert TrainingJob.objects.count() == 1


def test_full_queue_postpones_before_anything_is_read() -> None:
    PlatformStatus.load()
    PlatformStatus.objects.update(queue_while_active=False)
    TrainingJobFactory()
    with pytest.raises(Postponed, match="Submit again"):
        import_document(b"not even read")


def test_two_that_take_in_at_once_make_one_job(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create = external_jobs.create_dataset

    def create_after_the_other(**values: Any) -> Dataset:
        with monkeypatch.context() as patch:
            patch.setattr(external_jobs, "create_dataset", create)
            import_document(image_document())
        return create(**values)

    monkeypatch.setattr(external_jobs, "create_dataset", create_after_the_other)
    import_document(image_document())
    job = TrainingJob.objects.select_related("dataset").get()
    assert Dataset.objects.count() == 1
    assert files_in(bucket) == [job.dataset.key]


def test_errors_do_not_tell_the_values(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Unusable) as caught:
        import_document(image_document(learning_rate="secret", epochs=["secret"]))
    assert "secret" not in str(caught.value)


def test_seeds_sample_is_refused_only_for_its_shortened_images() -> None:
    sample = {"potpie": ["KBkaEII0KxwRVS0fAkM2Jygg..."], "pizza": ["YGRolJicoKSo0NTY3ODk6Q0R..."]}
    with pytest.raises(Unusable, match=r"dataset\['potpie'\]\[0\] is no base64"):
        import_document(image_document(dataset=sample, num_classes=10))


@pytest.mark.parametrize(
    ("model", "pretrained", "strategy"),
    [
        ("efficientnet lite0", "imagenet", "finetune"),
        ("efficientnet lite0", "imagenet-1k", "finetune"),
        ("efficientnet lite0", True, "finetune"),
        ("lstm", "x", "finetune"),
        *(
            (model, pretrained, "scratch")
            for model in ("efficientnet lite0", "mobilenet v2", "gru", "minilm")
            for pretrained in ("scratch", False, None, "", "false")
        ),
    ],
)
def test_strategy_is_what_the_document_says(model: str, pretrained: Any, strategy: str) -> None:
    assert choose_strategy(get_architecture(model), pretrained) == strategy


@pytest.fixture
def no_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only the weights that come as packages are on this machine."""
    monkeypatch.delenv("TRAINYARD_PRETRAINED", raising=False)
    for name in ("TORCH_HOME", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "empty"))


@pytest.mark.usefixtures("no_weights")
@pytest.mark.parametrize("pretrained", ["imagenet", "ImageNet", True])
def test_pretrained_network_without_weights_is_refused_with_the_reason(pretrained: Any) -> None:
    with pytest.raises(Unusable) as refused:
        import_document(image_document(model="ResNet18", pretrain_dataset=pretrained))
    said = str(refused.value)
    assert "pretrain_dataset" in said
    assert "The weights of timm/resnet18" in said
    assert '"scratch"' in said
    assert not Dataset.objects.exists()


def test_weights_of_another_data_set_are_refused_by_name() -> None:
    with pytest.raises(Unusable, match='trained on imagenet, not on "cifar10"'):
        import_document(image_document(pretrain_dataset="CIFAR10"))


@pytest.mark.usefixtures("no_weights")
@pytest.mark.parametrize("pretrained", ["scratch", "Scratch ", False, "", None, ...], ids=str)
def test_every_word_for_scratch_trains_from_scratch(pretrained: Any) -> None:
    document = image_document(model="ResNet18", pretrain_dataset=pretrained)
    if pretrained is ...:
        document = image_document(model="ResNet18")
        del document["pretrain_dataset"]
    import_document(document)
    assert TrainingJob.objects.get().strategy == "scratch"


def document_of(task_type: str, name: str, content: bytes) -> tuple[TrainingJob, bytes]:
    """Return a running job and the document that shows it."""
    owner = UserFactory()
    dataset = create_dataset(
        owner=owner, name="Mine", task_type=task_type, file=File(io.BytesIO(content), name)
    )
    job = submit_job(owner=owner, dataset=dataset, name="Mine", choice=JobSettings())
    claimed = transitions.claim(job, worker="w1")
    assert claimed is not None
    projection = TrainingProjection()
    version = projection.version()
    assert version is not None
    document = b"".join(projection.chunks(version))
    TrainingDocument.model_validate_json(document)
    transitions.fail(claimed, reason="only to end it")
    return claimed, document


def test_our_own_document_comes_back_as_an_equal_job(bucket: Path, tmp_path: Path) -> None:
    files = two_classes() | {"b/x.jpg": picture(5, "JPEG", (300, 200)), "a/broken.jpg": b"no image"}
    job, written = document_of("imageclassification", "d.zip", archive(tmp_path, files).read_bytes())
    document = json.loads(written)
    assert NO_IMAGE not in document["dataset"]["a"]
    TrainingProjection().import_document(
        io.BytesIO(json.dumps({**document, "token": "other"}).encode()), etag='"2"'
    )
    taken = TrainingJob.objects.select_related("dataset").get(token="other")

    def contents(dataset: Dataset) -> list[tuple[str, str]]:
        found = iter_image_archive(bucket / dataset.key)
        return sorted((image.label, image.sha256) for image in found if hasattr(image, "sha256"))

    assert contents(taken.dataset) == contents(job.dataset)
    assert (taken.architecture, taken.data_split) == (job.architecture, job.data_split)
    told = operator.attrgetter("optimizer", "learning_rate", "batch_size", "epochs")
    assert told(taken.effective) == told(job.effective)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(
        st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60)
        .map(str.strip)
        .filter(bool),
        min_size=2,
        max_size=8,
        unique=True,
    ),
    number=st.integers(0, 2**60),
)
def test_texts_come_back_as_an_equal_data_set(bucket: Path, texts: list[str], number: int) -> None:
    lines = [json.dumps({"text": f"{text} {label}", "class": label}) for text in texts for label in "xy"]
    job, written = document_of("textclassification", "d.jsonl", "\n".join(lines).encode())
    token = f"textClassification-t-{number}-{TrainingJob.objects.count()}"
    import_document({**json.loads(written), "token": token}, etag=token)
    taken = TrainingJob.objects.select_related("dataset").get(token=token)
    for fact in ("classes", "examples", "task_type"):
        assert getattr(taken.dataset, fact) == getattr(job.dataset, fact)
    for fact in ("classes", "samples", "duplicates"):
        assert taken.dataset.report[fact] == job.dataset.report[fact]


def put(bucket: Path, document: Any) -> Path:
    path = bucket / keys.TRAINING
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def test_reconciling_takes_in_what_lies_in_the_bucket(bucket: Path) -> None:
    path = put(bucket, text_document())
    publish_waiting()
    assert TrainingJob.objects.get().token == "textClassification-mood-abc12"
    assert not path.exists()
    publish_waiting()
    assert TrainingJob.objects.count() == 1


def test_reconciling_leaves_what_cannot_be_a_job_and_says_why(bucket: Path) -> None:
    path = put(bucket, text_document(model="AlexNet"))
    before = path.read_bytes()
    publish_waiting()
    assert path.read_bytes() == before
    assert "AlexNet" in Document.objects.get(key=keys.TRAINING).rejected_because
    assert not TrainingJob.objects.exists()


def test_reconciling_waits_for_room(bucket: Path) -> None:
    path = put(bucket, text_document())
    PlatformStatus.load()
    PlatformStatus.objects.update(queue_while_active=False)
    other = TrainingJobFactory()
    publish_waiting()
    assert path.exists()
    other.delete()
    publish_waiting()
    assert TrainingJob.objects.get().token == "textClassification-mood-abc12"
