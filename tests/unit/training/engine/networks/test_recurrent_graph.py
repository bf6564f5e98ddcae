import numpy as np
import onnxruntime
import pytest
import torch

from models_registry.artifacts.texts import pad
from training.engine.catalogue import get_architecture
from training.engine.networks.factory import get_family
from training.engine.networks.recurrent import LAYERS
from training.engine.networks.recurrent_graph import recurrent_graph
from training.engine.networks.stages import EMBEDDING, Network

TEXTS = [[5], [3, 9, 2, 7], list(range(1, 30)), [8, 8]]


def build(kind: str) -> Network:
    architecture = get_architecture(kind)
    return get_family(architecture.family).build(architecture, vocabulary=40).eval()


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_graph_says_what_the_network_says(kind: str) -> None:
    torch.manual_seed(0)
    network = build(kind)
    state = {name: value.numpy() for name, value in network.state_dict().items()}
    session = onnxruntime.InferenceSession(recurrent_graph(kind, state, EMBEDDING, LAYERS))
    for texts in (TEXTS, TEXTS[:1], TEXTS[1:2]):
        feeds = pad(texts)
        [found] = session.run(["features"], {**feeds})
        with torch.inference_mode():
            expected = network(*(torch.from_numpy(array) for array in feeds.values())).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_company_does_not_change_a_text(kind: str) -> None:
    network = build(kind)
    with torch.inference_mode():
        together = network(*(torch.from_numpy(array) for array in pad(TEXTS).values()))
        for row, text in enumerate(TEXTS):
            alone = network(*(torch.from_numpy(array) for array in pad([text]).values()))
            torch.testing.assert_close(together[row : row + 1], alone)
