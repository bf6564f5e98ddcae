"""The contract with Flash's clients, call by call; bodies are put together byte by byte, as theirs are."""

import base64
import io
import json
import tracemalloc
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import ANY
from urllib.parse import urlsplit

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client, RequestFactory
from django.utils import timezone

from bucket.factory import get_bucket
from control.models import PlatformStatus
from core.http.flash import first_part
from models_registry.models import RegisteredModel
from models_registry.services import retire_model
from tests.factories import ArtifactFactory, RegisteredModelFactory, TrainingJobFactory
from tests.tiny_models import live_colour_model, picture
from training.datasets.models import Dataset
from training.engine.catalogue import get_architecture
from training.engine.data import take_apart
from training.engine.weights_files import DownloadedFile
from training.jobs.models import TrainingJob
from work import transitions

pytestmark = pytest.mark.django_db

BOUNDARY = b"----WebKitFormBoundary7MA4YWxkTrZu0gW"
NO_SUCH_TOKEN = {"result": "error", "message": "No such token found."}
TRAINING = {
    "result": "error",
    "message": "The model is currently training. Please try again after a few minutes.",
}


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def form(*parts: bytes) -> bytes:
    """A multipart body; each part is its headers, an empty line and its content."""
    return (
        b"".join(b"--" + BOUNDARY + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + BOUNDARY + b"--\r\n"
    )


def field(name: str, content: object) -> bytes:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return f'Content-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + text


def send(call: str, body: bytes, **headers: str) -> Any:
    kind = f"multipart/form-data; boundary={BOUNDARY.decode()}"
    return Client(raise_request_exception=False).post(
        f"/flash/{call}",
        body,
        content_type=kind,
        headers={"Accept": "application/json, text/plain, */*", **headers},
    )


def ask(call: str, content: object) -> Any:
    """What a call answers to a JSON value, which has to come with status 200."""
    response = send(call, form(field("data", content)))
    assert response.status_code == 200, response.content
    assert response["Content-Type"] == "application/json"
    return response.json()


def colours(per_class: int = 6) -> dict[str, list[str]]:
    shades = {
        name: [f"hsl({hue}, 100%, {40 + number}%)" for number in range(per_class)]
        for name, hue in (("red", 0), ("blue", 240))
    }
    return {name: [b64(picture(shade, "JPEG")) for shade in shades[name]] for name in shades}


def train_request(**changes: object) -> dict[str, object]:
    """What Flash's form sends: every number is a text."""
    wishes = {
        "taskName": "My flowers-2",
        "taskType": "imageClassification",
        "modelType": "MobileNet v2",
        "dataSplit": "80 : 20",
        "optimizer": "Adam",
        "learningRate": "0.01",
        "batchSize": "16",
        "epochs": "3",
        "pretrainDataset": "scratch",
        "reduceLrOnPlateau": True,
        "reduceLrOnPlateauFactor": "0.2",
        "reduceLrOnPlateauPatience": "4",
        "reduceLrOnPlateauMinLr": "0.00001",
        "stepLr": False,
        "dataset": colours(),
    }
    return {name: value for name, value in {**wishes, **changes}.items() if value is not None}


def text_request(**changes: object) -> dict[str, object]:
    rows = "".join(f"how are you {number},greeting\ngo away {number},other\n" for number in range(6))
    wishes = {
        "taskName": "Words",
        "taskType": "textClassification",
        "modelType": "LSTM",
        "pretrainDataset": None,
        "reduceLrOnPlateau": False,
        "dataset": b64(f"input,label\n{rows}".encode()),
    }
    return train_request(**{**wishes, **changes})


@pytest.fixture
def training_allowed(settings: Any) -> None:
    settings.FLASH_ALLOW_TRAINING = True


# status --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dev_mode", "runs", "status"),
    [(False, False, "sleeping"), (True, False, "active"), (False, True, "active"), (True, True, "active")],
)
def test_status(dev_mode: bool, runs: bool, status: str) -> None:
    PlatformStatus(dev_mode=dev_mode).save()
    if runs:
        TrainingJobFactory(
            state=TrainingJob.State.RUNNING, lease_expires_at=timezone.now(), started_at=timezone.now()
        )
    response = Client().get("/flash/status")
    assert response.status_code == 200
    assert response.json() == {"result": "success", "status": status}


# check ---------------------------------------------------------------------------------------


def live_model(**fields: object) -> RegisteredModel:
    return RegisteredModelFactory(**{"accuracy": 96.254, "downloadable": False, **fields})


def running_job() -> TrainingJob:
    now = timezone.now()
    return TrainingJobFactory(state=TrainingJob.State.RUNNING, lease_expires_at=now, started_at=now)


def suspended_job() -> TrainingJob:
    job = transitions.claim(TrainingJobFactory(), worker="w1")
    assert job is not None
    transitions.hand_back(job, reason="Suspended for maintenance")
    return job


def cancelling_job() -> TrainingJob:
    job = running_job()
    transitions.cancel(job)
    job.refresh_from_db()
    assert job.state == TrainingJob.State.CANCELLING
    return job


def cancelled_job() -> TrainingJob:
    job = TrainingJobFactory()
    transitions.cancel(job)
    return job


def failed_job() -> TrainingJob:
    return TrainingJobFactory(
        state=TrainingJob.State.FAILED, message="Class “a” has no image.", finished_at=timezone.now()
    )


def retired_model() -> RegisteredModel:
    model = live_model()
    retire_model(model=model)
    return model


def expired_model() -> RegisteredModel:
    return live_model(downloadable=True, expires_at=timezone.now())


@pytest.mark.parametrize(
    ("make", "answer"),
    [
        (
            live_model,
            {
                "result": "success",
                "downloadable": False,
                "taskType": "imageclassification",
                "accuracy": 96.25,
                "accuracyPlot": "iVBORw0KGgo=",
            },
        ),
        (lambda: live_model(downloadable=True), {"downloadable": True, "result": "success"}),
        (TrainingJobFactory, TRAINING),
        (lambda: TrainingJobFactory(announced_at=timezone.now()), TRAINING),
        (running_job, TRAINING),
        (suspended_job, TRAINING),
        (cancelling_job, TRAINING),
        (cancelled_job, {"result": "error", "message": "The training of this model was cancelled."}),
        (
            failed_job,
            {"result": "error", "message": "The training of this model has failed. Class “a” has no image."},
        ),
        (retired_model, NO_SUCH_TOKEN),
        (expired_model, NO_SUCH_TOKEN),
    ],
)
def test_check(make: Any, answer: dict[str, object]) -> None:
    assert ask("check", {"token": make().token}).items() >= answer.items()


@pytest.mark.parametrize("call", ["check", "inference", "download"])
@pytest.mark.parametrize(
    "token", ["imageClassification-x-0", "", None, 3, ["x"], "a\x00b", "\ud800", "x" * 1000]
)
def test_unknown_token_is_the_same_error_everywhere(call: str, token: object) -> None:
    assert ask(call, {"token": token, "input": "x", "format": "onnx"}) == NO_SUCH_TOKEN


@pytest.mark.parametrize("call", ["check", "inference", "download"])
def test_token_of_a_model_past_its_expiry_is_unknown(call: str) -> None:
    assert ask(call, {"token": expired_model().token, "input": "x", "format": "onnx"}) == NO_SUCH_TOKEN


# inference -----------------------------------------------------------------------------------


def test_inference_classifies_an_image() -> None:
    model = live_colour_model()
    for wanted in ("red", "blue"):
        for text in (b64(picture(wanted)), "data:image/jpeg;base64," + b64(picture(wanted, "JPEG"))):
            answer = ask("inference", {"token": model.token, "input": text})
            assert answer == {"result": "success", "prediction": wanted}


@pytest.mark.parametrize("given", ["no base64!", b64(b"no image"), "", 3, None, "\ud800"])
def test_inference_of_what_is_no_image_says_so(given: object) -> None:
    answer = ask("inference", {"token": live_colour_model().token, "input": given})
    assert answer["result"] == "error"
    assert answer["message"]


def test_inference_is_halted_by_maintenance() -> None:
    model = live_colour_model()
    PlatformStatus(dev_mode=True).save()
    answer = ask("inference", {"token": model.token, "input": b64(picture("red"))})
    assert answer["result"] == "error"
    assert "maintenance" in answer["message"]


# download ------------------------------------------------------------------------------------


@pytest.fixture
def downloadable() -> RegisteredModel:
    model = live_colour_model(downloadable=True)
    pt = ArtifactFactory(model=model, kind="torchscript", key=f"{model.task_type}/{model.token}/1/model.pt")
    get_bucket().save(pt.key, io.BytesIO(b"abc"))  # type: ignore[arg-type]
    return model


def address_of(model: RegisteredModel, wanted: str = "onnx") -> str:
    """Where a file can be fetched, as Flash's page is told."""
    answer = ask("download", {"token": model.token, "format": wanted})
    assert answer == {"result": "success", "url": ANY}
    return str(answer["url"])


def fetch(address: str, **headers: str) -> Any:
    return Client().get(urlsplit(address).path, headers=headers)


@pytest.mark.parametrize(("wanted", "ending"), [("pytorch", ".pt"), ("onnx", ".onnx"), ("ONNX", ".onnx")])
def test_download_gives_an_address_whose_last_part_is_the_files_name(
    downloadable: RegisteredModel, wanted: str, ending: str
) -> None:
    address = address_of(downloadable, wanted)
    assert address.startswith("http://testserver/flash/files/")
    name = address.rpartition("/")[2]
    assert name == f"colours-{downloadable.public_id.hex[:8]}{ending}"
    response = fetch(address)
    assert response.status_code == 200
    assert response["Content-Disposition"] == f'attachment; filename="{name}"'
    assert response["Content-Type"] == "application/octet-stream"
    assert len(b"".join(response.streaming_content)) == int(response["Content-Length"])


def test_download_does_not_tell_the_token(downloadable: RegisteredModel) -> None:
    for wanted in ("pytorch", "onnx"):
        address = address_of(downloadable, wanted)
        response = fetch(address)
        told = f"{address} {dict(response.headers)}"
        signed = urlsplit(address).path.split("/")[3].partition(":")[0]
        told += base64.urlsafe_b64decode(signed + "==").decode()
        assert downloadable.token not in told
        assert downloadable.token.rpartition("-")[2] not in told
        assert downloadable.token.encode() not in b"".join(response.streaming_content)


def test_download_of_a_model_named_by_its_token_does_not_tell_it(downloadable: RegisteredModel) -> None:
    RegisteredModel.objects.filter(pk=downloadable.pk).update(token="my-flowers", name="my flowers")
    downloadable.refresh_from_db()
    address = address_of(downloadable)
    assert address.endswith(f"/model-{downloadable.public_id.hex[:8]}.onnx")
    assert fetch(address).status_code == 200


def test_download_address_is_over_after_a_while(downloadable: RegisteredModel, settings: Any) -> None:
    address, lasts = address_of(downloadable), settings.DOWNLOAD_ADDRESS_LASTS
    with time_machine.travel(timezone.now() + lasts - timedelta(seconds=2)):
        assert fetch(address).status_code == 200
    with time_machine.travel(timezone.now() + lasts + timedelta(seconds=2)):
        response = fetch(address)
    assert response.status_code == 410
    assert "Ask for a new one" in response.json()["detail"]


def test_download_address_is_for_one_file_and_cannot_be_changed(downloadable: RegisteredModel) -> None:
    (front, name), other = address_of(downloadable).rsplit("/", 1), address_of(downloadable, "pytorch")
    signed = front.rpartition("/")[2]
    for address in (
        f"{front}/{other.rpartition('/')[2]}",
        f"{front}/x.exe",
        f"{front[:-1]}{'A' if front[-1] != 'A' else 'B'}/{name}",
        f"/flash/files/{signed.partition(':')[0]}/{name}",
        f"/flash/files/x:y:z/{name}",
        f"/flash/files/%FF%00/{name}",
        front,
    ):
        assert fetch(address).status_code == 404, address


@pytest.mark.parametrize(
    "change",
    [
        {"downloadable": False},
        {"state": RegisteredModel.State.RETIRED, "retired_at": timezone.now()},
        {"expires_at": timezone.now()},
    ],
    ids=lambda change: next(iter(change)),
)
def test_download_address_is_over_with_the_right_to_it(
    downloadable: RegisteredModel, change: dict[str, object]
) -> None:
    address = address_of(downloadable)
    RegisteredModel.objects.filter(pk=downloadable.pk).update(**change)
    assert fetch(address).status_code == 404


def test_download_by_a_page_of_another_site_whole_and_in_parts(
    downloadable: RegisteredModel, settings: Any
) -> None:
    settings.CORS_ALLOW_ALL_ORIGINS = False
    settings.CORS_ALLOWED_ORIGINS = ["https://flash.example"]
    path, site = urlsplit(address_of(downloadable, "pytorch")).path, {"Origin": "https://flash.example"}
    preflight = Client().options(
        path,
        headers={
            **site,
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "if-range,range",
        },
    )
    allowed = {name.strip() for name in preflight["Access-Control-Allow-Headers"].split(",")}
    assert {"range", "if-range"} <= allowed
    whole, part = fetch(path, **site), fetch(path, Range="bytes=1-", **site)
    for response in (preflight, whole, part, fetch(path + "x", **site)):
        assert response["Access-Control-Allow-Origin"] == "https://flash.example"
    assert {"content-disposition", "content-length", "content-range", "etag"} <= {
        name.strip() for name in part["Access-Control-Expose-Headers"].split(",")
    }
    assert (part.status_code, b"".join(part.streaming_content)) == (206, b"bc")
    assert "Access-Control-Allow-Origin" not in fetch(path, Origin="https://evil.example")


@pytest.mark.parametrize("wanted", ["pytorch", "onnx", "nonsense"])
def test_download_of_a_model_that_may_not_be(wanted: str) -> None:
    answer = ask("download", {"token": live_colour_model(downloadable=False).token, "format": wanted})
    assert answer == {"result": "error", "message": "This model cannot be downloaded."}


@pytest.mark.parametrize("wanted", ["keras", "", None, 3])
def test_download_of_an_unknown_format(downloadable: RegisteredModel, wanted: object) -> None:
    answer = ask("download", {"token": downloadable.token, "format": wanted})
    assert answer == {"result": "error", "message": "Invalid model format given."}


# train ---------------------------------------------------------------------------------------


def test_train_is_for_people_with_an_account_unless_the_platform_says_otherwise() -> None:
    answer = ask("train", train_request())
    assert answer["result"] == "error"
    assert "FLASH_ALLOW_TRAINING" in answer["message"]
    assert not Dataset.objects.exists()


@pytest.mark.usefixtures("training_allowed")
def test_train_images() -> None:
    answer = ask("train", train_request())
    assert answer == {"result": "success", "token": ANY}
    job = TrainingJob.objects.get(token=answer["token"])
    assert job.token.startswith("imageClassification-my_flowers-2-")
    assert (job.owner, job.state, job.name) == (None, "queued", "My flowers-2")
    assert (job.task_type, job.architecture) == ("imageclassification", "mobilenet v2")
    assert (job.optimizer, job.learning_rate, job.batch_size, job.epochs) == ("adam", 0.01, 16, 3)
    assert (job.data_split, job.strategy) == ("80 : 20", "scratch")
    assert job.reduce_lr_on_plateau == {"factor": 0.2, "patience": 4, "min_lr": 1e-5}
    assert job.step_lr is None
    assert (job.dataset.classes, job.dataset.examples) == (["blue", "red"], 12)
    with get_bucket().open(job.dataset.key) as file, zipfile.ZipFile(io.BytesIO(file.read())) as archive:
        assert archive.read(archive.namelist()[0]) == base64.b64decode(colours()["red"][0])
    assert ask("check", {"token": job.token}) == TRAINING


@pytest.mark.usefixtures("training_allowed")
def test_train_texts_with_what_the_form_left_empty() -> None:
    answer = ask(
        "train",
        text_request(stepLr="true", stepLrStepSize="2", stepLrGamma="", reduceLrOnPlateauFactor=""),
    )
    assert answer["result"] == "success", answer
    job = TrainingJob.objects.get(token=answer["token"])
    assert (job.task_type, job.architecture, job.strategy) == ("textclassification", "lstm", "scratch")
    assert (job.reduce_lr_on_plateau, job.step_lr) == (None, {"step_size": 2, "gamma": 0.1})
    assert sorted(job.dataset.classes) == ["greeting", "other"]


@pytest.mark.usefixtures("training_allowed")
@pytest.mark.parametrize("network", ["MobileNet v2", "ResNet18", "ResNet34"])
def test_train_with_imagenets_weights_needs_them(
    network: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("TRAINYARD_PRETRAINED", "TORCH_HOME", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "weights"))
    wishes = train_request(modelType=network, pretrainDataset="ImageNet")
    message = ask("train", wishes)["message"]
    assert "The weights of timm/" in message
    assert '"scratch"' in message
    assert not TrainingJob.objects.exists()

    weights = get_architecture(network).weights
    assert isinstance(weights, DownloadedFile)
    path = tmp_path / "weights" / weights.checkpoint
    path.parent.mkdir()
    path.touch()
    assert ask("train", wishes)["result"] == "success"
    assert TrainingJob.objects.get().strategy == "finetune"


@pytest.mark.usefixtures("training_allowed")
@pytest.mark.parametrize(
    ("heading", "named"),
    [
        ("input,kind", "There is no column 'label'. The table has: 'input', 'kind'."),
        ("sound,label", "There is no column 'input'. The table has: 'sound', 'label'."),
        ("input", "There is no column 'label'. The table has: 'input'."),
        ("input,", "There is no column 'label'. The table has: 'input', ''."),
        ("how are you,greeting", "There is no column 'input'. The table has: 'how are you', 'greeting'."),
        ("label,label", "Two columns have the same name."),
        ("input;kind", "There is no column 'label'. The table has: 'input', 'kind'."),
        ("", "The file is empty."),
    ],
)
def test_train_with_a_table_without_its_columns_names_them(heading: str, named: str) -> None:
    separator = ";" if ";" in heading else ","
    rows = "".join(f"word {number}{separator}{'xy'[number % 2]}\n" for number in range(12))
    table = f"{heading}\n{rows}" if heading else ""
    message = ask("train", text_request(dataset=b64(table.encode())))["message"]
    assert message.startswith(named)
    assert not Dataset.objects.exists()


@pytest.mark.usefixtures("training_allowed")
def test_train_finds_a_tables_columns_by_their_names_and_not_by_their_places() -> None:
    rows = "".join(f"{'xy'[number % 2]},{number},hello {number}\n" for number in range(12))
    answer = ask("train", text_request(dataset=b64(f"Label,number,INPUT\n{rows}".encode())))
    assert answer["result"] == "success", answer
    dataset = TrainingJob.objects.get(token=answer["token"]).dataset
    assert dataset.columns == {"input": "INPUT", "label": "Label"}
    assert sorted(dataset.classes) == ["x", "y"]


@pytest.mark.usefixtures("training_allowed")
@pytest.mark.parametrize(
    "changes",
    [
        {"taskName": ""},
        {"taskName": "evil\u202egnp"},
        {"taskName": "x" * 101},
        {"taskType": "videoClassification"},
        {"modelType": "GPT"},
        {"modelType": "LSTM"},
        {"dataSplit": "70:30:1"},
        {"dataSplit": "100 : 0"},
        {"optimizer": "lbfgs"},
        {"learningRate": "nan"},
        {"learningRate": "5e9"},
        {"learningRate": "fast"},
        {"batchSize": "1.5"},
        {"batchSize": "0"},
        {"epochs": "-1"},
        {"epochs": None},
        {"reduceLrOnPlateauFactor": "7"},
        {"reduceLrOnPlateau": "perhaps"},
        {"dataset": None},
        {"dataset": {}},
        {"dataset": {"one": [b64(picture("red"))] * 5}},
        {"dataset": {"a": ["no base64!"], "b": [b64(picture("red"))]}},
        {"dataset": {"a": [b64(b"no image")] * 5, "b": [b64(picture("red"))] * 5}},
        {"dataset": {"../a": [b64(picture("red"))], "b": [b64(picture("red"))]}},
        {"dataset": {"$ref": "training/datasets/1/dataset.zip", "sha256": "0" * 64, "bytes": 1}},
        {"dataset": b64(b"input,label\na,b\n")},
        {"dataset": 7},
    ],
    ids=str,
)
def test_train_with_what_cannot_be_leaves_nothing(changes: dict[str, object]) -> None:
    answer = ask("train", train_request(**changes))
    assert answer["result"] == "error"
    assert answer["message"]
    assert not TrainingJob.objects.exists()
    assert not Dataset.objects.exists()


@pytest.mark.usefixtures("training_allowed")
def test_train_is_refused_while_halted_and_while_busy() -> None:
    PlatformStatus(dev_mode=True).save()
    assert "maintenance" in ask("train", train_request())["message"]
    PlatformStatus(queue_while_active=False).save()
    running_job()
    answer = ask("train", train_request())
    assert answer["result"] == "error"
    assert "is being trained" in answer["message"]
    assert TrainingJob.objects.count() == Dataset.objects.count() == 1


# bodies --------------------------------------------------------------------------------------

TOKEN = json.dumps({"token": "imageClassification-x-0"}).encode()


@pytest.mark.parametrize(
    "body",
    [
        form(b'Content-Disposition: form-data; name="config"\r\n\r\n' + TOKEN),
        form(
            b'Content-Disposition: form-data; name="x"; filename="blob"\r\nContent-Type: application/json\r\n\r\n'
            + TOKEN
        ),
        form(b'content-disposition: form-data; name=""\r\n\r\n' + TOKEN),
        form(b"Content-Type: application/json\r\n\r\n" + TOKEN),
        form(b"\r\n" + TOKEN),
        form(field("first", TOKEN), field("second", b"\x00\xff no JSON")),
        b"a preamble\r\n" + form(field("data", b"\r\n " + TOKEN + b"\n")),
        form(field("data", TOKEN)).removesuffix(b"--\r\n"),
    ],
    ids=["field", "file", "no name", "no disposition", "no headers", "two parts", "preamble", "no end"],
)
def test_the_first_part_counts_whatever_it_is_called(body: bytes) -> None:
    assert send("check", body).json() == NO_SUCH_TOKEN


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no form",
        form(),
        form(field("data", b"")),
        form(field("data", b"{")),
        form(field("data", b"[]")),
        form(field("data", b"[" * 100_000)),
        form(field("data", b"\xff\xfe\x00")),
        form(field("data", TOKEN))[:-60],
        form(b'Content-Disposition: form-data; name="' + b"x" * 5000 + b'"\r\n\r\n' + TOKEN),
    ],
    ids=[
        "empty",
        "no form",
        "no part",
        "empty part",
        "cut",
        "list",
        "deep",
        "binary",
        "cut form",
        "long header",
    ],
)
@pytest.mark.parametrize("call", ["check", "inference", "download", "train"])
@pytest.mark.usefixtures("training_allowed")
def test_a_body_that_is_no_form_with_json_is_an_error(call: str, body: bytes) -> None:
    response = send(call, body)
    assert response.status_code == 200
    assert response.json()["result"] == "error"
    assert response.json()["message"]


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=ä",
        "",
    ],
)
def test_another_content_type_is_an_error_that_says_what_to_send(kind: str) -> None:
    answer = Client().post("/flash/check", TOKEN, content_type=kind).json()
    assert answer["result"] == "error"
    assert "multipart" in answer["message"]


def test_a_body_that_is_too_large_is_refused_in_flashs_words(settings: Any) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "MAX_PREDICT_BYTES": 1000, "MAX_DATASET_BYTES": 3_000_000}
    for call, size, refused in (
        ("check", 2_000_000, True),
        ("inference", 2_000_000, True),
        ("inference", 1_001_000, False),
        ("train", 4_500_000, False),
        ("train", 6_000_000, True),
    ):
        answer = send(call, form(field("data", b" " * size))).json()
        assert ("larger than" in answer["message"]) is refused, (call, size)


class LongBody(io.RawIOBase):
    """A form with a data set of many megabytes that nobody ever has in memory."""

    PIECE = base64.b64encode(bytes(3 * 2**14))

    def __init__(self, pieces: int) -> None:
        head, tail = form(field("data", b'{"dataset": "|"}')).split(b"|")
        self._pieces = iter([head, *(self.PIECE for _ in range(pieces)), tail])
        self._left = b""

    def read(self, size: int = -1) -> bytes:
        while len(self._left) < size and (piece := next(self._pieces, b"")):
            self._left += piece
        piece, self._left = self._left[:size], self._left[size:]
        return piece


def test_a_large_data_set_passes_through_without_being_in_memory(tmp_path: Path) -> None:
    pieces = 400
    request = RequestFactory().post("/flash/train")
    request.META["CONTENT_TYPE"] = f"multipart/form-data; boundary={BOUNDARY.decode()}"
    request._stream = LongBody(pieces)
    tracemalloc.start()
    try:
        with first_part(request) as source:
            parts = take_apart(source, tmp_path, keys=())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert parts.path is not None
    assert parts.path.stat().st_size == pieces * 3 * 2**14
    assert peak < 6 * 2**20 < parts.path.stat().st_size


# failures, other methods, CORS, throttles ------------------------------------------------------


def test_an_unexpected_failure_is_told_without_its_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret of the code")

    monkeypatch.setattr("inference.flash.views.get_live_model", fail)
    response = send("inference", form(field("data", TOKEN)))
    assert response.status_code == 500
    assert response.json()["result"] == "internal_error"
    assert "secret" not in response.content.decode()


def test_wrong_methods_and_addresses() -> None:
    client = Client()
    assert client.get("/flash/check").status_code == 405
    assert client.post("/flash/status").json()["result"] == "error"
    response = client.get("/flash/nothing", headers={"Accept": "text/html"})
    assert response.status_code == 404
    assert response.json()["result"] == "error"


def test_other_sites_may_call_flash_and_nothing_else(settings: Any) -> None:
    settings.CORS_ALLOW_ALL_ORIGINS = False
    settings.CORS_ALLOWED_ORIGINS = ["https://flash.example"]
    client = Client()
    for origin, allowed in (("https://flash.example", True), ("https://evil.example", False)):
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        preflight = client.options("/flash/inference", headers=headers)
        answer = client.get("/flash/status", headers={"Origin": origin})
        for response in (preflight, answer):
            assert (response.get("Access-Control-Allow-Origin") == origin) is allowed
            assert "Access-Control-Allow-Credentials" not in response
    for path in ("/api/v1/models/", "/", "/flashy", "/health/live/"):
        response = client.get(path, headers={"Origin": "https://flash.example"})
        assert "Access-Control-Allow-Origin" not in response


@pytest.mark.usefixtures("training_allowed")
def test_throttled_calls_are_errors_that_say_when_to_come_again(settings: Any) -> None:
    cache.clear()
    rates = {"flash-train": "1/hour", "predict-token": "2/hour", "predict-address": None}
    settings.REST_FRAMEWORK = {
        **settings.REST_FRAMEWORK,
        "DEFAULT_THROTTLE_RATES": rates | {"address": None, "user": None},
    }
    for _ in range(3):  # what is refused does not count
        assert "dataset" in ask("train", {})["message"]
        assert "columns" not in ask("train", train_request(dataset={}))["message"]
    assert ask("train", train_request())["result"] == "success"
    response = send("train", form(field("data", train_request())))
    assert response.status_code == 200
    assert "Too many requests" in response.json()["message"]
    assert 0 < int(response["Retry-After"]) <= 2 * 3600
    model = live_colour_model()
    results = [
        ask("inference", {"token": model.token, "input": b64(picture("red"))})["result"] for _ in range(3)
    ]
    assert results == ["success", "success", "error"]


@pytest.fixture
def everything_is_large(settings: Any) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "VALIDATE_IN_WEB_BYTES": 0, "VALIDATE_IN_WEB_FILES": 0}


def validate_next() -> None:
    from training.datasets.attempts import ValidationAttempt

    validation = ValidationAttempt.claim_next(worker="w", queue="batches")
    ValidationAttempt(validation).carry_out()


@pytest.mark.usefixtures("training_allowed", "everything_is_large")
@pytest.mark.django_db(transaction=True)
def test_train_on_much_data_has_its_token_at_once_and_trains_when_a_worker_has_looked() -> None:
    token = ask("train", train_request())["token"]
    job = TrainingJob.objects.get(token=token)
    assert not TrainingJob.objects.startable(timezone.now()).exists()
    assert "currently training" in ask("check", {"token": token})["message"]
    validate_next()
    assert list(TrainingJob.objects.startable(timezone.now())) == [job]
    assert "currently training" in ask("check", {"token": token})["message"]


@pytest.mark.usefixtures("training_allowed", "everything_is_large")
@pytest.mark.django_db(transaction=True)
def test_train_on_much_data_that_cannot_be_used_fails_with_the_reason() -> None:
    few = {"red": colours()["red"]}
    token = ask("train", train_request(dataset=few))["token"]
    validate_next()
    message = ask("check", {"token": token})["message"]
    assert "has failed" in message
    assert "There is only one class" in message
