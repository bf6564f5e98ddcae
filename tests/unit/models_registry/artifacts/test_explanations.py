"""Why a model says what it says, from models whose reasons are known."""

import io

import numpy as np
import onnx
import pytest
from onnx import helper
from PIL import Image

from models_registry.artifacts import InvalidInput, Predictor
from models_registry.artifacts.explanations import ActivationMap, NoExplanation, WordImportance
from tests.tiny_models import (
    COLOURS,
    SIZE,
    colour_model,
    mood_model,
    ngram_model,
    picture,
    undescribed_colour_model,
)


@pytest.fixture(scope="module")
def colours() -> Predictor:
    return Predictor.from_bytes(colour_model(), threads=1)


@pytest.fixture(scope="module")
def moods() -> Predictor:
    return Predictor.from_bytes(mood_model(), threads=1)


def half_blue(size: tuple[int, int], orientation: int = 1) -> bytes:
    """A picture that is blue on its right half as it is stored, and white on the left."""
    image = Image.new("RGB", size, "white")
    image.paste("blue", (size[0] // 2, 0, *size))
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    image.save(buffer, "PNG", exif=exif)
    return buffer.getvalue()


def test_map_shows_where_the_label_is(colours: Predictor) -> None:
    [(prediction, why)] = colours.explain([half_blue((80, 80))])
    assert isinstance(why, ActivationMap)
    assert (prediction.label, why.label) == ("blue", "blue")
    rows = np.array(why.rows)
    assert rows.shape == (SIZE, SIZE)
    assert rows[:, : SIZE // 2 - 1].max() < 0.1
    assert rows[:, SIZE // 2 + 1 :].min() > 0.9
    assert rows.max() == 1
    assert why.box == (0, 0, 1, 1)


def test_map_is_upright_and_says_which_part_it_covers(colours: Predictor) -> None:
    """Orientation 6: what is stored on the right is seen at the bottom."""
    [(_, why)] = colours.explain([half_blue((160, 80), orientation=6)])
    assert isinstance(why, ActivationMap)
    rows = np.array(why.rows)
    assert rows[: SIZE // 2 - 1].max() < 0.1
    assert rows[SIZE // 2 + 1 :].min() > 0.9
    assert why.box == (0, 0.25, 1, 0.5)  # of 80 × 160 upright pixels the middle square


def test_explaining_answers_as_predicting_does(colours: Predictor) -> None:
    files = [picture(COLOURS[number % 3]) for number in range(7)]
    assert [prediction for prediction, _ in colours.explain(files)] == colours.predict(files)


def test_map_that_does_not_add_up_is_not_shown() -> None:
    model = onnx.load_from_string(colour_model())
    pool = next(node for node in model.graph.node if node.op_type == "GlobalAveragePool")
    pool.CopyFrom(helper.make_node("GlobalMaxPool", list(pool.input), list(pool.output)))
    [(_, why)] = Predictor.from_bytes(model.SerializeToString()).explain([half_blue((80, 80))])
    assert isinstance(why, NoExplanation)


def test_models_without_a_map_say_so() -> None:
    foreign = Predictor.from_bytes(undescribed_colour_model(), image_classes=COLOURS)
    [(prediction, why)] = foreign.explain([picture("red")])
    assert prediction.label == "red"
    assert isinstance(why, NoExplanation)
    assert "no map" in why.reason


def test_words_count_by_what_is_lost_without_them(moods: Predictor) -> None:
    text = "So sad, rather glad. glad!"
    [(prediction, why)] = moods.explain([text])
    assert isinstance(why, WordImportance)
    assert prediction.label == why.label == "joy"
    assert [(word.text, text[word.start : word.end]) for word in why.words] == [
        (word, word) for word in ("So", "sad,", "rather", "glad.", "glad!")
    ]
    found = {word.start: word.importance for word in why.words}
    whole, without_glad = 1 / (1 + np.exp(-5.0)), 1 / (1 + np.exp(-1.0))
    assert found[text.index("glad")] == pytest.approx(whole - without_glad, abs=1e-3)
    assert found[0] == 0
    assert found[text.index("sad")] < 0 < found[text.index("rather")]


def test_scripts_without_spaces_have_words_too(moods: Predictor) -> None:
    [(_, why)] = moods.explain(["你好"])
    assert isinstance(why, WordImportance)
    assert [word.text for word in why.words] == ["你", "好"]
    assert why.words[1].importance > why.words[0].importance > 0


def test_text_of_one_word_is_explained(moods: Predictor) -> None:
    [(_, why)] = moods.explain(["glad"])
    assert isinstance(why, WordImportance)
    assert [word.text for word in why.words] == ["glad"]


def test_long_texts_are_explained_a_few_words_at_a_time() -> None:
    """However long a text is, it is run a bounded number of times; every word that was read is in some part."""
    predictor = Predictor.from_bytes(mood_model(max_length=512))
    text = "glad rather " * 400
    [(_, why)] = predictor.explain([text])
    assert isinstance(why, WordImportance)
    assert len(why.words) == 8
    assert why.words[0].start == 0
    assert why.words[-1].end == len("glad rather " * 256) - 1


def test_words_in_any_window_of_a_long_text_count() -> None:
    """Three tokens at a time are read: with two windows the first and the third three of these ten words."""
    predictor = Predictor.from_bytes(ngram_model(has_network=True, windows=2))
    text = ". . . sad sad sad . glad . ."
    [(prediction, why)] = predictor.explain([text])
    assert prediction == predictor.predict([text])[0]
    assert isinstance(why, WordImportance)
    assert [word.text for word in why.words] == text.split()
    [without] = predictor.probabilities([text.replace("glad", " ")])
    [whole] = predictor.probabilities([text])
    label = ("joy", "sorrow").index(why.label)
    assert abs(whole[label] - without[label]) > 0.1
    assert max(why.words, key=lambda word: abs(word.importance)).text == "glad"


def test_what_cannot_be_classified_cannot_be_explained(colours: Predictor, moods: Predictor) -> None:
    with pytest.raises(InvalidInput, match="Send strings"):
        moods.explain([picture("red")])
    with pytest.raises(InvalidInput, match="Text 2 is empty"):
        moods.explain(["glad", " "])
    with pytest.raises(InvalidInput, match="not an image"):
        colours.explain([b"no picture"])
