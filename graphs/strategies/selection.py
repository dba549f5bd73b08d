"""Answer selection: chooses one answer among a tree's leaves, whatever strategy found
them.

The score of a path aggregates the critic's log-probabilities that its steps are right
(log sigma of the calibrated log-likelihood ratio; log 1/2 for a step without a parsed
verdict; 0 in a tree without verdicts). It is mixed with that of the last step (the
outcome), and `logprob_weight` times the policy's log-probability of the path is added.
A leaf votes once per sample. A weighted vote adds exp(score); with `logprob_weight` 1
and no critic it is the log-probability vote.

Sources: Lightman et al. (arXiv:2305.20050) for the product, Math-Shepherd
(arXiv:2312.08935) for the minimum, Snell et al. (arXiv:2408.03314) for the last step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from configs.schema.search.base import AnswerSelection as Selection
from configs.schema.search.base import ScoreAggregation as Aggregation
from configs.schema.search.base import Selecting
from graphs.tree import ROOT, ReasoningTree

_AGGREGATE: dict[str, Callable[[Sequence[float]], float]] = {
    "last": lambda log_scores: log_scores[-1],
    "min": min,
    "product": sum,
    "mean": lambda log_scores: sum(log_scores) / len(log_scores),
}


@dataclass(frozen=True, slots=True)
class Selector:
    """Chooses among leaves. The first four fields are options of `Selecting`."""

    selection: Selection = "majority"
    aggregation: Aggregation = "product"
    logprob_weight: float = 0.0
    outcome_weight: float = 0.0
    canonical: Callable[[str], str] = str.strip
    """Maps an answer to the form by which votes are counted."""

    @classmethod
    def of(
        cls,
        options: Selecting,
        canonical: Callable[[str], str] = str.strip,
        *,
        selection: Selection | None = None,
    ) -> Selector:
        """Returns the selector of these options; `selection` overrides theirs."""
        return cls(
            selection or options.selection,
            options.aggregation,
            options.logprob_weight,
            options.outcome_weight,
            canonical,
        )

    @property
    def needs_verdicts(self) -> bool:
        """Whether the choice reads verdicts."""
        return self.selection != "majority"

    def score(self, tree: ReasoningTree, node: int) -> float:
        """Returns the log-score of the path to `node`, in nats; `node` is not the
        root.
        """
        path = tree.path(node)
        log_scores = (
            [log_sigmoid(tree.log_likelihood_ratio.item(step)) for step in path]
            if tree.is_judged
            else None
        )
        return self.combine(
            log_scores, float(tree.logprob[path].sum()) if self.logprob_weight else 0.0
        )

    def scores(self, tree: ReasoningTree) -> NDArray[np.float64]:
        """Returns `score` of every node at once, [N]; of the root, 0."""
        scores = (
            self.logprob_weight * tree.along_paths(tree.logprob, np.add)
            if self.logprob_weight
            else np.zeros(len(tree))
        )
        if tree.is_judged:
            last = -np.logaddexp(0.0, -tree.log_likelihood_ratio)
            last[ROOT] = 0.0
            match self.aggregation:
                case "last":
                    process = last
                case "min":
                    process = tree.along_paths(last, np.minimum)
                case "product":
                    process = tree.along_paths(last, np.add)
                case "mean":
                    process = tree.along_paths(last, np.add) / np.maximum(tree.depth, 1)
            scores += (1.0 - self.outcome_weight) * process + self.outcome_weight * last
        return scores

    def combine(self, log_scores: Sequence[float] | None, logprob: float) -> float:
        """Returns the log-score of a path from the log-scores of its steps (None: the
        tree has no verdict) and its log-probability.
        """
        score = self.logprob_weight * logprob
        if log_scores is None:
            return score
        return (
            score
            + (1.0 - self.outcome_weight) * _AGGREGATE[self.aggregation](log_scores)
            + self.outcome_weight * log_scores[-1]
        )

    def choose(self, tree: ReasoningTree, leaves: Sequence[int]) -> int | None:
        """Returns the chosen leaf: of the winning answer, the leaf with the best score;
        None without leaves.

        Ties go to the answer that was found first.
        """
        if not leaves:
            return None
        scores = {
            leaf: self.score(tree, leaf) if self.needs_verdicts or self.logprob_weight else 0.0
            for leaf in leaves
        }
        if self.selection == "best":
            return max(leaves, key=lambda leaf: scores[leaf])
        best = max(scores.values())  # weights are relative, for exp(-800) is 0
        votes: dict[str, float] = {}
        by_answer: dict[str, list[int]] = {}
        for leaf in leaves:
            answer = self.canonical(tree.step(leaf).answer or "")
            weight = math.exp(scores[leaf] - best) if self.selection == "weighted_vote" else 1.0
            votes[answer] = votes.get(answer, 0.0) + weight * int(tree.count[leaf])
            by_answer.setdefault(answer, []).append(leaf)
        winner = max(votes, key=lambda answer: votes[answer])
        return max(by_answer[winner], key=lambda leaf: scores[leaf])


def log_sigmoid(logit: float) -> float:
    """Returns log(1 / (1 + exp(-logit))) without overflow."""
    return -math.log1p(math.exp(-logit)) if logit >= 0 else logit - math.log1p(math.exp(logit))
