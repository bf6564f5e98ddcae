"""Names of zip entries in the code pages that Windows, macOS and Linux write."""

import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from models_registry.inputs import Limits, open_archive
from models_registry.inputs.entry_names import guess_code_page, name_entries, other_readings


def entry(raw: bytes, extra: bytes = b"") -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(raw.decode("cp437"))
    info.extra = extra
    return info


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("cp437", ["Löwenzahn", "Gänseblümchen"]),
        ("cp437", ["señal", "niño"]),
        ("cp850", ["São João", "Ação"]),
        ("cp1252", ["crème brûlée", "pensée"]),
        ("cp1252", ["Löwenzahn", "Größe"]),
        ("cp866", ["Подсолнух", "Анютины глазки"]),
        ("cp1251", ["кошка", "собака"]),
        ("cp932", ["ひまわり", "デイジー"]),
        ("cp932", ["正常", "異常"]),
        ("gbk", ["向日葵", "三色堇", "雏菊"]),
        ("gbk", ["猫", "狗"]),
        ("cp949", ["해바라기", "데이지"]),
        ("cp949", ["강아지", "고양이"]),
        ("big5", ["向日葵", "雛菊"]),
        ("cp852", ["Růže", "Slunečnice"]),
        ("cp857", ["Gül", "Papatya çiçeği"]),
        ("cp737", ["Τριαντάφυλλο", "Κρίνος"]),
        ("cp866", ["КОШКА", "СОБАКА", "ЩУКА"]),
        ("cp1251", ["кошка", "собака", "слон"]),
        ("cp862", ["חמנית", "ורד", "כלב"]),
        ("cp1255", ["חתול", "תפוח", "כלב"]),
        ("cp720", ["وردة", "زهرة", "كلب"]),
        ("cp1256", ["وردة", "زهرة", "تفاح", "سيارة"]),
        ("utf-8", ["Löwenzahn", "向日葵"]),
    ],
)
def test_names_without_the_flag_are_guessed(page: str, words: list[str]) -> None:
    entries = [entry(f"{word}/{number}.jpg".encode(page)) for word in words for number in range(3)]
    guessed = name_entries(entries)
    assert [info.filename for info in entries] == [f"{word}/{n}.jpg" for word in words for n in range(3)]
    assert bool(guessed) == (page != "utf-8")


@pytest.mark.parametrize("fits", [True, False])
def test_unicode_path_counts_when_its_checksum_is_that_of_the_name(fits: bool) -> None:
    raw = b"L?wenzahn \x94/0.jpg"
    field = struct.pack("<BI", 1, zlib.crc32(raw) if fits else 1) + "Löwenzahn/0.jpg".encode()
    info = entry(raw, struct.pack("<HHB", 0x9999, 1, 0) + struct.pack("<HH", 0x7075, len(field)) + field)
    assert name_entries([info]) == ("" if fits else "cp437")
    assert info.filename == ("Löwenzahn/0.jpg" if fits else "L?wenzahn ö/0.jpg")


@pytest.mark.parametrize(("page", "word"), [("cp862", "חמנית"), ("cp720", "وردة")])
def test_scripts_that_cannot_be_told_from_another_are_offered(page: str, word: str) -> None:
    entries = [entry(f"{word}/0.jpg".encode(page))]
    assert (page, word) in other_readings(entries, name_entries(entries))


def test_ascii_needs_no_guess() -> None:
    assert guess_code_page([]) == "utf-8"
    assert name_entries([entry(b"a/0.jpg"), entry(b"a\\1.jpg")]) == ""


def test_file_with_a_decoded_name_is_read_by_its_entry(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("XXXX\\0.jpg", b"content")
    path = tmp_path / "a.zip"
    path.write_bytes(path.read_bytes().replace(b"XXXX", "犬猫".encode("gbk")))
    with open_archive(path, Limits()) as (archive, [member]):
        assert archive.read(member) == b"content"
        assert "\\" not in member.filename
