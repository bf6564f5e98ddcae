import csv
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from devtools.costs import cost_of
from training.engine.data.language import MOST, Language, LanguageSample, describe_unknown
from training.engine.data.report import build_report
from training.engine.data.validation import WRITES

from ..conftest import DATA

GERMAN = (
    "Meine Karte wurde gestern am Automaten eingezogen.",
    "Wie lange dauert eine Überweisung ins Ausland?",
    "Ich habe meine Geheimzahl vergessen und brauche eine neue.",
    "Warum wurde mir diese Gebühr doppelt berechnet?",
)
THAI = ("บัตรของฉันหายเมื่อวานนี้", "ฉันต้องการเปลี่ยนรหัสผ่าน", "ทำไมยังไม่ได้รับเงิน")


def language_of(texts: Iterable[str]) -> Language | None:
    sample = LanguageSample()
    for text in texts:
        sample.add(text)
    return sample.language()


@pytest.mark.parametrize(("texts", "name"), [(GERMAN * 3, "German"), (THAI * 4, "Thai")])
def test_language_is_named(texts: tuple[str, ...], name: str) -> None:
    found = language_of(texts)
    assert found is not None
    assert (found.name, found.share) == (name, 1.0)
    assert name in describe_unknown(found)


def test_english_is_known_and_needs_no_warning() -> None:
    with DATA["textclassification"].open(newline="", encoding="utf-8") as file:
        found = language_of(row["input"] for row in csv.DictReader(file))
    assert found is not None
    assert (found.code, describe_unknown(found)) == ("en", "")


def test_no_language_where_texts_are_too_short_or_of_several() -> None:
    assert language_of([]) is None
    assert language_of(["ok", "no", "42"] * 20) is None
    assert language_of([*GERMAN[:2], *THAI[:2]] * 5) is None
    assert language_of(GERMAN) is None  # four may be a mistake


def test_sample_of_many_texts_is_spread_over_all_of_them() -> None:
    """The first third is English, the rest German: a sample of the beginning would be wrong."""
    found = language_of([*["Where is my new card, please?"] * 3 * MOST, *GERMAN * (2 * MOST)])
    assert found is not None
    assert found.code == "de"
    assert 0.6 < found.share < 0.85


def test_report_names_the_language_and_says_what_the_network_knows(tmp_path: Path) -> None:
    path = tmp_path / "german.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = [(text, "karte" if number % 2 else "geld") for number, text in enumerate(GERMAN * 3)]
        csv.writer(file).writerows([("input", "label"), *rows])
    report = build_report(path, task_type="textclassification", columns={})
    assert report.language == {"code": "de", "name": "German", "share": 1.0}
    assert any("seem to be German" in warning for warning in report.warnings)


def name_of_german() -> str:
    return getattr(language_of(GERMAN * 100), "name", "")


def test_model_takes_little_memory() -> None:
    """It stays in a file, of which little is looked at; in memory it would be 80 MB."""
    cost = cost_of(name_of_german)
    assert cost.result == "German"
    assert cost.peak_growth < 80 << 20


def test_model_is_loaded_before_files_are_limited() -> None:
    """Unpacked it is larger than what a validator may write, and has to be at hand afterwards."""
    program = (
        "import resource\n"
        "from training.engine.data.language import LanguageSample, load_identifier\n"
        "load_identifier()\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({WRITES}, {WRITES}))\n"
        "sample = LanguageSample()\n"
        "for _ in range(20): sample.add('Wie lange dauert eine Überweisung ins Ausland?')\n"
        "print(sample.language().name)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "German"
