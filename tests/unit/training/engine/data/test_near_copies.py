import io
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from devtools.costs import cost_of
from models_registry.artifacts.decoding import sketch_image
from training.engine.data.near_copies import (
    JACCARD,
    SKETCH_SIDE,
    bundle_photos,
    bundle_texts,
    connect,
    connect_further,
    least_likeness,
    normal_form,
)

EXPOSURES = (0.4, 0.7, 1.0, 1.5)


def scene(seed: int) -> np.ndarray:
    """Return a picture of random blobs, 0…1."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[0:96, 0:96] / 96
    found = np.full((96, 96), 0.2)
    for _ in range(12):
        cx, cy, size, light = generator.uniform(0, 1, 4)
        found += (light - 0.5) * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (0.005 + 0.05 * size))
    return (found - found.min()) / np.ptp(found)


def photo(
    picture: np.ndarray, *, gain: float = 1, gamma: float = 1, quality: int = 85, side: int = 96
) -> bytes:
    noise = np.random.default_rng(1).normal(0, 2, picture.shape)
    values = np.clip(255 * gain * picture**gamma + noise, 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).convert("RGB").resize((side, side)).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def sketches(photos: list[bytes]) -> list[bytes]:
    return [sketch_image(content, SKETCH_SIDE) for content in photos]


def test_exposures_of_a_photo_are_one_bundle() -> None:
    photos = [photo(scene(number), gain=gain) for number in range(30) for gain in EXPOSURES]
    bundles = bundle_photos(sketches(photos))
    assert bundles.tolist() == [len(EXPOSURES) * (place // len(EXPOSURES)) for place in range(len(photos))]


def test_other_gamma_size_and_compression_are_near_copies() -> None:
    kinds: list[dict[str, float]] = [{}, {"gamma": 1.7}, {"gamma": 0.6}, {"quality": 40}, {"side": 300}]
    photos = [photo(scene(number), **kind) for number in range(12) for kind in kinds]  # type: ignore[arg-type]
    bundles = bundle_photos(sketches(photos))
    assert bundles.tolist() == [len(kinds) * (place // len(kinds)) for place in range(len(photos))]


def test_different_photos_are_none_also_without_a_sketch_or_of_one_grey() -> None:
    blank = bytes(SKETCH_SIDE**2)
    found = bundle_photos([*sketches([photo(scene(number)) for number in range(40)]), b"", b"", blank, blank])
    assert found.tolist() == list(range(44))
    assert bundle_photos([]).tolist() == []


def test_photos_that_form_a_continuum_are_no_near_copies() -> None:
    """Pictures of things that are alike by themselves: each step between two scenes is close to the next."""
    ends = scene(1), scene(2)
    steps = np.linspace(0, 1, 30) + np.random.default_rng(0).normal(0, 0.02, 30)
    one = [photo((1 - step) * ends[0] + step * ends[1]) for step in np.clip(steps, 0, 1)]
    nearest = np.random.default_rng(0).uniform(0.5, 1, 1_000).astype(np.float32)
    assert least_likeness(nearest) is None
    assert len(set(bundle_photos(sketches(one)).tolist())) <= len(one)


@pytest.mark.parametrize(("likeness", "least"), [(0.97, 0.9), (0.91, 0.9), (0.85, None)])
def test_likeness_that_stands_apart_is_that_of_near_copies(likeness: float, least: float | None) -> None:
    others = np.random.default_rng(0).normal(0.5, 0.05, 500)
    assert least_likeness(np.array([*others, *[likeness] * 40], np.float32)) == least


def test_texts_that_differ_by_a_word_a_number_or_punctuation_are_one_bundle() -> None:
    texts = [
        "Where can I find the top up verification code?",
        "where can i find my top-up verification code",
        "Your order 4711 has been shipped on 3 May and arrives soon",
        "Your order 1234 has been shipped on 9 May and arrives soon!",
        "I lost my card in Spain last night, what should I do now?",
        "good",
        "Good!",
        "good",
        "",
        "12345",
        "54321",
    ]
    assert bundle_texts(texts).tolist() == [0, 0, 2, 2, 4, 5, 6, 5, 8, 9, 10]


def test_texts_of_languages_without_spaces_are_compared() -> None:
    texts = [
        "今天的天气非常好我们一起去公园散步吧",
        "今天的天气非常好我们一起去公园散步吧!",
        "这家餐厅的服务员态度很差菜也不好吃",
    ]
    assert bundle_texts(texts).tolist() == [0, 0, 2]


def grams(text: str) -> set[str]:
    plain = normal_form(text)
    return {plain[place : place + 5] for place in range(len(plain) - 4)}


def test_nearly_all_pairs_with_enough_in_common_are_found_and_hardly_others() -> None:
    generator = np.random.default_rng(0)
    words = ["".join(generator.choice(list("abcdefghijklmnop"), 6)) for _ in range(400)]
    found = 0
    for _ in range(300):
        first = list(generator.choice(words, 20))
        second = first.copy()
        for place in generator.choice(20, generator.integers(0, 6), replace=False):
            second[place] = generator.choice(words)
        pair = [" ".join(first), " ".join(second)]
        ours, theirs = map(grams, pair)
        jaccard = len(ours & theirs) / len(ours | theirs)
        is_found = len(set(bundle_texts(pair).tolist())) == 1
        if abs(jaccard - JACCARD) > 0.12:
            assert is_found == (jaccard > JACCARD)
            found += 1
    assert found > 150


@given(st.text(st.characters(max_codepoint=127), max_size=80))
def test_normal_form_of_ascii_is_that_of_other_texts(text: str) -> None:
    accented = normal_form(text + " é")
    if accented.startswith(" "):  # else there is too little to compare
        assert normal_form(text).split() == accented.split()[:-1] or normal_form(text).startswith("\0")


def test_connected_through_an_example_that_was_connected_before() -> None:
    pairs = np.array([(0, 3), (1, 4), (2, 3), (2, 5), (4, 5)])
    assert connect(pairs, 6).tolist() == [0] * 6


@settings(deadline=None)
@given(count=st.integers(1, 30), data=st.data())
def test_connected_are_those_that_a_search_finds(count: int, data: st.DataObject) -> None:
    ends = st.integers(0, count - 1)
    pairs = data.draw(st.lists(st.tuples(ends, ends), max_size=40))
    expected = list(range(count))
    for _ in range(count):
        for first, second in pairs:
            expected[first] = expected[second] = min(expected[first], expected[second])
    found = np.array(pairs, np.int64).reshape(-1, 2)
    assert connect(found, count).tolist() == expected
    assert connect_further(connect(found[::2], count), found[1::2]).tolist() == expected


def test_short_texts_are_near_copies_of_equal_ones_only() -> None:
    texts = [
        first + second + third
        for first in "abcdefghijklmnop"
        for second in "qrstuvwxyz"
        for third in "0123456"
    ]
    assert bundle_texts([*texts, *texts[:9]]).tolist() == [*range(len(texts)), *range(9)]


def test_equal_sketches_are_compared_as_one_and_count_as_many() -> None:
    one, other = sketches([photo(scene(1)), photo(scene(1), gain=0.7)])
    others = sketches([photo(scene(number)) for number in range(2, 20)])
    assert bundle_photos([one, *others, one, other, one]).tolist() == [0, *range(1, 19), 0, 0, 0]
    assert bundle_photos([*others, one, one]).tolist() == [*range(18), 18, 18]


def bundles_of_photos(count: int) -> int:
    """Photos that are nearly the same, none twice."""
    greys = np.random.default_rng(0).integers(0, 256, SKETCH_SIDE**2).astype(np.uint8)
    alike = np.repeat(greys[None], count, 0)
    alike[np.arange(count), np.arange(count) % len(greys)] ^= 1
    alike[:, :2] = np.stack([np.arange(count) % 256, np.arange(count) // 256], 1)
    return len(set(bundle_photos([one.tobytes() for one in alike]).tolist()))


def test_many_photos_that_are_alike_take_little_memory() -> None:
    cost = cost_of(bundles_of_photos, 4_000)
    assert cost.result == 1
    assert cost.peak_growth < 60 << 20


def bundles_of_copies(count: int) -> int:
    return len(set(bundle_texts(f"Where is the parcel number {n}, please?" for n in range(count)).tolist()))


def test_many_copies_take_little_memory() -> None:
    cost = cost_of(bundles_of_copies, 50_000)
    assert cost.result == 1
    assert cost.peak_growth < 50 << 20


def test_many_texts_are_compared_in_seconds() -> None:
    generator = np.random.default_rng(0)
    words = np.array(["".join(generator.choice(list("abcdefghijklmnop"), 6)) for _ in range(3_000)])
    texts = [" ".join(row) for row in words[generator.integers(0, len(words), (20_000, 10))]]
    texts[1::100] = texts[0::100]
    began = time.perf_counter()
    bundles = bundle_texts(texts)
    assert time.perf_counter() - began < 20  # 1 s on two idle cores
    assert len(texts) - len(set(bundles.tolist())) == len(texts) // 100
