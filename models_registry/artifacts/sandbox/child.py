"""The sandbox's own process: `main` takes a model from its standard input and then requests, one at a time."""

import contextlib
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, BinaryIO, NoReturn

from ..errors import BrokenLimit, InvalidInput, InvalidModel
from ..explanations import ActivationMap, Explanation, NoExplanation, WordImportance
from ..predictor import Prediction, Predictor
from ..sessions import is_out_of_memory, shortened
from .isolation import allow_cpu_seconds, close_files, leave_network
from .messages import MessageError, read_exactly, read_message, write_message
from .self_contained import self_contained

MOST = 1 << 30  # bytes of a request without its contents


def main() -> NoReturn:
    """Serve one parent until it ends or has enough."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    with contextlib.suppress(MessageError, OSError):
        _serve(requests, answers)
    os._exit(0)  # whatever the model has left behind is not to be tidied up


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    is_without_network = leave_network()
    settings = read_message(requests, most=MOST)
    _import_everything()
    close_files(settings["memory"])
    write_message(answers, {"is_without_network": is_without_network})
    predictor: Predictor | None = None

    def open_model() -> dict[str, Any]:
        nonlocal predictor
        content = self_contained(read_exactly(requests, settings["size"]))
        predictor = Predictor.from_bytes(
            content, threads=1, image_classes=settings["image_classes"], decoders=1
        )
        return {"metadata": predictor.metadata.to_json()}

    allow_cpu_seconds(settings["seconds"])
    _answer(answers, open_model)
    while predictor is not None:
        request = read_message(requests, most=MOST)
        inputs = request["texts"] or [read_exactly(requests, size) for size in request["sizes"]]
        work = _explain if request["explain"] else _predict
        allow_cpu_seconds(settings["seconds"])
        _answer(answers, lambda work=work, inputs=inputs: work(predictor, inputs))  # type: ignore[misc]


def _import_everything() -> None:
    """Import what would be imported when it is needed: then no file can be opened any more."""
    import onnx  # noqa: F401
    import onnxruntime  # noqa: F401
    import tokenizers  # noqa: F401
    from PIL import Image, ImageCms  # noqa: F401 - of pictures in LAB

    Image.init()


def _answer(answers: BinaryIO, work: Callable[[], dict[str, Any]]) -> None:
    """Answer with what `work` returns, or what was wrong; whatever is raised, a panic of a library as well."""
    try:
        answer = work()
    except InvalidInput as error:
        answer = {"wrong": "input", "because": str(error)}
    except BrokenLimit as error:
        answer = {"wrong": "limit", "because": str(error)}
    except InvalidModel as error:
        answer = {"wrong": "model", "because": str(error)}
    except BaseException as error:
        if is_out_of_memory(error):
            answer = {"wrong": "limit", "because": "It needs more memory than it may have."}
        else:
            answer = {
                "wrong": "model",
                "because": f"It cannot be used ({type(error).__name__}: {shortened(error)}).",
            }
    write_message(answers, answer)


def _predict(predictor: Predictor, inputs: list[Any]) -> dict[str, Any]:
    return {"predictions": [_top(one) for one in predictor.predict(inputs)]}


def _explain(predictor: Predictor, inputs: list[Any]) -> dict[str, Any]:
    explained = predictor.explain(inputs)
    return {
        "predictions": [_top(prediction) for prediction, _ in explained],
        "explanations": [_plain(why) for _, why in explained],
    }


def _top(prediction: Prediction) -> list[object]:
    return [[label, probability] for label, probability in prediction.top]


def _plain(why: Explanation) -> dict[str, object]:
    match why:
        case ActivationMap():
            return {"kind": "map", **asdict(why)}
        case WordImportance():
            words = [[word.start, word.end, word.importance] for word in why.words]
            return {"kind": "words", "label": why.label, "words": words}
        case NoExplanation():
            return {"kind": "none"}
