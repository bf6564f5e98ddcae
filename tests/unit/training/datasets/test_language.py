"""The language of texts, as a report tells it or as their script shows it."""

import pytest

from training.datasets.language import language_of


@pytest.mark.parametrize(
    ("texts", "language"),
    [
        (["Где моя карта?", "Хочу оплатить счёт VISA"], "ru"),
        (["أين بطاقتي", "أريد أن أدفع"], "ar"),
        (["איפה הכרטיס שלי"], "he"),
        (["मेरा कार्ड कहाँ है"], "hi"),
        (["私のカードはどこですか"], "ja"),
        (["我的卡在哪里"], "zh"),
        (["내 카드가 어디 있나요"], "ko"),
        (["บัตรของฉันอยู่ที่ไหน"], "th"),
        (["Where is my card?"], ""),
        (["Where is my card, Иван?", "I want to pay my bill"], ""),
        (["12 34", "??"], ""),
        ([], ""),
    ],
)
def test_script_shows_the_language(texts: list[str], language: str) -> None:
    assert language_of({"samples": {"a": texts}}) == language


@pytest.mark.parametrize("told", ["fr", {"code": "fr", "share": 0.9}])
def test_report_knows_better_than_the_script(told: object) -> None:
    assert language_of({"language": told, "samples": {"a": ["Где карта"]}}) == "fr"


def test_images_and_old_reports_have_no_language() -> None:
    assert language_of({}) == ""
    assert language_of({"samples": None}) == ""
