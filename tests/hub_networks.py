"""Networks as repositories of the hub hold them, made on the spot: a real one of timm, and a small real encoder."""

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from devtools.hub_server import HubRepository

ENCODER = "somebody/tiny-encoder"
RESNET = "timm/resnet18.a1_in1k"


@cache
def resnet_files() -> dict[str, bytes]:
    """Return what the hub has of a ResNet18: its tensors under timm's names, and its config.json."""
    import timm
    import torch
    from safetensors.torch import save

    torch.manual_seed(0)
    network = timm.create_model("resnet18", pretrained=False)
    described = {
        **{"input_size": [3, 224, 224], "crop_pct": 0.95, "interpolation": "bicubic", "num_classes": 1000},
        **{"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "first_conv": "conv1"},
    }
    config = {
        "architecture": "resnet18",
        "num_classes": 1000,
        "num_features": 512,
        "pretrained_cfg": described,
    }
    return {
        "config.json": json.dumps(config).encode(),
        "model.safetensors": save(network.state_dict()),
        "pytorch_model.bin": b"never asked for",
    }


@cache
def encoder_files(
    sentences: tuple[str, ...] = ("where is my card", "i want to pay", "ou est ma carte"),
) -> dict[str, bytes]:
    """Return what the hub has of an encoder: config, tokenizer and tensors."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
    from transformers import BertConfig, BertModel

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [chr(code) for code in range(97, 123)]
    trainer = trainers.WordPieceTrainer(vocab_size=400, special_tokens=special, initial_alphabet=letters)
    sentences = ["where is my card", "i want to pay", "ou est ma carte", " ".join(letters)]
    tokenizer.train_from_iterator(sentences * 3, trainer)
    tokenizer.add_tokens([f"[unused{number}]" for number in range(max(0, 120 - tokenizer.get_vocab_size()))])
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    network = BertModel(BertConfig(vocab_size=tokenizer.get_vocab_size(), **shape))
    with TemporaryDirectory() as folder:
        network.save_pretrained(folder)
        made = {name: Path(folder, name).read_bytes() for name in ("config.json", "model.safetensors")}
    return {**made, "tokenizer.json": tokenizer.to_str().encode()}


def encoder(**changes: object) -> HubRepository:
    """Return the encoder as a repository."""
    return HubRepository(dict(encoder_files()), license="mit", languages=("de", "fr"), **changes)  # type: ignore[arg-type]


def resnet(**changes: object) -> HubRepository:
    """Return the ResNet18 as a repository."""
    return HubRepository(dict(resnet_files()), **changes)  # type: ignore[arg-type]
