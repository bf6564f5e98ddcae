"""Chats, as language models are fine-tuned on them: what is asked is the text, the only answer its label."""

import json
from pathlib import Path
from typing import Any

import pytest

from models_registry.inputs import open_table
from models_registry.inputs.tables.json_shapes import row_of_chat
from training.engine.data import build_report

QUESTIONS = [f"question number {number}" for number in range(8)]


def openai(text: str, label: str) -> dict[str, Any]:
    system = {"role": "system", "content": "Answer with a class."}
    return {"messages": [system, {"role": "user", "content": text}, {"role": "assistant", "content": label}]}


def sharegpt(text: str, label: str) -> dict[str, Any]:
    return {"id": 1, "conversations": [{"from": "human", "value": text}, {"from": "gpt", "value": label}]}


def gemini(text: str, label: str) -> dict[str, Any]:
    said = [("user", text), ("model", label)]
    return {"contents": [{"role": role, "parts": [{"text": words}]} for role, words in said]}


@pytest.mark.parametrize("chat", [openai, sharegpt, gemini])
@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
def test_chats_are_texts_with_their_labels(tmp_path: Path, chat: Any, suffix: str) -> None:
    rows = [chat(text, "xy"[place % 2]) for place, text in enumerate(QUESTIONS)]
    path = tmp_path / f"data{suffix}"
    path.write_text("\n".join(map(json.dumps, rows)) if suffix == ".jsonl" else json.dumps(rows))
    report = build_report(path, task_type="textclassification", columns={})
    assert (report.columns, report.classes) == ({"input": "text", "label": "label"}, {"x": 4, "y": 4})
    assert report.samples["x"][0] == QUESTIONS[0]
    assert any(warning.startswith("Of each chat") for warning in report.warnings)


def test_user_who_speaks_twice_is_one_text_and_other_keys_stay() -> None:
    messages = [
        {"role": "user", "content": "one"},
        {"role": "User", "content": [{"text": "two"}, {"image": 1}]},
    ]
    row = {"split": "train", "messages": [*messages, {"role": "assistant", "content": "x"}]}
    assert row_of_chat(row) == {"split": "train", "text": "one\ntwo\n", "label": "x"}


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [{"role": "user", "content": "a"}]},
        {"messages": [{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]},
        {"messages": [{"role": "assistant", "content": "a"}]},
        {"messages": [openai("a", "b"), "c", None]},
        {"messages": openai("a", "b")["messages"] * 2},
        {"label": "x", **openai("a", "b")},
        {"messages": []},
    ],
)
def test_other_chats_are_left_as_they_are(row: dict[str, Any]) -> None:
    assert row_of_chat(row) is None


def test_chat_of_several_answers_is_shown_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(json.dumps({"messages": openai("a", "b")["messages"] * 2, "label": "x"}) + "\n")
    assert open_table(path).columns() == ["messages", "label"]
