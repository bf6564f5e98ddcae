import base64
import csv
import io
import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from devtools.published import published_content
from models_registry.artifacts import ImagePreprocessing, ModelMetadata, Predictor
from models_registry.artifacts.explanations import ActivationMap, WordImportance
from models_registry.artifacts.metadata import NGRAMS_KEY
from models_registry.artifacts.ngrams import NgramVocabulary
from training.engine import training
from training.engine.data import DataError
from training.engine.events import (
    Event,
    FindingsEvent,
    ProgressEvent,
    ResultEvent,
    TrainingError,
    TrainingStopped,
)
from training.engine.export.classifier import ExportedClassifier
from training.engine.export.parity import Parity
from training.engine.export.torchscript import load_torchscript
from training.engine.request import TrainingRequest, TrainingResult
from training.engine.seen_examples import read_seen_examples
from training.engine.specs.hyperparameters import Hyperparameters
from training.engine.strategies import frozen, linear_head, ngrams, out_of_fold
from training.engine.strategies.features import Extracted
from training.engine.training import train

from .conftest import DATA, FROZEN_PHASES, SAMPLES, MakeRequest
from .small_data import few_sentences

IMAGE, TEXT = "imageclassification", "textclassification"
SENTENCES = {
    "My new card has still not arrived": "card_arrival",
    "How old do I have to be to open an account?": "age_limit",
    "I want to close my account": "terminate_account",
}


class Trained:
    """A finished training with the events that it told."""

    def __init__(self, request: TrainingRequest) -> None:
        self.request = request
        self.events: list[Event] = []
        self.result: TrainingResult = train(request, self.events.append, should_stop=lambda: False)

    def file(self, kind: str) -> Path:
        return Path(self.request.output_dir, self.result.artifacts[kind])

    def predictor(self) -> Predictor:
        return Predictor.from_bytes(self.file("onnx").read_bytes())


@pytest.fixture(scope="module")
def digits(make_request: MakeRequest) -> Trained:
    return Trained(make_request(IMAGE))


@pytest.fixture(scope="module")
def banking(make_request: MakeRequest) -> Trained:
    return Trained(make_request(TEXT))


@pytest.fixture(params=[IMAGE, TEXT])
def trained(request: pytest.FixtureRequest) -> Trained:
    found: Trained = request.getfixturevalue("digits" if request.param == IMAGE else "banking")
    return found


@pytest.fixture(scope="module")
def few_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight each of three digits: enough to run through every phase in a second."""
    return archive_of(tmp_path_factory.mktemp("few") / "few.zip", {})


def archive_of(path: Path, more: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(DATA[IMAGE]) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            if name[0] in "012" and int(name[2:4]) <= 8:
                target.writestr(name, source.read(name))
        for name, content in more.items():
            target.writestr(name, content)
    return path


def new_digits() -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in sorted((SAMPLES / "digits_new").glob("*.png"))}


def test_image_model_knows_new_digits(digits: Trained) -> None:
    new = new_digits()
    right = sum(
        p.label == label for p, label in zip(digits.predictor().predict(list(new.values())), new, strict=True)
    )
    assert right >= 8
    assert digits.result.accuracy > 85


def test_text_model_knows_new_sentences(banking: Trained) -> None:
    predictions = banking.predictor().predict(list(SENTENCES))
    assert [prediction.label for prediction in predictions] == list(SENTENCES.values())
    assert banking.result.accuracy > 90


def test_phases_come_in_order_and_are_measured(trained: Trained) -> None:
    told = [event for event in trained.events if isinstance(event, ProgressEvent)]
    phases = list(dict.fromkeys(event.phase for event in told))
    assert phases == list(FROZEN_PHASES)
    assert list(trained.result.phase_seconds) == list(FROZEN_PHASES)
    counted = [event for event in told if event.phase == "features"]
    assert counted[-1].done == counted[-1].total > 0


def test_result_survives_json(trained: Trained) -> None:
    assert TrainingResult.from_json(json.loads(json.dumps(trained.result.to_json()))) == trained.result


def test_metrics_are_of_the_validation_part(trained: Trained) -> None:
    metrics, result = trained.result.metrics, trained.result
    assert result.accuracy == pytest.approx(100 * metrics["accuracy"], abs=0.01)
    assert sum(map(sum, metrics["confusion_matrix"])) == metrics["validation_examples"]
    assert [row["class"] for row in metrics["per_class"]] == result.classes
    assert metrics["accuracy_low"] < metrics["accuracy"] < metrics["accuracy_high"]
    if metrics["cross_validated"]:
        assert metrics["train_examples"] == metrics["validation_examples"] == metrics["examples"]
        measured = {"network": metrics["accuracy"]}
    else:
        share = metrics["train_examples"] / (metrics["train_examples"] + metrics["validation_examples"])
        assert share == pytest.approx(0.7, abs=0.02)
        measured = {"network": metrics["curve"][metrics["chosen_point"]]["validation_accuracy"]}
    if result_is_of_texts := "views" in metrics:
        views = {view["name"]: view["accuracy"] for view in metrics["views"]}
        assert metrics["cross_validated"] or views["network"] == pytest.approx(measured["network"], abs=1e-3)
        measured = views
    assert result_is_of_texts is (trained.request.task_type == TEXT)
    assert measured[metrics.get("view", "network")] == pytest.approx(metrics["accuracy"], abs=1e-3)
    assert metrics["refit_on_all"] is True


def test_parity_was_measured_on_up_to_64_examples(trained: Trained) -> None:
    parity = trained.result.parity
    assert parity["samples"] == min(64, trained.result.metrics["validation_examples"])
    assert parity["max_abs_difference"] < 1e-4
    assert parity["changed_labels"] == 0


def test_both_files_describe_themselves(trained: Trained) -> None:
    in_onnx = trained.predictor().metadata
    _, extra_files = load_torchscript(trained.file("torchscript"))
    assert ModelMetadata.from_json(extra_files["trainyard.json"]) == in_onnx
    assert in_onnx.public_id == trained.request.public_id
    assert in_onnx.data_sha256 == trained.request.dataset_sha256
    assert list(in_onnx.classes) == trained.result.classes == sorted(trained.result.classes)
    assert bool(extra_files["tokenizer.json"]) == (trained.request.task_type == TEXT)


def test_files_tell_the_public_identifier_and_no_token(trained: Trained) -> None:
    """The trainer is not told the token, and nobody looks for a field of that name."""
    for kind in trained.result.artifacts:
        path = trained.file(kind)
        assert path.name.startswith(trained.request.public_id)
        told = published_content(path)
        assert trained.request.public_id.encode() in told
        assert b'"token": "' not in told


def test_output_folder_holds_nothing_but_what_the_result_names(trained: Trained) -> None:
    names = {path.name for path in Path(trained.request.output_dir).iterdir()}
    reported = next(event.result for event in trained.events if isinstance(event, ResultEvent))
    assert reported is not None
    files = {reported.examples, trained.result.examples, trained.result.features}
    assert names == {*trained.result.artifacts.values(), *files}


def test_model_goes_live_before_the_data_are_looked_at_again(trained: Trained) -> None:
    reported, findings = trained.events[-2:]
    assert isinstance(reported, ResultEvent)
    assert isinstance(findings, FindingsEvent)
    assert reported.result is not None
    assert reported.result.examples != findings.examples == trained.result.examples
    folder = Path(trained.request.output_dir)
    manifest, further = read_seen_examples(folder / reported.result.examples)
    same, found = read_seen_examples(folder / findings.examples)
    assert same.columns().keys() == manifest.columns().keys()
    assert (same.digests, same.splits, same.groups) == (manifest.digests, manifest.splits, manifest.groups)
    assert set(further["given"]) == {None}
    assert None not in found["given"]


def test_text_metadata_file_is_enough_to_tokenise(banking: Trained) -> None:
    from tokenizers import Tokenizer

    described = json.loads(banking.file("metadata").read_text(encoding="utf-8"))
    tokenizer = Tokenizer.from_str(json.dumps(described["tokenizer"]))
    tokenizer.no_padding()
    encoding = tokenizer.encode(next(iter(SENTENCES)))
    network, _ = load_torchscript(banking.file("torchscript"))
    [ngrams] = NgramVocabulary.from_json(json.dumps(described["ngrams"])).encode([next(iter(SENTENCES))])
    read = encoding.ids, encoding.attention_mask, ngrams.ids, ngrams.weights
    with torch.inference_mode():
        logits = network(*(torch.from_numpy(np.array([values])) for values in read))
    assert described["classes"][int(logits.argmax())] == "card_arrival"


def test_torchscript_loads_with_torch_alone(trained: Trained) -> None:
    code = (
        "import sys, torch; network = torch.jit.load(sys.argv[1]);"
        "print(*[m for m in ('timm', 'transformers', 'training', 'models_registry') if m in sys.modules])"
    )
    command = [sys.executable, "-I", "-W", "ignore", "-c", code, str(trained.file("torchscript"))]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.split() == []


def test_torchscript_gives_the_right_class_under_the_usual_preprocessing(digits: Trained) -> None:
    """Clients scale to 255, cut out 224 and normalise by ImageNet's statistics."""
    usual = v2.Compose(
        [
            v2.Resize(255),
            v2.CenterCrop(224),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    network, _ = load_torchscript(digits.file("torchscript"))
    new = new_digits()
    images = [usual(Image.open(io.BytesIO(content)).convert("RGB")) for content in new.values()]
    with torch.inference_mode():
        found = network(torch.stack(images)).argmax(1)
    ours = digits.predictor().predict(list(new.values()))
    same = sum(digits.result.classes[index] == p.label for index, p in zip(found, ours, strict=True))
    assert same >= 9


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_torchscript_takes_batches_of_any_size(digits: Trained, batch: int) -> None:
    network, _ = load_torchscript(digits.file("torchscript"))
    with torch.inference_mode():
        assert network(torch.zeros(batch, 3, 224, 224)).shape == (batch, 10)


def test_same_seed_gives_the_same_model(make_request: MakeRequest, few_digits: Path) -> None:
    first, second = (Trained(make_request(IMAGE, few_digits, seed=5)) for _ in range(2))
    assert first.result.metrics == second.result.metrics
    files = list(new_digits().values())
    assert np.array_equal(first.predictor().probabilities(files), second.predictor().probabilities(files))


def test_images_that_break_late_are_left_out(
    make_request: MakeRequest, few_digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader takes a picture that the decoder cannot turn into pixels."""
    intact = ImagePreprocessing.pixels
    broken = zipfile.ZipFile(few_digits).read("0/03.png")

    def pixels(self: ImagePreprocessing, content: bytes, **options: int) -> object:
        return intact(self, b"broken" if content == broken else content, **options)

    monkeypatch.setattr(ImagePreprocessing, "pixels", pixels)
    metrics = Trained(make_request(IMAGE, few_digits)).result.metrics
    assert metrics["unreadable"] == 1
    assert metrics["examples"] == 23


def test_settings_without_effect_are_named(make_request: MakeRequest, few_digits: Path) -> None:
    request = make_request(IMAGE, few_digits, hyperparameters=Hyperparameters(optimizer="sgd", epochs=3))
    assert Trained(request).result.metrics["unused_settings"] == ["optimizer", "epochs"]


@pytest.mark.parametrize("phase", FROZEN_PHASES)
def test_wish_to_stop_is_heard_in_every_phase(
    make_request: MakeRequest, few_digits: Path, phase: str
) -> None:
    phases = [""]

    def note(event: Event) -> None:
        assert isinstance(event, ProgressEvent)
        phases[0] = event.phase

    with pytest.raises(TrainingStopped):
        train(make_request(IMAGE, few_digits), note, should_stop=lambda: phases[0] == phase)


def test_files_that_disagree_are_not_published(
    make_request: MakeRequest, few_digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = training.export_torchscript

    def turned(network: torch.jit.ScriptModule, classifier: ExportedClassifier) -> bytes:
        assert classifier.head is not None
        head = replace(classifier.head, weight=classifier.head.weight[:, ::-1].copy())
        return export(network, replace(classifier, head=head))

    monkeypatch.setattr(training, "export_torchscript", turned)
    with pytest.raises(TrainingError, match="disagree"):
        Trained(make_request(IMAGE, few_digits))


def test_features_that_are_no_numbers_end_the_training(
    make_request: MakeRequest, few_digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        frozen, "extract", lambda *_, **__: Extracted(np.full((24, 1280), np.nan, np.float32))
    )
    with pytest.raises(TrainingError, match="no numbers"):
        Trained(make_request(IMAGE, few_digits))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "resnet"}, "Known: efficientnet lite0, "),
        ({"architecture": "minilm"}, "is for textclassification"),
        ({"strategy": "magic"}, "Known: frozen, finetune, best, scratch"),
        ({"public_id": "../elsewhere"}, "public identifier"),
    ],
)
def test_wrong_settings_are_named(make_request: MakeRequest, changes: dict[str, str], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        Trained(make_request(IMAGE, **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"data_split": "70"}, "70 : 30"), ({"dataset_sha256": "0" * 64}, "not the one")],
)
def test_wrong_data_is_named(
    make_request: MakeRequest, few_digits: Path, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        Trained(make_request(IMAGE, few_digits, **changes))


def write_table(path: Path, rows: list[tuple[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "intent"), *rows])
    return path


def test_one_class_is_not_enough(make_request: MakeRequest, tmp_path: Path) -> None:
    path = write_table(tmp_path / "one.csv", [("a text", "x"), ("another", "x")])
    with pytest.raises(DataError, match="two classes"):
        Trained(make_request(TEXT, path, columns={"input": "text", "label": "intent"}))


def test_smallest_possible_table_trains(make_request: MakeRequest, tmp_path: Path) -> None:
    rows = [
        ("good morning", "hello"),
        ("hi there", "hello"),
        ("see you", "bye"),
        ("farewell my friend", "bye"),
    ]
    path = write_table(tmp_path / "tiny.csv", rows)
    done = Trained(make_request(TEXT, path, columns={"input": "text", "label": "intent"}))
    assert done.result.metrics["validation_examples"] == 4  # each is held out once
    assert [p.label for p in done.predictor().predict(["good morning", "see you"])] == ["hello", "bye"]


def test_language_that_the_encoder_does_not_know_is_learnt_by_ngrams(
    make_request: MakeRequest, tmp_path: Path
) -> None:
    """The encoder's tokenizer knows no Ethiopic: each of these words is the same unknown one to it."""
    beginnings = ("ሀለ", "ሐመ", "ረሰ", "ቀበ", "ተነ", "አከ", "ወዘ", "የደ")
    words = {"ገጠ": ("ጨ", "ጸ", "ፈ"), "ፐሸ": ("ቸ", "ኘ", "ኸ")}
    rows = [
        (f"{beginning}{middle}{end}", middle)
        for beginning in beginnings
        for middle, ends in words.items()
        for end in ends
    ]
    path = write_table(tmp_path / "ethiopic.csv", rows)
    done = Trained(make_request(TEXT, path, columns={"input": "text", "label": "intent"}))
    assert done.result.metrics["view"] == "n-grams"
    assert done.result.accuracy > 90
    assert "onnx-int8" not in done.result.artifacts
    assert done.file("onnx").stat().st_size < 2**20  # no encoder travels along
    predictor = done.predictor()
    assert [found.label for found in predictor.predict(["ዠዠገጠጨ", "ዠዠፐሸቸ"])] == ["ገጠ", "ፐሸ"]
    [(_, explanation)] = predictor.explain(["ዠዠ ገጠ ዠዠ"])
    assert isinstance(explanation, WordImportance)
    assert max(explanation.words, key=lambda word: word.importance).text == "ገጠ"
    network, extra = load_torchscript(done.file("torchscript"))
    assert NGRAMS_KEY in extra
    assert {name for name, _ in network.named_parameters()} == {"weight", "bias"}


def test_very_long_text_is_cut_and_classified(banking: Trained) -> None:
    long = "please activate my card " * 2000
    assert banking.predictor().predict([long])[0].label == "activate_my_card"


def test_smaller_file_answers_alike(banking: Trained) -> None:
    full, smaller = banking.file("onnx"), banking.file("onnx-int8")
    assert smaller.stat().st_size < 0.3 * full.stat().st_size
    assert banking.result.metrics["int8"]["published"] is True
    texts: list[bytes | str] = [*SENTENCES]
    alone = Predictor.from_bytes(smaller.read_bytes())
    assert [found.label for found in alone.predict(texts)] == [*SENTENCES.values()]
    assert alone.metadata == banking.predictor().metadata
    assert banking.predictor().probabilities(texts) == pytest.approx(alone.probabilities(texts), abs=0.1)


def test_images_have_a_file_of_eight_bits(
    make_request: MakeRequest, few_digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alike = Parity(0.05, 0, 24, tolerance=0.1)  # digits lose more in eight bits than photos do
    monkeypatch.setattr(training, "compare_quantized", lambda *answers: alike)
    done = Trained(make_request(IMAGE, few_digits))
    full, smaller = done.file("onnx"), done.file("onnx-int8")
    assert smaller.stat().st_size < 0.3 * full.stat().st_size
    alone = Predictor.from_bytes(smaller.read_bytes())
    photos: list[bytes | str] = [new_digits()[name] for name in "012"]
    assert [found.label for found in alone.predict(photos)] == ["0", "1", "2"]
    assert isinstance(alone.explain(photos[:1])[0][1], ActivationMap)


def test_evaluation_holds_the_figures_and_a_picture_of_each_mistake(trained: Trained) -> None:
    evaluation = json.loads(trained.file("evaluation").read_text())
    assert evaluation["metrics"] == {
        name: value for name, value in trained.result.metrics.items() if name != "naive_accuracy"
    }  # which is found out when the model is live
    assert evaluation["classes"] == trained.result.classes
    bins = evaluation["metrics"]["calibration"]
    assert sum(group["share"] for group in bins) == pytest.approx(1)
    mistakes = evaluation["metrics"]["worst_mistakes"]
    assert mistakes
    for mistake in mistakes:
        if trained.request.task_type == IMAGE:
            with Image.open(io.BytesIO(base64.b64decode(mistake["thumbnail"]))) as picture:
                assert picture.format == "JPEG"
                assert max(picture.size) <= training.THUMBNAIL
        else:
            assert "thumbnail" not in mistake


def test_recurrent_network_learns_pieces_of_a_script_that_the_packaged_tokenizer_lacks(
    make_request: MakeRequest, tmp_path: Path
) -> None:
    """Thai without spaces: whether a letter has come, and where the card is."""
    begin, end = ("ขอถามว่า", "สวัสดีครับ", "ช่วยบอกที", "อยากรู้ว่า"), ("ครับ", "ค่ะ", "หน่อย", "ตอนนี้")
    middle = {"จดหมายมาถึงหรือยัง": "letter", "บัตรของฉันอยู่ที่ไหน": "card"}
    rows = [(f"{a}{words}{b}", label) for words, label in middle.items() for a in begin for b in end]
    path = write_table(tmp_path / "thai.csv", rows)
    columns, settings = {"input": "text", "label": "intent"}, Hyperparameters(batch_size=8, epochs=6)
    asked = {"architecture": "gru", "strategy": "finetune", "columns": columns, "hyperparameters": settings}
    done = Trained(make_request(TEXT, path, **asked))
    assert done.result.metrics["learnt_pieces"] > 40
    assert done.result.accuracy == 100
    described = json.loads(done.file("metadata").read_text(encoding="utf-8"))
    _, extra = load_torchscript(done.file("torchscript"))
    assert json.loads(extra["tokenizer.json"]) == described["tokenizer"]
    assert len(described["tokenizer"]["model"]["vocab"]) == done.result.metrics["learnt_pieces"]
    predictor = done.predictor()
    assert [found.label for found in predictor.predict(["บัตรของฉันอยู่ที่ไหนนะ", "จดหมายมาถึงหรือยังนะ"])] == [
        "card",
        "letter",
    ]


def test_of_very_many_texts_some_are_judged_and_all_are_measured(
    make_request: MakeRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(out_of_fold, "FEW", 0)
    monkeypatch.setattr(linear_head, "MOST_NUMBERS", 30 * 384)
    monkeypatch.setattr(ngrams, "MOST_EXAMPLES", 30)
    monkeypatch.setattr(ngrams, "MOST_JUDGED", 10)
    monkeypatch.setattr(ngrams, "AT_ONCE", 7)
    done = Trained(make_request(TEXT, few_sentences(tmp_path / "many.csv", each=20)))
    metrics = done.result.metrics
    assert not metrics["cross_validated"]
    assert metrics["validation_examples"] == 18
    assert sum(row["support"] for row in metrics["per_class"]) == 18
    assert metrics["accuracy"] > 0.8
