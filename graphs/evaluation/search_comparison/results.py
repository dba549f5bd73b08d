"""The results of a finished cell as a small JSON file.

It holds per question what the report reads, without any text, so that the results of a
comparison can be kept, and the comparison resumed, without the traces (which hold every
thought and take a thousand times the room).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agents.files import read_json, write_text
from graphs.evaluation.search_comparison.measure import Key, Measured, QuestionResult
from graphs.evaluation.siblings import SiblingPairs

FILE = "results.json"


def save_results(folder: Path, measured: Measured, config_hash: str) -> None:
    """Writes the results of the cell in `folder`."""
    document = {
        "config_hash": config_hash,
        "outcomes": [
            {**key._asdict(), "by_question": questions}
            for key, questions in measured.outcomes.items()
        ],
        "siblings": measured.siblings,
        "causes": [
            {**key._asdict(), "by_question": questions}
            for key, questions in measured.causes.items()
        ],
    }
    write_text(folder / FILE, json.dumps(document) + "\n")


def config_hash_of(folder: Path) -> str | None:
    """Returns the hash of the configuration that the results belong to; None without
    results.
    """
    return str(_read(folder)["config_hash"]) if (folder / FILE).is_file() else None


def load_results(folder: Path, into: Measured) -> None:
    """Adds the results of the cell in `folder`.

    Raises:
        BadDataError: the file is damaged.
    """
    document = _read(folder)
    for entry in document["outcomes"]:
        for question, results in entry["by_question"].items():
            found = [QuestionResult(*result) for result in results]
            into.outcomes[_key(entry)][question] += found
    for critic, questions in document["siblings"].items():
        for question, pairs in questions.items():
            into.siblings[critic][question] = SiblingPairs(*pairs)
    for entry in document["causes"]:
        for question, causes in entry["by_question"].items():
            into.causes[_key(entry)][question] += causes


def _read(folder: Path) -> dict[str, Any]:
    return read_json(folder / FILE, "config_hash", "outcomes", "siblings", "causes")


def _key(entry: Mapping[str, Any]) -> Key:
    return Key(entry["method"], entry["n"], entry["critic"])
