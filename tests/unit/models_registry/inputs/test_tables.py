"""Tables as people bring them: which rows, classes and warnings come of each."""

import bz2
import csv
import gzip
import io
import json
import lzma
import zipfile
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models_registry.inputs import DataError, Limits, open_table, resolve_text_column
from tests.sheets import xlsx
from training.engine.data import build_report, read_text_table
from training.engine.data.labels import names_alike, why_no_classes

ROWS = [
    ("Where is my new card, please?", "card"),
    ("My card has not come yet", "card"),
    ("They sent me the wrong card", "card"),
    ("What is the rate for euros", "rate"),
    ("How much is a dollar, today", "rate"),
    ("The rate seems much too high", "rate"),
]
CLASSES = {"card": 3, "rate": 3}


def table(rows: Any = ROWS, *, heading: Any = ("text", "label"), separator: str = ",") -> str:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=separator, lineterminator="\n").writerows(
        [heading, *rows] if heading else rows
    )
    return file.getvalue()


def zipped(**files: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def objects(rows: Any = ROWS) -> list[dict[str, Any]]:
    return [{"text": text, "label": label} for text, label in rows]


def parquet(columns: dict[str, Any], metadata: dict[str, str] | None = None) -> bytes:
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns).replace_schema_metadata(metadata), file)
    return file.getvalue()


FRENCH = [(f"{text} à la carte bleue égarée", label) for text, label in ROWS]
CHINESE = [(f"我的{number}新卡在哪里请告诉我", "卡片") for number in range(9)] + [
    (f"今天{number}欧元的汇率是多少", "汇率") for number in range(9)
]
TEXTS, LABELS = ([row[place] for row in ROWS] for place in (0, 1))
CLASS_LABEL = json.dumps(
    {"info": {"features": {"label": {"names": ["card", "rate"], "_type": "ClassLabel"}}}}
)


RUSSIAN = [
    *((f"Как мне вернуть деньги за заказ {n}, если товар сломан?", "возврат") for n in range(9)),
    *((f"Когда приедет курьер с посылкой {n}, я жду неделю", "доставка") for n in range(9)),
]
JAPANESE = [
    *((f"注文番号{n}の商品が壊れていました。返品したいです。", "返品") for n in range(9)),
    *((f"荷物{n}はいつ届きますか。一週間待っています。", "配送") for n in range(9)),
]
TAIWANESE = [
    *((f"我的新卡片什麼時候會寄到？已經等了{n}天", "卡片") for n in range(9)),
    *((f"今天歐元的匯率是多少？我要換{n}百元", "匯率") for n in range(9)),
]


class Case(NamedTuple):
    """A file, and what is made of it; `says` stands in a warning, or in a problem where there are no classes."""

    name: str
    content: str | bytes
    classes: dict[str, int] = CLASSES
    says: str = ""
    left_out: str = ""
    first: str = TEXTS[0]


CASES = [
    Case("utf-8 with mark.csv", table().encode("utf-8-sig")),
    Case("utf-16.csv", table(separator="\t").encode("utf-16")),
    Case("utf-16 without mark.csv", table().encode("utf-16-le")),
    Case("utf-16 big end.csv", table().encode("utf-16-be")),
    Case("utf-32.csv", table().encode("utf-32")),
    Case("cp1252.csv", table(FRENCH).encode("cp1252"), says="read as cp1252, a guess", first=FRENCH[0][0]),
    Case(
        "gbk.csv",
        table(CHINESE).encode("gbk"),
        {"卡片": 9, "汇率": 9},
        says="read as gb18030, a guess",
        first=CHINESE[0][0],
    ),
    Case(
        "one bad byte.csv",
        table(ROWS * 2).replace("not come", "not c\udcffme", 1).encode("utf-8", "surrogateescape"),
        {"card": 5, "rate": 6},
        left_out="row 3: holds bytes that are no text",
    ),
    Case("semicolon.csv", table(separator=";")),
    Case("pipe.csv", table(separator="|")),
    Case("tab.txt", table(separator="\t")),
    Case("commas.tsv", table()),
    Case("sep.csv", "sep=;\n" + table(separator=";")),
    Case("commas in the heading.csv", table(heading=("Text (a, b)", "label"), separator=";")),
    Case(
        "title.csv", "Questions of 2024,\n" + table(), says="first row above the table's heading is left out"
    ),
    Case(
        "backslashes.csv",
        "text,label\n" + "".join(f'"a \\"x\\", {t}",{c}\n' for t, c in ROWS),
        first=f'a "x", {TEXTS[0]}',
    ),
    Case("stray quote.tsv", table(separator="\t").replace("They sent", '"They sent')),
    Case(
        "too many fields.csv",
        table() + "one, two,three,rate\n",
        left_out="row 8: has 4 fields, the table 2 columns",
    ),
    Case("short row.csv", table() + "no label here\n", left_out="row 8: no label"),
    Case("trailing commas.csv", table().replace("rate\n", "rate,\n")),
    Case("empty rows.csv", table() + ",\n" * 20),
    Case("no heading.csv", table(heading=None), says="no heading row: its first row is used"),
    Case("labels first.csv", table([row[::-1] for row in ROWS], heading=None), says="no heading row"),
    Case(
        "index.csv", table([(n, *row) for n, row in enumerate(ROWS)], heading=("Unnamed: 0", "text", "label"))
    ),
    Case("upper case.csv", table(heading=(" TEXT ", "Label"))),
    Case("german.csv", table(heading=("Satz", "Klasse"))),
    Case("unknown names.csv", table(heading=("v1", "v2")), says="Taken as the texts: 'v1'"),
    Case("swapped.csv", table(heading=("label", "text")), says="seem to be swapped"),
    Case("twice.csv", table([(t, t.upper(), c) for t, c in ROWS], heading=("text", "text", "label"))),
    Case(
        "split.csv",
        table([(*row, "train") for row in ROWS], heading=("text", "label", "split")),
        says="'split' says which rows",
    ),
    Case(
        "numbers and names.csv",
        table([(t, "01"[c == "rate"], c) for t, c in ROWS], heading=("text", "label", "label_text")),
        says="names are in 'label_text'",
    ),
    Case(
        "long text.csv",
        table([*ROWS, ("word " * 9000, "rate")]),
        {"card": 3, "rate": 4},
        says="more than 1,000 characters: 1.",
    ),
    Case("list.json", json.dumps(objects())),
    Case("list over lines.jsonl", json.dumps(objects(), indent=1)),
    Case("lines.json", "\n".join(map(json.dumps, objects()))),
    Case("nested.jsonl", "\n".join(json.dumps({"data": {"text": t}, "meta": {"label": c}}) for t, c in ROWS)),
    Case("lists of one.jsonl", "\n".join(json.dumps({"text": t, "label": [c]}) for t, c in ROWS)),
    Case("of columns.json", json.dumps({"text": dict(enumerate(TEXTS)), "label": dict(enumerate(LABELS))})),
    Case("under a key.json", json.dumps({"version": 1, "data": objects()})),
    Case("packed.gz", gzip.compress(table().encode())),
    Case("packed lines.gz", gzip.compress("\n".join(map(json.dumps, objects())).encode())),
    Case("packed.bz2", bz2.compress(table().encode())),
    Case("packed.csv", lzma.compress(table().encode())),
    Case("one table.zip", zipped(**{"data/all.csv": table()})),
    Case(
        "two tables.zip",
        zipped(**{"test.csv": "id\n1\n", "train.csv": table()}),
        says="left out are its other tables: 'test.csv'",
    ),
    Case(
        "workbook.zip", zipped(**{"README.txt": "Hello.", "data/all.xlsx": xlsx([("text", "label"), *ROWS])})
    ),
    Case("parquet.zip", zipped(**{"train.parquet": parquet({"text": TEXTS, "label": LABELS})})),
    Case(
        "pieces.zip",
        zipped(**{"1.csv": table(ROWS[:3]), "2.csv": table(ROWS[3:]), "notes.csv": "a\n1\n"}),
        says="Read are 2 tables of the zip that have the same columns: 1.csv, 2.csv.",
    ),
    Case(
        "parts.zip",
        zipped(
            **{"train.csv": table(), "test.csv": table([("Is it here yet", "card"), ("How much", "rate")])}
        ),
        says="own test part is kept apart: 2",
    ),
    Case(
        "parts of folders.zip",
        zipped(
            **{f"x/train/{c}/{n}.txt": t for n, (t, c) in enumerate(ROWS)},
            **{f"x/test/{c}/{n}.txt": f"Is it, {t}" for n, (t, c) in enumerate(ROWS)},
            **{"x/README.txt": "Folders."},
        ),
        says="Text files outside the class folders are left out: x/README.txt",
    ),
    Case("folders.zip", zipped(**{f"train/{c}/{n}.txt": t for n, (t, c) in enumerate(ROWS)})),
    Case("sheet.xlsx", xlsx([("text", "label"), *ROWS])),
    Case("sheet.csv", xlsx([("text", "label"), *ROWS])),
    Case("two sheets.xlsx", xlsx([("text", "label"), *ROWS], [("x",)]), says="the sheet 'Sheet1'"),
    Case(
        "numbers.xlsx",
        xlsx([("text", "label"), *((t, len(c)) for t, c in ROWS[:3]), *((t, 7.5) for t in TEXTS[3:])]),
        {"4": 3, "7.5": 3},
    ),
    Case(
        "class names.parquet",
        parquet({"text": TEXTS, "label": [int(c == "rate") for c in LABELS]}, {"huggingface": CLASS_LABEL}),
    ),
    Case("lists of one.parquet", parquet({"text": TEXTS, "labels": [[c] for c in LABELS]})),
    Case("dictionary.parquet", parquet({"text": TEXTS, "label": pyarrow.array(LABELS).dictionary_encode()})),
    Case("views.parquet", parquet({"text": pyarrow.array(TEXTS, pyarrow.string_view()), "label": LABELS})),
    Case(
        "whole fractions.parquet",
        parquet({"text": TEXTS, "label": [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]}),
        {"1": 3, "2": 3},
    ),
    Case(
        "several labels.csv",
        table([(f"text {n}", ("a|b", "b|c", "a|c", "a", "a|b|c")[n % 5]) for n in range(30)]),
        {},
        "several labels ('a|b')",
    ),
    Case(
        "several, commas.csv",
        table([(f"text {n}", ("a, b", "b, c", "a, c", "a")[n % 4]) for n in range(30)]),
        {},
        "several labels",
    ),
    Case(
        "several, lists.jsonl",
        "\n".join(json.dumps({"text": f"t {n}", "label": ["x", "y"][: 1 + n % 2]}) for n in range(30)),
        {},
        "several labels",
    ),
    Case(
        "several, lists of Python.csv",
        table([(f"text {n}", str(["x", "y", "z"][: 1 + n % 3])) for n in range(30)]),
        {},
        "several labels",
    ),
    Case("list of one.csv", table([(t, str([c])) for t, c in ROWS])),
    Case("list of one as JSON.csv", table([(t, json.dumps([c])) for t, c in ROWS])),
    Case("far below.json", json.dumps({"version": 1, "data": {"items": objects(), "total": 6}})),
    Case("texts of each class.json", json.dumps({"card": TEXTS[:3], "rate": TEXTS[3:]})),
    Case(
        "intents.json",
        json.dumps({"intents": [{"tag": c, "patterns": [t for t, d in ROWS if d == c]} for c in CLASSES]}),
    ),
    Case(
        "parts.json",
        json.dumps({"train": objects(), "test": objects([("Is it here", "card"), ("How much", "rate")])}),
        says="own test part is kept apart: 2",
    ),
    Case("measure.csv", table([(f"text {n}", n / 7) for n in range(40)]), {}, "different numbers"),
    Case(
        "case.csv",
        table([*ROWS, ("Card lost", "Card"), ("Card gone", "Card")]),
        {"Card": 2, **CLASSES},
        "'Card' and 'card'",
    ),
    Case(
        "one example.csv",
        table([*ROWS, ("What is bitcoin", "crypto")]),
        says="which are left out: 'crypto'",
    ),
    Case(
        "not available.csv",
        table([(t, "NA" if c == "card" else "null") for t, c in ROWS]),
        {"NA": 3, "null": 3},
    ),
    Case("class without text.csv", table([*ROWS, ("", "crypto")]), says="so they are left out: 'crypto'"),
    Case(
        "class for each column.csv",
        table([(t, 0, 1) for t, _ in ROWS], heading=("text", "a", "b")),
        {},
        "a column for each class",
    ),
    Case("fasttext.txt", "".join(f"__label__{label} {text}\n" for text, label in ROWS)),
    Case("fasttext mark.txt", "\ufeff\n" + "".join(f"__label__{label}\t{text}\n" for text, label in ROWS)),
    Case(
        "fasttext without label.csv",
        "".join(f"__label__{label} {text}\n" for text, label in ROWS) + "Where is it?\n",
        left_out="row 7: no label",
    ),
    Case(
        "fasttext, several labels.txt",
        "".join(f"__label__{'ab'[n % 2]} __label__c text {n}\n__label__a text b{n}\n" for n in range(30)),
        {},
        "several labels",
    ),
    Case("zero width.csv", table([*ROWS, ("\u200b", "card")]), left_out="row 8: no text"),
    Case(
        "titles of two fields.csv",
        "Report,\nExported by,Ann\n,\n" + table(),
        says="first 2 rows above the table's heading are left out",
    ),
    Case(
        "form.csv",
        table(
            [(n, t, c, f"{n}@x.org") for n, (t, c) in enumerate(ROWS)],
            heading=("time", "what", "category", "mail"),
        ),
        says="Taken as the texts: 'what'; as their labels: 'category'",
    ),
    Case(
        "one row with NUL.csv",
        table(ROWS * 20) + "My card\0,card\n",
        {"card": 60, "rate": 60},
        left_out="row 122: holds NUL characters",
    ),
    Case("NUL behind the end.csv", table(ROWS) + "\0" * 512, left_out="row 8: no label"),
    Case("NUL all over.csv", table(ROWS).replace(" ", "\0"), {}, "holds NUL characters"),
    Case("caret.csv", table(separator="^")),
    Case("control sign.txt", table(separator="\x01")),
    Case("quotes behind blanks.csv", "text, label\n" + "".join(f'"{t}", "{c}"\n' for t, c in ROWS)),
    Case("single quotes.csv", "text,label\n" + "".join(f"'{t}','{c}'\n" for t, c in ROWS)),
    Case(
        "apostrophes.csv",
        table([(f"{t}, it's 'odd'", c) for t, c in ROWS]),
        first=f"{TEXTS[0]}, it's 'odd'",
    ),
    Case("list.csv", json.dumps(objects())),
    Case("lines.txt", "\n".join(map(json.dumps, objects()))),
    Case("table.json", table()),
    Case("table.xls", table(separator="\t")),
    Case("wide.xls", table(separator="\t").encode("utf-16")),
    Case("page.xls", "<html><table><tr><td>text</td></tr></table>", {}, "a web page that is called .xls"),
    Case("over lines.json", "\n".join(json.dumps(one, indent=1) for one in objects())),
    Case("not a number.json", json.dumps([{**one, "score": float("nan")} for one in objects()])),
    Case("pairs.json", json.dumps(ROWS), says="Taken as the texts: 'column 1'"),
    Case("texts as keys.json", json.dumps(dict(ROWS))),
    Case(
        "ids as labels.csv", table([(f"text {n}", f"id {n}") for n in range(30)]), {}, "nearly all different"
    ),
    Case(
        "decimal.parquet",
        parquet({"text": TEXTS, "label": pyarrow.array([Decimal(c == "rate") for c in LABELS])}),
        {"0": 3, "1": 3},
    ),
    Case(
        "table of a class each.zip",
        zipped(**{f"{c}.csv": "text\n" + "".join(f'"{t}"\n' for t, d in ROWS if d == c) for c in CLASSES}),
        says="the name of each is the class of its rows",
    ),
    Case(
        "list of a class each.zip",
        zipped(**{f"x/{c}.txt": "\n".join(t for t, d in ROWS if d == c) for c in CLASSES}),
        says="the name of each is the class of its rows",
    ),
    Case(
        "pieces without labels.zip",
        zipped(**{f"part{n}.csv": "text\n" + "\n".join(f'"{t}"' for t in TEXTS) for n in (1, 2)}),
        {},
        "There is no column 'label'",
    ),
    *(
        Case(
            f"{page}.csv",
            table(rows).encode(page),
            {a: 9, b: 9},
            f"read as {page}, a guess",
            first=rows[0][0],
        )
        for page, rows, a, b in (
            ("cp866", RUSSIAN, "возврат", "доставка"),
            ("cp932", JAPANESE, "返品", "配送"),
            ("euc_jp", JAPANESE, "返品", "配送"),
            ("big5", TAIWANESE, "卡片", "匯率"),
        )
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_table_gives_its_rows_classes_and_warnings(tmp_path: Path, case: Case) -> None:
    path = tmp_path / case.name
    path.write_bytes(case.content if isinstance(case.content, bytes) else case.content.encode())
    try:
        report = build_report(path, task_type="textclassification", columns={})
    except DataError as error:
        assert not case.classes
        assert case.says in str(error)
        return
    if not case.classes:
        assert any(case.says in problem for problem in report.problems)
        return
    assert (report.classes, report.problems) == (case.classes, [])
    assert report.examples == sum(case.classes.values())
    if case.says:
        assert any(case.says in warning for warning in report.warnings), report.warnings
    if case.left_out:
        assert case.left_out in "; ".join(f"{one['name']}: {one['reason']}" for one in report.unreadable)
    else:
        assert report.unreadable_count == ("without text" in case.name)
    # Training reads the same, by the columns that were found.
    read = read_text_table(path, report.columns)
    learnt = [label for label, part in zip(read.labels, read.parts, strict=True) if part != "test"]
    counts = Counter(learnt)
    assert {label: counts[label] for label in report.classes} == report.classes
    assert read.texts[0] == case.first


def test_texts_alone_are_found_for_a_batch(tmp_path: Path) -> None:
    for name, content, count in (
        ("lines.txt", "\n".join(TEXTS), 6),
        ("named.csv", "text\n" + "\n".join(f'"{text}"' for text in TEXTS), 6),
        ("list.json", json.dumps(TEXTS), 6),
        ("unknown.csv", table([(n, text) for n, text in enumerate(TEXTS)], heading=("nr", "what")), 6),
    ):
        (tmp_path / name).write_text(content)
        reader = open_table(tmp_path / name)
        column = resolve_text_column(reader.columns(), "", reader.sample())
        assert [row.text for row in reader.rows(text=column)] == TEXTS[:count], name


@pytest.mark.parametrize("name", ["bomb.gz", "bomb.zip"])
def test_packed_table_is_bounded_by_what_it_unpacks_to(tmp_path: Path, name: str) -> None:
    content = table() + "again and again,card\n" * 100_000
    path = tmp_path / name
    path.write_bytes(gzip.compress(content.encode()) if name.endswith("gz") else zipped(**{"a.csv": content}))
    limits = Limits(max_bytes=1_500_000)
    with pytest.raises(DataError, match=r"unpacks to (more than )?[\d,]+ bytes"):
        read_text_table(path, limits=limits)


def test_sheet_that_says_it_is_huge_is_refused(tmp_path: Path) -> None:
    """Two cells in opposite corners make a table of 17 thousand million cells."""
    path = tmp_path / "corners.xlsx"
    small = xlsx([("text", "label"), ("a", "b")])
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(small)) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            new.writestr(
                name, old.read(name).replace(b'"B2"', b'"XFD1048576"').replace(b'r="2"', b'r="1048576"')
            )
    path.write_bytes(file.getvalue())
    with pytest.raises(DataError, match="CSV UTF-8"):
        read_text_table(path)


def test_names_that_are_alike_and_labels_that_are_none() -> None:
    assert names_alike({"1": 2, "1.0": 2, "a b": 1, "A  B": 1, "c": 1}) == [["1", "1.0"], ["A  B", "a b"]]
    assert why_no_classes({"food, drink": 9, "food, other": 9, "travel": 9}) == ""
    assert why_no_classes({"1": 20, "1.5": 20, "2": 20}) == ""


# Python 3.11 does not quote a lone "\r", which then ends a row.
signs = st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), min_size=1, max_size=30)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(signs, signs), min_size=1, max_size=12),
    separator=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_csv_writes_comes_back_row_by_row(
    tmp_path: Path, rows: list[tuple[str, str]], separator: str, quoting: Any, end: str
) -> None:
    path = tmp_path / "data.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=separator, quoting=quoting, lineterminator=end)
        writer.writerows([("text", "label"), *rows])
    found = [(row.text, row.label) for row in open_table(path).rows(text="text", label="label")]
    assert found == [row for row in rows if any(field.strip() for field in row)]


# (examples, classes, rows left out, refused), or how the error begins.
