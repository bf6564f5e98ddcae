import pytest
from django.core.exceptions import ValidationError

from core.names import validate_name, why_no_name, without_refused


@pytest.mark.parametrize(
    "name",
    [
        "Cats & dogs (v2.1)", "Anna's owls", "Größe: S/M/L", "Q1/2026 [final]", "R&D #3 – 50 %", "=1+1", "<b>bold</b>",
        "猫と犬", "Собаки и кошки", "گربه‌ها", "בְּרֵאשִׁ֖ית", "सत्य", "👩‍🌾 farm", "Việt ngữ", "?",
    ],
)  # fmt: skip
def test_names_as_people_write_them_are_kept(name: str) -> None:
    assert why_no_name(name) == ""
    assert without_refused(name) == name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a\nb", "U+000A"),
        ("a\x00", "U+0000"),
        ("evil\u202egnp.exe", "U+202E"),
        ("a\u2066b", "U+2066"),
        ("zero\u200bwidth", "U+200B"),
        ("\ufeffname", "U+FEFF"),
        ("a\u2028b", "U+2028"),
        ("\ue000", "U+E000"),
        ("\ufffe", "U+FFFE"),
        ("\u3164\u3164", "U+3164"),
        ("half \ud83d", "U+D83D"),
        ("   ", "at least one"),
        ("\u200d", "at least one"),
        ("Z" + "\u0335" * 20, "accents"),
    ],
)
def test_names_that_nobody_can_see_or_trust_are_refused(name: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words.replace("+", r"\+")):
        validate_name(name)


def test_first_idea_for_a_name_has_nothing_refused() -> None:
    assert without_refused("my\u202e  owls\x00 (2)") == "my owls (2)"
