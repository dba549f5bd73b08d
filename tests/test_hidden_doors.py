"""Who reads the thought: every module that opens a `Hidden`, with the reason. A new one is a decision, and is made here."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent

DOORS = {
    "agents/prompts/prompt_family.py": "prompts are made of the thought",
    "agents/summarizer.py": "the summary is made of the thought",
    "agents/nouns/hidden.py": "equality and hash",
    "graphs/nodes.py": "the summarizer's input, and what the policy is told of its mistakes",
    "graphs/report.py": "nothing hidden; counts",
    "graphs/ask.py": "the audit view",
    "graphs/thought/derive.py": "the long thought is made of the thought",
    "graphs/thought/markup.py": "rendering, hidden again",
    "graphs/thought/statistics.py": "counts words, returns counts",
    "graphs/traces/codec.py": "the door to disk",
    "graphs/traces/export.py": "audit columns, only when asked for",
    "graphs/tree/tree.py": "the log-probability column",
    "training/records.py": "training data is made of the thought",
    "training/rollouts.py": "training data is made of the thought",
    "training/grpo.py": "training data is made of the thought",
    "training/publish.py": "training data is made of the thought",
    "training/demo.py": "the demo shows one thought, in the audit view",
}


def test_every_door_is_listed() -> None:
    for package in ("agents", "graphs", "training", "configs"):
        for path in (ROOT / package).rglob("*.py"):
            calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute) and node.attr == "reveal"]
            name = path.relative_to(ROOT).as_posix()
            assert not calls or name in DOORS, f"{name} opens hidden values; list it in {Path(__file__).name} with the reason"
