"""Why a model says what it says, over REST and on its page."""

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from PIL import Image
from pytest_django.fixtures import Settings

from inference.pages.heat_map import SIDE, heat_picture
from inference.pages.try_it import segments_of
from inference.usage.models import ModelUsage
from inference.usage.statistics import usage_recorder
from models_registry.artifacts.explanations import ActivationMap, Word, WordImportance
from models_registry.models import RegisteredModel
from tests.tiny_models import live_colour_model, live_mood_model, picture

pytestmark = pytest.mark.django_db

TEXT = "So sad, rather glad. glad!"


def ask(model: RegisteredModel, query: str, *inputs: bytes | str) -> Any:
    where = reverse("api-predict", args=[model.token]) + query
    if all(isinstance(given, str) for given in inputs):
        return Client().post(where, json.dumps({"texts": inputs}), "application/json")
    return Client().post(where, {"file": [SimpleUploadedFile("photo.png", one) for one in inputs]})


@pytest.mark.parametrize("query", ["", "?explain=0", "?explain=false"])
def test_nobody_gets_explanations_unasked(query: str) -> None:
    for model, given in ((live_colour_model(), picture("red")), (live_mood_model(), TEXT)):
        [prediction] = ask(model, query, given).json()["predictions"]
        assert set(prediction) == {"label", "probability", "top"}


def test_images_are_explained_by_a_map() -> None:
    answer = ask(live_colour_model(), "?explain=1", picture("red"), picture("blue"))
    assert answer.status_code == 200
    assert [one["label"] for one in answer.json()["predictions"]] == ["red", "blue"]
    why = answer.json()["predictions"][1]["explanation"]
    assert set(why) == {"kind", "rows", "box"}
    assert why["kind"] == "map"
    assert np.array(why["rows"]).min() > 0.9  # it is blue everywhere
    assert why["box"] == [0.125, 0, 0.75, 1]


def test_texts_are_explained_by_their_words() -> None:
    [prediction] = ask(live_mood_model(), "?explain=true", TEXT).json()["predictions"]
    why = prediction["explanation"]
    assert (prediction["label"], why["kind"]) == ("joy", "words")
    assert [word["text"] for word in why["words"]] == ["So", "sad,", "rather", "glad.", "glad!"]
    assert all(TEXT[word["start"] : word["end"]] == word["text"] for word in why["words"])
    assert why["words"][1]["importance"] < 0 < why["words"][3]["importance"]


def test_models_of_others_say_that_they_cannot_be_explained() -> None:
    model = live_colour_model()
    from tests.tiny_models import undescribed_colour_model

    replace_file(model, undescribed_colour_model())
    [prediction] = ask(model, "?explain=1", picture("green")).json()["predictions"]
    assert prediction["label"] == "green"
    assert prediction["explanation"]["kind"] == "none"
    assert "no map" in prediction["explanation"]["reason"]


def replace_file(model: RegisteredModel, content: bytes) -> None:
    """Put another program's file in the place of a model's."""
    import hashlib
    from io import BytesIO

    from bucket.factory import get_bucket

    artifact = model.artifacts.get()
    get_bucket().save(artifact.key, BytesIO(content))
    model.artifacts.update(sha256=hashlib.sha256(content).hexdigest())
    RegisteredModel.objects.filter(pk=model.pk).update(origin=RegisteredModel.Origin.IMPORTED)


def test_fewer_inputs_are_explained_than_predicted(settings: Settings) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "MAX_EXPLAINED_INPUTS": 1}
    model = live_mood_model()
    assert ask(model, "", "glad", "sad").status_code == 200
    answer = ask(model, "?explain=1", "glad", "sad")
    assert answer.status_code == 400
    assert "1 to 1" in answer.json()["detail"]


def test_a_wish_that_is_none_is_a_400_that_names_it() -> None:
    answer = ask(live_mood_model(), "?explain=perhaps", "glad")
    assert answer.status_code == 400
    assert "explain" in answer.json()["errors"]


def test_explained_calls_are_counted_as_calls() -> None:
    usage_recorder.cache_clear()
    model = live_mood_model()
    ask(model, "?explain=1", "glad", "sad")
    usage_recorder().flush()
    row = ModelUsage.objects.get(model=model)
    assert (row.calls, row.inputs, row.labels) == (1, 2, {"joy": 1, "sorrow": 1})


def try_on_page(model: RegisteredModel, **data: Any) -> str:
    answer = Client().post(reverse("inference:try", args=[model.token]), data, headers={"HX-Request": "true"})
    assert answer.status_code == 200
    return answer.content.decode()


def test_page_lays_a_heat_map_over_the_photo() -> None:
    page = try_on_page(live_colour_model(), file=SimpleUploadedFile("photo.png", picture("blue")))
    assert 'alt="Heat map of where the model sees signs of blue"' in page
    start = page.index("data:image/png;base64,") + len("data:image/png;base64,")
    content = base64.b64decode(page[start : page.index('"', start)])
    assert Image.open(io.BytesIO(content)).size == (SIDE, SIDE)
    assert "Show the heat map" in page


def test_page_highlights_words_and_says_by_how_much_in_words() -> None:
    page = try_on_page(live_mood_model(), texts="so <b>sad</b> sad rather glad glad")
    assert "&lt;b&gt;" in page
    assert '<mark class="word word-for word-5"' in page
    assert "(for it, " in page
    assert "(against it, " in page
    assert "words support the prediction" in page


def test_page_with_many_inputs_says_how_many_are_explained(settings: Settings) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "MAX_EXPLAINED_INPUTS": 1}
    page = try_on_page(live_mood_model(), texts="glad\nsad")
    assert "<mark" not in page
    assert "Up to 1 at once are explained" in page


def test_heat_lies_on_what_the_network_saw() -> None:
    """A map of one hot corner: the picture is hot there, and transparent outside of the box."""
    box = (0.1, 0.1, 0.8, 0.8)
    address = heat_picture(ActivationMap("x", ((1.0, 0.0), (0.0, 0.0)), box))
    image = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGBA")
    edge = int(SIDE * 0.1)
    assert image.getpixel((edge - 2, edge - 2))[3] == 0
    red, _, blue, opacity = image.getpixel((edge + 2, edge + 2))
    assert red > blue
    assert opacity > 150
    assert image.getpixel((SIDE - edge - 2, SIDE - edge - 2))[3] < 10


def test_segments_are_the_whole_text() -> None:
    words = tuple(
        Word(TEXT[start:end], start, end, importance)
        for start, end, importance in ((0, 2, 0.001), (3, 7, -0.1), (8, 14, 0.05), (15, 20, 0.2))
    )
    segments = list(segments_of(TEXT, WordImportance("joy", words)))
    assert "".join(segment.text for segment in segments) == TEXT
    assert [(one.text, one.speaks, one.strength) for one in segments if one.speaks] == [
        ("sad,", "against", 3),
        ("rather", "for", 2),
        ("glad.", "for", 5),
    ]


def test_words_that_hardly_matter_are_not_made_strong() -> None:
    [segment] = segments_of("glad", WordImportance("joy", (Word("glad", 0, 4, 0.001),)))
    assert segment.speaks == ""
