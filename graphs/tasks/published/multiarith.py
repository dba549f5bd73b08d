"""MultiArith: 600 word problems of two or more steps. Source: Roy and Roth, "Solving
general arithmetic word problems" (EMNLP 2015).

All of it is the test part, as in the literature on chains of thought; the hub's two
parts are joined. Repeated questions are asked once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graphs.tasks.published.published import PublishedTask, Row, gold_in
from graphs.tasks.rows import question_in


@dataclass(frozen=True)
class MultiarithTask(PublishedTask):
    """MultiArith: fields input and target as in MAWPS (Koncel-Kedziorski et al., 2016),
    or question and final_ans as on the hub.
    """

    name = "multiarith"
    title = "MultiArith"
    hub = ("ChilleD/MultiArith",)
    hub_test = "train+test"

    def read(self, row: dict[str, Any]) -> Row:
        question, gold = ("question", "final_ans") if "question" in row else ("input", "target")
        return Row(question_in(row, question), gold_in(row, gold))
