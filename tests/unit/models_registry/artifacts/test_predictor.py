from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest
from onnx import helper

from models_registry.artifacts import METADATA_KEY, InvalidInput, InvalidModel, Predictor
from tests.tiny_models import COLOURS, colour_model, picture


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.from_bytes(colour_model(), threads=1)


def with_metadata(**properties: str) -> bytes:
    model = onnx.load_from_string(colour_model())
    del model.metadata_props[:]
    helper.set_model_props(model, properties)
    return model.SerializeToString()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_predictor_answers_in_the_order_of_the_inputs(predictor: Predictor, kind: str) -> None:
    wanted = [COLOURS[number % 3] for number in range(20)]
    predictions = predictor.predict([picture(colour, kind) for colour in wanted])
    assert [prediction.label for prediction in predictions] == wanted


def test_prediction_lists_the_likeliest_first(predictor: Predictor) -> None:
    [prediction] = predictor.predict([picture("blue")])
    assert prediction.top[0] == (prediction.label, prediction.probability) == ("blue", prediction.probability)
    probabilities = [probability for _, probability in prediction.top]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1)


def test_no_inputs_are_no_predictions(predictor: Predictor) -> None:
    assert predictor.predict([]) == []


def test_one_answer_does_not_depend_on_its_batch(predictor: Predictor) -> None:
    files = [picture(COLOURS[number % 3]) for number in range(9)]
    together = predictor.probabilities(files)
    alone = np.concatenate([predictor.probabilities([file]) for file in files])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_unusable_file_is_named_by_its_number(predictor: Predictor) -> None:
    with pytest.raises(InvalidInput, match="Image 11: This is not an image"):
        predictor.predict([*[picture("red")] * 10, b"no picture"])


def test_text_for_an_image_model_is_refused(predictor: Predictor) -> None:
    with pytest.raises(InvalidInput, match="Input 2 is a text"):
        predictor.predict([picture("red"), "red"])


def test_pixel_limit_is_the_callers() -> None:
    strict = Predictor.from_bytes(colour_model(), max_pixels=100)
    with pytest.raises(InvalidInput, match="the limit is 100"):
        strict.predict([picture("red")])


def test_many_threads_get_their_own_answers(predictor: Predictor) -> None:
    wanted = [COLOURS[number % 3] for number in range(60)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda colour: predictor.predict([picture(colour)])[0].label, wanted))
    assert found == wanted


@pytest.mark.parametrize(
    "content",
    [b"", b"garbage", with_metadata(), with_metadata(**{METADATA_KEY: "{"})],
    ids=["empty", "garbage", "foreign", "damaged description"],
)
def test_files_that_are_no_model_of_ours_are_refused(content: bytes) -> None:
    with pytest.raises(InvalidModel):
        Predictor.from_bytes(content)


def test_text_model_without_tokenizer_is_refused() -> None:
    described = onnx.load_from_string(colour_model()).metadata_props[0].value
    with pytest.raises(InvalidModel, match="preprocessing"):
        Predictor.from_bytes(with_metadata(**{METADATA_KEY: described.replace("image", "text", 1)}))
