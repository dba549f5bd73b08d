"""A critic of one's own."""

from __future__ import annotations

from collections.abc import Sequence

from agents.critics.base import make_verdict
from agents.types import Meter, Question, Step, Verdict


class Short:
    """Judges short steps right."""

    def __init__(self, limit: int = 40) -> None:
        self.limit = limit

    async def judge(
        self, question: Question, steps: Sequence[Step], *, meter: Meter
    ) -> Verdict | None:
        right = len(steps[-1].content.reveal().text) <= self.limit
        score, evidence = (0.9, 2.0) if right else (0.1, -2.0)
        return make_verdict(score, evidence, source="custom_critic", scope="local")
