"""The rows of a JSON file that is one object, whichever way round programs write a table into one."""

from collections.abc import Mapping, Sequence
from typing import TypeGuard

from ..layout.names import split_part
from .columns import USUAL_NAMES

DEEPEST = 6  # objects around a list of rows
FEWEST_TEXTS = 4  # keys of an object, from which on they may be texts
SEVERAL = frozenset({"patterns", "examples", "utterances", "texts", "sentences", "questions"})
Rows = list[Mapping[str, object]]
# Who speaks in a chat, and what: as for OpenAI's models, in ShareGPT's form, as for Gemini.
SPEAKERS, WORDS = ("role", "from"), ("content", "value", "parts")
ASKING, ANSWERING = frozenset({"user", "human"}), frozenset({"assistant", "gpt", "model"})


def rows_of_object(entry: Mapping[str, object]) -> Rows:
    """Return the rows that an object stands for; itself, as the only one, where it is none of a table.

    A table is {column: {row: value}} and {column: [values]}, as pandas writes them, {class: [texts]}, {text: class},
    {part of a split: [rows]}, or a list of rows somewhere below, if there is one only.
    """
    parts = list(entry.values())
    if _are_columns_by_row(parts):
        keys = list(parts[0])
        return [{name: column[key] for name, column in zip(entry, parts, strict=True)} for key in keys]
    if _are_classes(entry):
        return [{"text": text, "label": name} for name, texts in entry.items() for text in _listed(texts)]
    if _are_texts_with_labels(entry):
        return [{"text": text, "label": label} for text, label in entry.items()]
    if _are_columns(parts):
        return [dict(zip(entry, row, strict=True)) for row in zip(*parts, strict=True)]
    if len(entry) > 1 and all(_are_rows(part) and split_part(name) for name, part in entry.items()):
        return [{"split": name, **row} for name, rows in entry.items() if _are_rows(rows) for row in rows]
    found = _lists_of_rows(entry, DEEPEST)
    return list(found[0]) if len(found) == 1 else [entry]


def each_of_several(row: Mapping[str, object]) -> Rows:
    """Return a row for each of the texts that stand in one: {"tag": …, "patterns": [texts]}."""
    names = [name for name, value in row.items() if name.casefold() in SEVERAL and _are_texts(value)]
    if len(names) != 1:
        return [row]
    return [{**row, names[0]: text} for text in _listed(row[names[0]])]


def row_of_chat(row: Mapping[str, object]) -> Mapping[str, object] | None:
    """Return a row of what is asked in a chat as the text, and the only answer as the label; None where there is none.

    A chat is a list of messages: {"messages": [{"role": "user", "content": …}, {"role": "assistant", "content": …}]}.
    """
    if "text" in row or "label" in row:
        return None
    for name, value in row.items():
        messages = [_message(one) for one in value] if isinstance(value, list) else []
        answers = [words for speaker, words in messages if speaker in ANSWERING]
        asked = [words for speaker, words in messages if speaker in ASKING]
        if asked and len(answers) == 1 and messages[-1][0] in ANSWERING:
            others = {other: value for other, value in row.items() if other != name}
            return {**others, "text": "\n".join(asked), "label": answers[0]}
    return None


def _message(value: object) -> tuple[str, str]:
    """Return who speaks, and the words, of a message of a chat; "" of anything else."""
    if not isinstance(value, dict):
        return "", ""
    speaker = next((value[name] for name in SPEAKERS if isinstance(value.get(name), str)), "")
    words = next((value[name] for name in WORDS if name in value), "")
    parts = words if isinstance(words, list) else [words]
    texts = [part.get("text", "") if isinstance(part, dict) else part for part in parts]
    return speaker.casefold(), "\n".join(text for text in texts if isinstance(text, str))


def _are_columns_by_row(parts: Sequence[object]) -> TypeGuard[Sequence[Mapping[str, object]]]:
    are_objects = bool(parts) and all(isinstance(part, dict) for part in parts)
    if not are_objects:
        return False
    keys = {tuple(part) for part in parts if isinstance(part, dict)}
    return len(keys) == 1 and len(keys.pop()) > 1


def _are_columns(parts: Sequence[object]) -> TypeGuard[Sequence[Sequence[object]]]:
    lengths = {len(part) if isinstance(part, list) else -1 for part in parts}
    return len(parts) > 1 and len(lengths) == 1 and lengths != {-1}


def _are_classes(entry: Mapping[str, object]) -> bool:
    """Tell whether each key is a class with its texts: none is called as columns are."""
    known = {name for names in USUAL_NAMES.values() for name in names}
    return (
        len(entry) > 1
        and all(map(_are_texts, entry.values()))
        and not any(name.strip().casefold() in known for name in entry)
        and len({text for texts in entry.values() for text in _listed(texts)})
        > sum(len(_listed(texts)) for texts in entry.values()) / 2
    )


def _are_texts_with_labels(entry: Mapping[str, object]) -> bool:
    """Tell whether each key is a text of words with its label, of which there are a few."""
    labels = {label for label in entry.values() if isinstance(label, str | int)}
    return (
        len(entry) >= FEWEST_TEXTS
        and all(isinstance(label, str | int) for label in entry.values())
        and 1 < len(labels) <= len(entry) / 2
        and 2 * sum(" " in text.strip() or not text.isascii() for text in entry) > len(entry)
    )


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and len(value) > 1 and all(isinstance(one, str) for one in value)


def _are_rows(value: object) -> TypeGuard[list[dict[str, object]]]:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _lists_of_rows(entry: Mapping[str, object], depth: int) -> list[list[dict[str, object]]]:
    """Return the lists of objects inside an object, not those inside of such lists."""
    found: list[list[dict[str, object]]] = []
    for value in entry.values():
        if _are_rows(value):
            found.append(value)
        elif isinstance(value, dict) and depth:
            found += _lists_of_rows(value, depth - 1)
    return found
