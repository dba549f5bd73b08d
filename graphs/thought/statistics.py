"""Statistics of thoughts and trees: lengths, wrong turns, and keywords that are typical
of long thoughts ("Wait", "Alternatively").

Source: O1 Replication Journey (arXiv:2410.18982), the table of o1's thoughts: tokens,
lines, words per line, keywords.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass

from graphs.thought.derive import known_wrong
from graphs.thought.long_thought import LongThought
from graphs.tree import ReasoningTree

KEYWORDS = (
    "therefore",
    "but",
    "so",
    "thus",
    "similarly",
    "wait",
    "let me",
    "wait but",
    "alternatively",
    "however",
    "hmm",
    "check",
    "back to",
)


@dataclass(frozen=True, slots=True)
class ThoughtStatistics:
    """Statistics of one long thought; they contain no text of it except keywords."""

    segments: int
    wrong_turns: int
    """Number of wrong turns; each ends with a backtrack."""
    wrong_steps: int
    """Number of steps in wrong turns."""
    tokens: int
    """Number of tokens by the given `tokenize`; words by default."""
    lines: int
    """Number of non-empty lines."""
    words: int
    keywords: dict[str, int]
    """Count of each keyword, as whole words in any case; keywords without an occurrence
    are left out."""


@dataclass(frozen=True, slots=True)
class TreeStatistics:
    """Statistics of one reasoning tree; the root is not counted."""

    nodes: int
    depth: int
    branching: float
    """Mean number of children of the nodes that have any, the root among them; 0 for a
    tree without steps."""
    leaves: int
    answers: int
    """Leaves with a marked, non-empty answer."""
    judged: int
    """Nodes with at least one parsed verdict."""
    known_wrong: int
    backtracked: int
    unparsed: int
    """Verdicts that could not be parsed."""
    no_claim: int
    """Verdicts that found nothing to judge in their step."""
    uncalibrated: int
    """Nodes whose verdicts have no calibration, so that they only rank steps."""
    backtracks: int


def thought_statistics(
    thought: LongThought,
    *,
    tokenize: Callable[[str], Sized] = str.split,
    keywords: Sequence[str] = KEYWORDS,
) -> ThoughtStatistics:
    """Returns the statistics of one long thought; `tokenize` cuts text into tokens."""
    kinds = Counter(segment.kind for segment in thought.segments)
    texts = [segment.text.reveal() for segment in thought.segments]
    words = " ".join(texts).casefold()
    found = {keyword: len(re.findall(_as_pattern(keyword), words)) for keyword in keywords}
    return ThoughtStatistics(
        segments=len(thought.segments),
        wrong_turns=kinds["backtrack"],
        wrong_steps=kinds["wrong"],
        tokens=sum(len(tokenize(text)) for text in texts),
        lines=sum(bool(line.strip()) for text in texts for line in text.splitlines()),
        words=sum(len(text.split()) for text in texts),
        keywords={keyword: count for keyword, count in found.items() if count},
    )


def tree_statistics(tree: ReasoningTree) -> TreeStatistics:
    """Returns the statistics of one tree."""
    inner = [len(children) for children in tree.children if children]
    return TreeStatistics(
        nodes=len(tree) - 1,
        depth=int(tree.depth.max()),
        branching=sum(inner) / len(inner) if inner else 0.0,
        leaves=len(tree) - len(inner) if inner else 0,
        answers=len(tree.answer_leaves()),
        judged=int((tree.judged[1:] > 0).sum()),
        known_wrong=len(known_wrong(tree)),
        backtracked=int(tree.backtracked.sum()),
        unparsed=int(tree.unparsed.sum()),
        no_claim=int(tree.no_claim.sum()),
        uncalibrated=int(tree.is_relative.sum()),
        backtracks=tree.backtracks,
    )


def _as_pattern(keyword: str) -> str:
    """Returns a pattern for the words of `keyword` separated by non-word characters:
    "Wait, but" matches "wait but".
    """
    return r"\b" + r"[^\w]+".join(map(re.escape, keyword.casefold().split())) + r"\b"
