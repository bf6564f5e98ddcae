"""Write the samples: `python samples/make_samples.py BANKING77_TRAIN_CSV`.

Digits come with scikit-learn; of Banking77 a part is taken. README.md beside this file has the
sources and licences. The same inputs give the same files.
"""

import csv
import io
import sys
import zipfile
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

SAMPLES = Path(__file__).resolve().parent
SIDE = 64  # pixels; the originals have 8
DIGITS_EACH = 40
ROWS_EACH = 60
INTENTS = (
    "activate_my_card",
    "age_limit",
    "card_arrival",
    "card_not_working",
    "cash_withdrawal_charge",
    "exchange_rate",
    "lost_or_stolen_card",
    "passcode_forgotten",
    "Refund_not_showing_up",
    "terminate_account",
    "top_up_failed",
    "transfer_timing",
)


def write_digits() -> None:
    """Write 40 of each digit into a zip, and one more of each beside it."""
    digits = load_digits()
    seen: dict[int, int] = defaultdict(int)
    new = SAMPLES / "digits_new"
    new.mkdir(exist_ok=True)
    with zipfile.ZipFile(SAMPLES / "digits.zip", "w") as archive:
        for pixels, digit in zip(digits.images, digits.target, strict=True):
            number = seen[int(digit)] = seen[int(digit)] + 1
            if number > DIGITS_EACH + 1:
                continue
            content = as_png(pixels)
            if number > DIGITS_EACH:
                (new / f"{digit}.png").write_bytes(content)
            else:
                archive.writestr(zipfile.ZipInfo(f"{digit}/{number:02}.png"), content)


def as_png(pixels: np.ndarray) -> bytes:
    """Return an 8 × 8 image of the values 0…16, enlarged, black on white."""
    grey = Image.fromarray(np.uint8(255 - pixels * (255 / 16)))
    buffer = io.BytesIO()
    grey.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def write_banking(source: Path) -> None:
    """Write the first 60 rows of twelve intents."""
    taken: dict[str, int] = defaultdict(int)
    with (
        source.open(newline="", encoding="utf-8") as file,
        (SAMPLES / "banking.csv").open("w", newline="", encoding="utf-8") as target,
    ):
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(("input", "label"))
        for row in csv.DictReader(file):
            if row["label"] in INTENTS and taken[row["label"]] < ROWS_EACH:
                taken[row["label"]] += 1
                writer.writerow((row["input"].strip(), row["label"]))


if __name__ == "__main__":
    write_digits()
    write_banking(Path(sys.argv[1]))
