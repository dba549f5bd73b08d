"""GSM8K: grade-school word problems with whole-number answers. Source: Cobbe et al.
(arXiv:2110.14168).

The test file has 1,319 questions, the train file 7,473. A local file whose name
contains "test" is refused for the splits of the train part, and vice versa.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graphs.tasks.published.published import PublishedTask, Row
from graphs.tasks.rows import text_of


@dataclass(frozen=True)
class Gsm8kTask(PublishedTask):
    """GSM8K: fields question and answer; the gold follows "####" in the answer."""

    name = "gsm8k"
    title = "GSM8K"
    hub = ("openai/gsm8k", "main")
    hub_train = "train"

    def read(self, row: dict[str, Any]) -> Row:
        question, solution = text_of(row, "question"), text_of(row, "answer")
        _, mark, gold = solution.rpartition("####")
        if not mark or not gold.strip():
            raise ValueError("has an answer without '#### GOLD'")
        return Row(question, gold.strip().replace(",", ""), {"solution": solution})
