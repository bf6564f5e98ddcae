"""The programs on a model's page: what is copied runs, and says what the platform says."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from inference.pages.snippets import snippets_for
from models_registry.artifacts import Predictor
from tests.tiny_models import colour_model, ngram_model, picture

ADDRESS = "https://example.org/api/v1/models/t/predict/"


def code_of(key: str, *, is_image: bool = True, file: str = "model.onnx") -> str:
    found = snippets_for(is_image=is_image, address=ADDRESS, file=file)
    return next(snippet.code for snippet in found if snippet.key == key)


def test_program_for_the_file_alone_says_what_the_platform_says(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(colour_model())
    photo = picture("rgb(30, 90, 200)", "JPEG")
    (tmp_path / "photo.jpg").write_bytes(photo)
    done = subprocess.run(
        [sys.executable, "-c", code_of("onnx")], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    [expected] = Predictor.from_bytes(colour_model()).predict([photo])
    name, label, probability = done.stdout.split()
    assert (name, label) == ("photo.jpg", expected.label)
    assert float(probability) == pytest.approx(expected.probability, abs=1e-5)


@pytest.mark.parametrize("is_image", [True, False])
@pytest.mark.parametrize("key", ["python", "onnx"])
def test_programs_are_python_of_a_screen(key: str, is_image: bool) -> None:
    code = code_of(key, is_image=is_image)
    compile(code, key, "exec")
    assert len(code.splitlines()) <= 40
    assert ("model.onnx" if key == "onnx" else ADDRESS) in code


def test_model_without_a_file_to_give_has_no_program_for_it() -> None:
    keys = [snippet.key for snippet in snippets_for(is_image=True, address=ADDRESS, file="")]
    assert keys == ["curl", "python"]


@pytest.mark.parametrize(("has_network", "windows"), [(True, 1), (True, 2), (False, 1)])
def test_program_for_texts_says_what_the_platform_says(
    tmp_path: Path, has_network: bool, windows: int
) -> None:
    content = ngram_model(has_network=has_network, windows=windows)
    (tmp_path / "model.onnx").write_bytes(content)
    texts = ["glad  RATHER glad", "ｓａｄ sad fellow", "nothing of it", "sad glad " * 3 + "rather " * 4]
    found = snippets_for(
        is_image=False,
        address=ADDRESS,
        file="model.onnx",
        reads_tokens=has_network,
        reads_windows=windows > 1,
        reads_ngrams=True,
    )
    code = next(snippet.code for snippet in found if snippet.key == "onnx")
    done = subprocess.run(
        [sys.executable, "-c", code, *texts], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    for line, text, expected in zip(
        done.stdout.splitlines(), texts, Predictor.from_bytes(content).predict(texts), strict=True
    ):
        said, label, probability = line.rsplit(" ", 2)
        assert (said, label) == (text, expected.label)
        assert float(probability) == pytest.approx(expected.probability, abs=1e-5)


def test_program_for_windows_is_of_two_screens() -> None:
    found = snippets_for(is_image=False, address=ADDRESS, file="model.onnx", reads_windows=True)
    code = next(snippet.code for snippet in found if snippet.key == "onnx")
    compile(code, "onnx", "exec")
    assert len(code.splitlines()) <= 45


HOSTILE = (
    *("it's", '";import os;os._exit(3);"', "$(touch hit)", "`touch hit`", "a;touch hit", "a&touch hit"),
    *("\\", "a\nb", "😀é", "{x}"),
)


@pytest.mark.parametrize("token", HOSTILE)
@pytest.mark.parametrize("is_image", [True, False])
def test_token_from_outside_is_only_a_word_in_the_shell(tmp_path: Path, token: str, is_image: bool) -> None:
    address = f"https://example.org/models/{token}/predict/"
    found = {
        one.key: one.code for one in snippets_for(is_image=is_image, address=address, file=f"{token}.onnx")
    }
    words = subprocess.run(
        ["bash", "-c", 'curl() { printf "%s\\0" "$@"; }\n' + found["curl"]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    assert words[-2] == address
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("token", HOSTILE)
@pytest.mark.parametrize("is_image", [True, False])
def test_token_from_outside_is_only_a_text_in_python(token: str, is_image: bool) -> None:
    address, file = f"https://example.org/models/{token}/predict/", f"{token}.onnx"
    for snippet in snippets_for(is_image=is_image, address=address, file=file)[1:]:
        texts = {node.value for node in ast.walk(ast.parse(snippet.code)) if isinstance(node, ast.Constant)}
        assert (file if snippet.key == "onnx" else address) in texts
