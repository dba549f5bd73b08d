"""The questions that a model was trained for.

A model folder may hold a `families.json` that lists the task families it was trained on
(agents/pocket does). Such a model answers only questions that one of these families
recognises, each in the canonical wording. A model without that file takes any question
unchanged.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from agents.families import Problem, recognise_question
from agents.types import VerdictScope


@dataclass(frozen=True)
class Domain:
    """The task families of a model; `families is None`: any question."""

    model: str
    families: tuple[str, ...] | None = None

    @classmethod
    def of(cls, model_folder: str | Path) -> Domain:
        """Reads the families of a model folder."""
        path = Path(model_folder) / "families.json"
        if not path.is_file():
            return cls(str(model_folder))
        listed = json.loads(path.read_text())
        return cls(str(model_folder), tuple(family["name"] for family in listed["families"]))

    def recognise(self, text: str) -> Problem | None:
        """Returns the problem that a question states, or None if no family of the model
        recognises it.
        """
        return recognise_question(text, self.families or ())

    def contains(self, text: str) -> bool:
        """Whether the model was trained for this question."""
        return self.families is None or self.recognise(text) is not None

    def wording(self, text: str) -> str:
        """Returns the question in canonical wording; unchanged if no family recognises
        it.
        """
        problem = self.recognise(text)
        return text if problem is None else problem.text

    def family(self, text: str) -> str | None:
        """Returns the name of the question's family, the key of calibrations."""
        problem = self.recognise(text)
        return None if problem is None else problem.family

    def scope(self, text: str) -> VerdictScope | None:
        """Returns the scope of the model's verdicts on this question; None if no family
        recognises it.
        """
        problem = self.recognise(text)
        return None if problem is None else problem.scope
