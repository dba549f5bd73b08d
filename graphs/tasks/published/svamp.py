"""SVAMP: 1,000 one-step word problems with misleading cues in the wording. Source:
Patel et al. (arXiv:2103.07191).

The set was made for testing, so all of it is the test part; the hub's two parts are
joined.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graphs.tasks.published.published import PublishedTask, Row, gold_in
from graphs.tasks.rows import question_in


@dataclass(frozen=True)
class SvampTask(PublishedTask):
    """SVAMP: fields Body and Question, joined by a blank, and Answer."""

    name = "svamp"
    title = "SVAMP"
    hub = ("ChilleD/SVAMP",)
    hub_test = "train+test"

    def read(self, row: dict[str, Any]) -> Row:
        return Row(
            question_in(row, "Body", "Question"),
            gold_in(row, "Answer"),
            {"family": row["Type"]} if "Type" in row else {},
        )
