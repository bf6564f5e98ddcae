import gc
import io
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from models_registry.artifacts import BrokenLimit, InvalidInput, InvalidModel, Predictor
from models_registry.artifacts.explanations import ActivationMap, NoExplanation, WordImportance
from models_registry.artifacts.sandbox import SandboxedPredictor, SandboxError, SandboxLimits
from models_registry.artifacts.sandbox import predictor as parent
from tests import hostile_models as hostile
from tests import stills
from tests.tiny_models import COLOURS, colour_model, mood_model, picture, undescribed_colour_model

ROOT = Path(__file__).parents[5]
TURNED = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # by a quarter
LIMITS = SandboxLimits(seconds=20, memory=2**30)
SHORT = SandboxLimits(seconds=1, memory=2**29)


def opened(
    content: bytes, *, limits: SandboxLimits = LIMITS, image_classes: Sequence[str] = ()
) -> SandboxedPredictor:
    return SandboxedPredictor.open([content], len(content), limits=limits, image_classes=image_classes)


def hostile_model(content: bytes) -> SandboxedPredictor:
    return opened(content, limits=SHORT, image_classes=COLOURS)


def pid_of(predictor: SandboxedPredictor) -> int:
    return predictor._process.pid


@pytest.fixture(scope="module")
def colours() -> Iterator[SandboxedPredictor]:
    predictor = opened(colour_model())
    yield predictor
    predictor.close()


@pytest.fixture(scope="module")
def moods() -> Iterator[SandboxedPredictor]:
    predictor = opened(mood_model())
    yield predictor
    predictor.close()


def test_images_are_classified_as_outside_a_sandbox(colours: SandboxedPredictor) -> None:
    images = [
        picture(colour, kind) for colour in COLOURS for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
    ]
    here = Predictor.from_bytes(colour_model())
    assert colours.predict(images) == here.predict(images), "more than one exchange takes"
    assert (colours.metadata.classes, colours.metadata.task_type) == (COLOURS, "imageclassification")


def test_texts_are_classified_and_explained_as_outside_a_sandbox(moods: SandboxedPredictor) -> None:
    texts = ["glad glad", "sad 你好"]
    here = Predictor.from_bytes(mood_model())
    assert moods.explain(texts) == here.explain(texts)
    assert isinstance(moods.explain(texts)[0][1], WordImportance)


def test_images_are_explained(colours: SandboxedPredictor) -> None:
    [(prediction, why)] = colours.explain([picture("green")])
    assert isinstance(why, ActivationMap)
    assert (prediction.label, why.label) == ("green", "green")
    undescribed = opened(undescribed_colour_model(), image_classes=COLOURS)
    assert isinstance(undescribed.explain([picture("green")])[0][1], NoExplanation)
    undescribed.close()


@pytest.mark.parametrize(
    ("mode", "kind", "options"),
    [
        ("RGBA", "PNG", {}),
        ("I;16", "PNG", {}),
        ("P", "GIF", {}),
        ("CMYK", "JPEG", {}),
        (
            "RGB",
            "JPEG",
            {
                "progressive": True,
                "exif": TURNED,
            },
        ),
        ("RGB", "TIFF", {"compression": "tiff_lzw"}),
        ("RGBA", "WEBP", {"lossless": True}),
        ("RGB", "AVIF", {}),
    ],
)
def test_every_kind_of_image_is_decoded_without_opening_a_file(
    colours: SandboxedPredictor, mode: str, kind: str, options: dict[str, Any]
) -> None:
    buffer = io.BytesIO()
    Image.new(mode, (40, 30)).save(buffer, kind, **options)
    here = Predictor.from_bytes(colour_model())
    assert colours.predict([buffer.getvalue()] * 2) == here.predict([buffer.getvalue()] * 2)


@pytest.mark.parametrize("content", [stills.heic(), stills.heic_of_tiles(3, 2)])
def test_stills_of_phones_are_decoded_without_a_thread(colours: SandboxedPredictor, content: bytes) -> None:
    here = Predictor.from_bytes(colour_model())
    assert colours.predict([content] * 2) == here.predict([content] * 2)


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ([b"no image"], "not an image"),
        ([picture("red"), b"x"], "Image 2"),
        (["text"], "is a text"),
        ([picture("red"), "a"], "either"),
    ],
)
def test_input_that_cannot_be_used_is_told_and_harms_nothing(
    colours: SandboxedPredictor, inputs: list[bytes | str], reason: str
) -> None:
    with pytest.raises(InvalidInput, match=reason):
        colours.predict(inputs)
    assert colours.predict([picture("red")])[0].label == "red"


def test_empty_text_is_told(moods: SandboxedPredictor) -> None:
    with pytest.raises(InvalidInput, match="Text 2 is empty"):
        moods.predict(["glad", " "])


def test_many_threads_are_served(colours: SandboxedPredictor) -> None:
    found: dict[int, str] = {}

    def ask(number: int) -> None:
        found[number] = colours.predict([picture(COLOURS[number % 3])])[0].label

    threads = [threading.Thread(target=ask, args=[number]) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: COLOURS[number % 3] for number in range(12)}


def test_child_has_no_environment_and_no_folder(
    colours: SandboxedPredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "s3cret")
    predictor = opened(colour_model())
    proc = Path(f"/proc/{pid_of(predictor)}")
    assert b"s3cret" not in (proc / "environ").read_bytes()
    assert "(deleted)" in str((proc / "cwd").readlink())
    assert "Max open files            0                    0" in (proc / "limits").read_text()
    assert {str(file.readlink()).split(":")[0] for file in (proc / "fd").iterdir()} <= {"pipe", "/dev/null"}
    predictor.close()


def test_child_ends_with_its_predictor() -> None:
    predictor = opened(colour_model())
    pid = pid_of(predictor)
    del predictor
    gc.collect()
    assert not Path(f"/proc/{pid}").exists()


OWNER = """
import sys, threading
sys.path.append(sys.argv[1])
from models_registry.artifacts.sandbox import SandboxedPredictor, SandboxLimits
content, kept = sys.stdin.buffer.read(), []
def open_model():
    limits = SandboxLimits(seconds=600, memory=2**30)
    kept.append(SandboxedPredictor.open([content], len(content), limits=limits, image_classes=["a", "b", "c"]))
opening = threading.Thread(target=open_model)
opening.start()
opening.join()
print(kept[0]._process.pid, flush=True)
threading.Thread(target=kept[0].predict, args=[[open(sys.argv[2], "rb").read()]]).start()
threading.Event().wait()
"""


def test_child_outlives_the_thread_that_asked_for_it_and_dies_with_its_parent(tmp_path: Path) -> None:
    (tmp_path / "red.png").write_bytes(picture("red"))
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(ROOT), str(tmp_path / "red.png")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert owner.stdin is not None
    assert owner.stdout is not None
    owner.stdin.write(hostile.endless_loop())
    owner.stdin.close()
    child = Path("/proc") / owner.stdout.readline().decode().strip()
    wait_until(lambda: cpu_of(child) > 20)  # hundredths of a second: it is in the endless loop
    owner.kill()
    owner.wait()
    wait_until(lambda: not child.exists() or " Z " in (child / "stat").read_text())
    owner.stdout.close()


def cpu_of(proc: Path) -> int:
    return int((proc / "stat").read_text().rsplit(")", 1)[1].split()[11])


def wait_until(is_so: Any, within: float = 30) -> None:
    deadline = time.monotonic() + within
    while not is_so():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)


@pytest.mark.parametrize("with_nodes", [True, False])
def test_endless_loop_is_ended(with_nodes: bool) -> None:
    predictor = hostile_model(hostile.endless_loop(with_nodes=with_nodes))
    began = time.monotonic()
    with pytest.raises(BrokenLimit, match="longer than 1 seconds"):
        predictor.predict([picture("red")])
    assert time.monotonic() - began < 10
    assert predictor.is_closed
    with pytest.raises(SandboxError):
        predictor.predict([picture("red")])


@pytest.mark.parametrize("numbers", [2**28, 2**33, 2**40, 2**62])
def test_memory_is_bounded_when_it_runs(numbers: int) -> None:
    predictor = hostile_model(hostile.memory_hog(numbers))
    with pytest.raises(BrokenLimit, match="memory"):
        predictor.predict([picture("red")])
    assert predictor.is_closed


@pytest.mark.parametrize("numbers", [2**28, 2**40])
def test_memory_is_bounded_when_it_is_opened(numbers: int) -> None:
    with pytest.raises(InvalidModel):
        hostile_model(hostile.memory_hog(numbers, when_opened=True)).predict([picture("red")])


def test_file_larger_than_its_memory_is_refused() -> None:
    piece = bytes(1 << 20)
    with pytest.raises(BrokenLimit, match="memory"):
        SandboxedPredictor.open((piece for _ in range(100)), 100 << 20, limits=SandboxLimits(20, 50 << 20))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (hostile.EXTERNAL_DATA["branch_without_nodes"]("secret"), "other files"),
        (hostile.foreign_operator(), "EPContext"),
        (hostile.with_metadata("[" * 100_000), "cannot be read"),
        (hostile.with_metadata('{"classes": ' + "[" * 100_000), "cannot be read"),
        (hostile.described_with(classes=["nul\x00", "b", "c"]), "NUL"),
        (hostile.described_with(classes=["\ud800", "b", "c"]), "surrogate"),
        (hostile.described_with(classes=None), "cannot be read"),
        (hostile.described_with(task_type="\x00\ud800"), "task"),
        (hostile.described_with(preprocessing={"resize": "x"}), "cannot be read"),
        (hostile.panicking_tokenizer(), "tokenizer"),
        (b"", "no ONNX file"),
    ],
)
def test_file_that_cannot_be_used_is_refused_with_the_reason(content: bytes, reason: str) -> None:
    with pytest.raises(InvalidModel, match=reason):
        opened(content).predict(["a"])


@pytest.mark.parametrize(
    "content",
    [
        hostile.not_numbers(),
        hostile.other_rows(),
        hostile.described_with(preprocessing={"resize": 0, "crop": 0}),
        hostile.described_with(preprocessing={"resize": 16, "crop": 10**9}),
        hostile.described_with(preprocessing={"resize": 16, "crop": 16, "mean": [float("nan")] * 3}),
        hostile.described_with(classes=["a"]),
    ],
)
def test_model_that_answers_nonsense_is_told(content: bytes) -> None:
    predictor = opened(content, image_classes=COLOURS)
    with pytest.raises((InvalidModel, InvalidInput)):
        predictor.predict([picture("red")])
    predictor.close()


def test_child_that_is_killed_is_told() -> None:
    predictor = opened(hostile.endless_loop(), image_classes=COLOURS)
    killer = threading.Timer(0.3, predictor._process.kill)
    killer.start()
    with pytest.raises(BrokenLimit, match="SIGKILL"):
        predictor.predict([picture("red")])
    idle = opened(colour_model())
    idle._process.kill()
    idle._process.wait()
    assert idle.is_closed
    with pytest.raises(SandboxError):
        idle.predict([picture("red")])


def test_file_of_another_size_than_it_was_said_to_have_is_refused() -> None:
    content = colour_model()
    for size in (len(content) - 1, len(content) + 1):
        with pytest.raises(InvalidModel, match="changed"):
            SandboxedPredictor.open([content], size, limits=LIMITS)


def test_child_that_cannot_start_is_no_fault_of_the_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(SandboxError, match="cannot be started"):
        opened(colour_model())
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(SandboxError, match="did not start"):
        opened(colour_model())


def test_messages_are_bounded(monkeypatch: pytest.MonkeyPatch, colours: SandboxedPredictor) -> None:
    predictor = opened(colour_model())
    monkeypatch.setattr(parent, "MOST_ANSWERED", 10)
    with pytest.raises(BrokenLimit):
        predictor.predict([picture("red")])
    assert predictor.is_closed


def test_large_image_of_the_largest_size_fits() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((7000, 7000, 4), np.uint8)).save(buffer, "PNG", compress_level=1)
    predictor = opened(colour_model(), limits=SandboxLimits(60, 2 * 2**30))
    assert predictor.predict([buffer.getvalue()])[0].label in COLOURS
    predictor.close()
