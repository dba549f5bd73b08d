"""The data mixture: shares of families, levels and kinds of documents, and sampling of
the policy's own proposals.

Phase 1 has policy documents and synthetic checks. In phase 2, some documents contain
the policy's *own* proposals, labelled by the exact checkers and resampled as the policy
changes: a critic that was trained on synthetic errors alone accepts those of its policy
(dataset aggregation: Ross et al., arXiv 1011.0686).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from agents.families import FAMILIES, Problem, read_answer
from agents.types.question import split_of
from training.pretrain.documents import DocumentBuilder
from training.pretrain.model import PocketModel
from training.pretrain.packing import TrieDocument
from training.pretrain.sampling import sample
from training.pretrain.tokenizer import Codec

FAMILY_SHARES = {"locks": 0.50, "countdown": 0.15, "running": 0.09, "equations": 0.20, "legs": 0.06}
"""Share of documents per family; locks have the largest, because the policy must search
to solve them."""
LEVEL_SHARES: dict[str, dict[int, float]] = {
    "locks": {
        1: 0.2,
        2: 0.2,
        3: 0.2,
        4: 0.3,
        5: 0.4,
        6: 0.5,
        7: 0.6,
        8: 0.8,
        9: 1.2,
        10: 1.4,
        11: 1.6,
        12: 1.8,
    },
    "countdown": {3: 1.0, 4: 1.5, 5: 0.5},
    "running": {1: 1.0, 2: 1.0, 3: 1.5},
    "equations": {1: 0.5, 2: 1.0, 3: 1.0, 4: 1.5},
    "legs": {1: 1.0, 2: 0.7, 3: 0.2},
}
_MAX_TOKENS = {"locks": 28, "countdown": 90, "running": 80, "equations": 60, "legs": 100}
_USES_PER_ROUND = 3


@dataclass(frozen=True)
class PhaseShares:
    """Shares of the kinds of documents in a phase; the rest are policy documents with
    synthetic checks.
    """

    policy_only: float
    sampled: float


PHASE_1 = PhaseShares(policy_only=0.6, sampled=0.0)
PHASE_2 = PhaseShares(policy_only=0.35, sampled=0.25)
POLICY_ONLY = PhaseShares(policy_only=1.0, sampled=0.0)


def draw_problem(
    rng: random.Random,
    family_name: str | None = None,
    split: str = "train",
    level: int | None = None,
) -> Problem:
    """Returns a random problem whose question belongs to `split`."""
    name = family_name or rng.choices(list(FAMILY_SHARES), weights=list(FAMILY_SHARES.values()))[0]
    levels = LEVEL_SHARES[name]
    while True:
        chosen = (
            level
            if level is not None
            else rng.choices(list(levels), weights=list(levels.values()))[0]
        )
        problem = FAMILIES[name].generate(rng, chosen)
        if split_of(problem.text) == split:
            return problem


def read_thought(codec: Codec, ids: Sequence[int]) -> list[str]:
    """Returns the complete steps of a sampled thought, as text, up to its answer, its
    first reflection, or a step that no generator could write.
    """
    separator, eos, plain = (
        codec.separator,
        codec.eos,
        {codec.special("propose"), codec.special("conclude"), codec.special("correct")},
    )
    steps: list[str] = []
    current: list[int] = []
    for token in ids:
        if token in (separator, eos):
            if (
                not current
                or current[0] not in plain
                or len(current) < 2
                or min(current[1:]) <= codec.special("wrong")
            ):
                return steps
            text = codec.decode(current[1:])
            if not codec.can_encode(text):
                return steps
            steps.append(text)
            current = []
            if token == eos or read_answer(steps[-1]) is not None:
                return steps
        else:
            current.append(token)
    return steps


class Mixture:
    """An endless source of documents. Its state is its random generator and the unused
    thoughts of the last sampled round.
    """

    def __init__(
        self,
        codec: Codec,
        builder: DocumentBuilder,
        rng: random.Random,
        *,
        questions_per_round: int = 224,
        samples_per_question: int = 4,
    ) -> None:
        self.codec, self.builder, self.rng = codec, builder, rng
        self.questions_per_round, self.samples_per_question = (
            questions_per_round,
            samples_per_question,
        )
        self.thoughts: list[tuple[Problem, list[list[str]]]] = []

    def draw(
        self, count: int, shares: PhaseShares, model: Callable[[], PocketModel]
    ) -> list[TrieDocument]:
        """Returns `count` documents; `model` returns the current policy, to sample
        proposals.
        """
        documents: list[TrieDocument] = []
        for _ in range(count):
            kind = self.rng.random()
            if kind < shares.policy_only:
                documents.append(self.builder.policy(self.rng, draw_problem(self.rng)))
            elif kind < shares.policy_only + shares.sampled:
                if not self.thoughts:
                    self._sample(model())
                problem, thoughts = self.thoughts.pop()
                documents.append(self.builder.sampled(self.rng, problem, thoughts))
            else:
                documents.append(self.builder.checked(self.rng, draw_problem(self.rng)))
        return documents

    def _sample(self, model: PocketModel) -> None:
        """Samples thoughts at temperature 1 for new training questions; each is used
        three times.
        """
        problems = [draw_problem(self.rng) for _ in range(self.questions_per_round)]
        generator = torch.Generator().manual_seed(self.rng.getrandbits(62))
        drawn: list[tuple[Problem, list[list[str]]]] = []
        # one batch per family: a batch runs until its longest thought ends
        for name in FAMILIES:
            chosen = [problem for problem in problems if problem.family == name]
            completions = sample(
                model,
                [self.builder.prompt(problem) for problem in chosen],
                num_samples=self.samples_per_question,
                stop=(self.codec.eos,),
                max_tokens=_MAX_TOKENS[name],
                temperature=1.0,
                generator=generator,
            )
            for problem, samples in zip(chosen, completions, strict=True):
                drawn.append((problem, [read_thought(self.codec, one.ids) for one in samples]))
        self.thoughts = drawn * _USES_PER_ROUND
        self.rng.shuffle(self.thoughts)
