"""Small trees over a real problem, which the exact checker can check: (19 + 8) * 8 =
216, in two steps and an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agents.families import Problem, recognise_question
from agents.types import Question, Step
from graphs.traces.trace import Trace
from graphs.tree import Event, Expanded, Finished, ReasoningTree
from tests.graphs.strategies.trees import step
from tests.graphs.traces.samples import make_trace

SUM = Question(
    text="Compute (19 + 8) * 8.",
    gold="216",
    task="pocket",
    metadata={"family": "running", "level": 2},
)
FIRST, SECOND, RIGHT = "19 + 8 = 27", "27 * 8 = 216", "Answer: 216"
SLIP, OTHER_SLIP = "19 + 8 = 28", "19 + 8 = 17"
SOUND = (FIRST, SECOND, RIGHT)
LUCKY = (SLIP, "28 * 8 = 216", RIGHT)
WRONG_END = (FIRST, "27 * 8 = 206", "Answer: 206")
LOST = (SLIP, "28 * 8 = 224", "Answer: 224")


def problem_of(question: Question = SUM) -> Problem:
    """Returns the problem of a question that a family knows."""
    problem = recognise_question(question.text)
    assert problem is not None
    return problem


def written(text: str, *, logprob: float = -1.0) -> Step:
    """Returns a step, with an answer if its text marks one."""
    return step(text, answer=text.partition("Answer: ")[2] or None, logprob=logprob)


def steps_below(parent: int, *texts: str) -> Expanded:
    """Returns an event that asks for one next step of `parent` per text."""
    return Expanded(parent, tuple((written(text),) for text in texts))


def samples(*chains: Sequence[str]) -> Expanded:
    """Returns an event in which each chain is a whole sample."""
    return Expanded(0, tuple(tuple(written(text) for text in chain) for chain in chains), "answer")


def trace_of(events: Sequence[Event], *, run: str = "first", question: Question = SUM) -> Trace:
    """Returns a trace that gives its first answer."""
    leaf = next(iter(ReasoningTree.replay(question, events).answer_leaves()), None)
    end = Finished(
        "no_answer" if leaf is None else "answered", leaf, None if leaf is None else "given"
    )
    return replace(make_trace([*events, end], question=question), run=run)
