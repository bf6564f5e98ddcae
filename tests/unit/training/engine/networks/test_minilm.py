import torch

from training.engine.catalogue import get_architecture
from training.engine.networks.factory import get_family


def test_encoder_is_berts() -> None:
    from transformers import AutoModel

    architecture = get_architecture("minilm")
    family = get_family(architecture.family)
    network = family.build_pretrained(architecture)
    theirs = AutoModel.from_pretrained(str(architecture.weights.path().parent)).eval()
    ids, mask = family.example_inputs(architecture, 3, 12)
    with torch.inference_mode():
        expected = theirs(input_ids=ids, attention_mask=mask).last_hidden_state
        found = network.eval().walk(ids, mask, 0, len(network.stages) - 1)
    torch.testing.assert_close(found[0], expected[0], atol=1e-4, rtol=1e-4)
