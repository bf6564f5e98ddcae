import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from inference.predict.runtime import PredictorCache
from inference.predict.runtime.cache import FETCHED_AT_ONCE
from models_registry.artifacts import InvalidModel, Predictor
from tests.tiny_models import COLOURS, colour_model, picture

CONTENT = colour_model()
LIGHT_PACKAGES = (
    "training.engine.data",
    "training.engine.catalogue",
    "models_registry.artifacts",
    "inference.predict.runtime",
)
HEAVY = ("torch", "timm", "transformers", "sklearn", "matplotlib", "django")


class Bucket:
    """Counts how often each file is fetched."""

    def __init__(self) -> None:
        self.fetched: list[str] = []

    def get(self, cache: PredictorCache, name: str) -> object:
        def load() -> bytes:
            self.fetched.append(name)
            return CONTENT

        return cache.get(name, load)


def test_model_is_loaded_once_and_kept() -> None:
    cache, bucket = PredictorCache(10 * len(CONTENT)), Bucket()
    assert bucket.get(cache, "a") is bucket.get(cache, "a")
    assert bucket.fetched == ["a"]
    assert cache.bytes_used == len(CONTENT)


def test_least_recently_used_goes_first() -> None:
    cache, bucket = PredictorCache(2 * len(CONTENT)), Bucket()
    for name in ("a", "b", "a", "c"):
        bucket.get(cache, name)
    bucket.fetched.clear()
    for name in ("a", "c", "b"):
        bucket.get(cache, name)
    assert bucket.fetched == ["b"]
    assert cache.bytes_used == 2 * len(CONTENT)


def test_model_larger_than_the_cache_stays_until_the_next() -> None:
    cache, bucket = PredictorCache(1), Bucket()
    for name in ("a", "a", "b", "a"):
        bucket.get(cache, name)
    assert bucket.fetched == ["a", "b", "a"]


def test_many_requests_share_one_load() -> None:
    cache, fetched = PredictorCache(10 * len(CONTENT)), []
    everybody, loading = threading.Barrier(8), threading.Event()

    def load() -> bytes:
        fetched.append(1)
        loading.wait(5)
        return CONTENT

    def ask() -> object:
        if everybody.wait(5) == 0:
            loading.set()
        return cache.get("a", load)

    with ThreadPoolExecutor(8) as pool:
        found = {id(future.result(10)) for future in [pool.submit(ask) for _ in range(8)]}
    assert len(found) == 1
    assert len(fetched) == 1


def test_one_slow_load_does_not_hold_up_other_models() -> None:
    cache, bucket = PredictorCache(10 * len(CONTENT)), Bucket()
    started, go_on = threading.Event(), threading.Event()

    def slow() -> bytes:
        started.set()
        go_on.wait(10)
        return CONTENT

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(cache.get, "slow", slow)
        assert started.wait(5)
        bucket.get(cache, "quick")
        assert not waiting.done()
        go_on.set()
        waiting.result(10)


def test_few_files_are_in_memory_while_many_models_are_asked_for() -> None:
    cache, lock, crowd = PredictorCache(10 * len(CONTENT)), threading.Lock(), threading.Event()
    inside, most = 0, 0

    def load() -> bytes:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
            if inside > FETCHED_AT_ONCE:
                crowd.set()
        crowd.wait(0.05)  # would be over at once if another came in
        with lock:
            inside -= 1
        return CONTENT

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: cache.get(f"model {number}", load), range(16)))
    assert most == FETCHED_AT_ONCE


def test_room_is_made_before_a_model_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    cache, bucket, used = PredictorCache(2 * len(CONTENT)), Bucket(), []
    opened = Predictor.from_bytes

    def opening(*arguments: Any, **options: Any) -> Predictor:
        used.append(cache.bytes_used + len(CONTENT))
        return opened(*arguments, **options)

    monkeypatch.setattr(Predictor, "from_bytes", opening)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: bucket.get(cache, name), "abcdefgh"))
    assert max(used) == 2 * len(CONTENT)


def test_failed_load_reaches_the_caller_and_is_tried_again() -> None:
    cache, bucket = PredictorCache(10 * len(CONTENT)), Bucket()

    def broken() -> bytes:
        raise OSError("the bucket is away")

    with pytest.raises(OSError, match="away"):
        cache.get("a", broken)
    with pytest.raises(InvalidModel):
        cache.get("a", lambda: b"garbage")
    bucket.get(cache, "a")
    assert bucket.fetched == ["a"]


@pytest.mark.parametrize("package", [*LIGHT_PACKAGES, "training.engine.process", "training.engine.request"])
def test_web_process_gets_neither_torch_nor_django_from(package: str) -> None:
    code = f"import sys, {package}; print(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_eviction_under_load_answers_everybody() -> None:
    cache, pictures = PredictorCache(2 * len(CONTENT)), [picture(colour) for colour in COLOURS]

    def ask(number: int) -> str:
        predictor = cache.get(f"model {number % 7}", lambda: CONTENT)
        return predictor.predict([pictures[number % 3]])[0].label

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(400)))
    assert answers == [COLOURS[number % 3] for number in range(400)]
    assert cache.bytes_used <= 2 * len(CONTENT)


MANY_WEIGHTS = """
import django; django.setup()
import numpy as np, onnx
from onnx import helper, numpy_helper
from inference.predict.runtime import PredictorCache
from tests.tiny_models import colour_model, picture

def heavy(number):  # 12 MB in pieces that malloc keeps for itself, each used so that none is optimised away
    network = onnx.load_model_from_string(colour_model())
    random = np.random.default_rng(number)
    for piece in range(125):
        weights = random.random((3, 8000), np.float32)
        network.graph.initializer.append(numpy_helper.from_array(weights, f"weights{piece}"))
        network.graph.node.append(helper.make_node("MatMul", ["logits", f"weights{piece}"], [f"wide{piece}"]))
    network.graph.node.append(helper.make_node("Sum", [f"wide{piece}" for piece in range(125)], ["more"]))
    network.graph.output.append(helper.make_tensor_value_info("more", onnx.TensorProto.FLOAT, ["batch", 8000]))
    return network.SerializeToString()

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

contents = [heavy(number) for number in range(12)]
cache = PredictorCache(9 * len(contents[0]))
before = resident()
for number, content in enumerate(contents):
    cache.get(str(number), lambda content=content: content).predict([picture("red")])
filled = resident() - before
cache.get("small", lambda: colour_model())
cache._max_bytes = 1
cache.get("smaller", lambda: colour_model())
print(filled // 2**20, (resident() - before) // 2**20)
"""


def test_memory_of_evicted_models_goes_back_to_the_system() -> None:
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings.test", "PYTHONPATH": "platform:."}
    done = subprocess.run([sys.executable, "-c", MANY_WEIGHTS], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    filled, emptied = map(int, done.stdout.split())
    assert filled > 80
    assert emptied < filled / 3
