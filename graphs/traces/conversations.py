"""Traces as conversations, in the columns that TRL's trainers load directly.

    sft    messages [user, assistant], and the same as prompt [user] and completion
           [assistant], with correct: true, false, or null where the question has no
           right answer to compare with
    dpo    prompt [user], chosen [assistant], rejected [assistant]: a right and a wrong
           answer to one question

The user's turn is the question, the assistant's turn the final answer. With `reveal`
the thought precedes the answer in a think block: for sft the long thought, wrong turns
included; for dpo the path to each answer.

If prompt and completion are present, SFTTrainer reads them and computes the loss on the
completion alone. Questions for measuring only (published test sets and questions
derived from them) are left out, because these rows are training data. `split` is the
split of each question; rows of splits other than train are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from agents.answers import Checkers, canonical
from agents.engines import loop
from agents.prompts.history import as_messages
from agents.safety.visible_text import strip_markup, visible_text
from agents.types import Question, Turn
from graphs.tasks import is_for_measuring_only, split_of_question
from graphs.thought.derive import derive_shortcut
from graphs.thought.long_thought import LongThought, sentences_of
from graphs.traces.checked import check_answers
from graphs.traces.row_files import Columns, Kind
from graphs.traces.trace import Trace, unusable
from graphs.tree import ReasoningTree

_MESSAGES: Kind = [{"role": str, "content": str}]
_ORIGIN: Columns = {"run": str, "question_hash": str, "sample": int, "task": str, "split": str}
SFT_COLUMNS: Columns = {
    **dict.fromkeys(("messages", "prompt", "completion"), _MESSAGES),
    "correct": bool,
    **_ORIGIN,
}
DPO_COLUMNS: Columns = {**dict.fromkeys(("prompt", "chosen", "rejected"), _MESSAGES), **_ORIGIN}


@dataclass(slots=True)
class Selection:
    """Counts of traces left out and of held-out rows, updated while rows are made."""

    left_out: Counter[str] = field(default_factory=Counter)
    """Reason -> number of traces (sft) or of questions (dpo)."""
    held_out: int = 0
    """Rows whose question belongs to the validation or test split and has a gold
    answer; after training on them, the question is useless as a measurement."""

    def origin(self, trace: Trace) -> dict[str, Any]:
        """Returns the columns that name a row's origin; counts the row if its question
        is held out.
        """
        question = trace.question
        split = split_of_question(question)
        self.held_out += question.is_scored and split != "train"
        return dict(
            zip(
                _ORIGIN, (trace.run, question.hash, trace.sample, question.task, split), strict=True
            )
        )


def sft_rows(
    traces: Iterable[Trace], selection: Selection, *, reveal: bool, keep_wrong: bool = False
) -> Iterator[dict[str, Any]]:
    """Yields a row for each trace with a right or unscored answer; with `keep_wrong`
    also for each with a wrong answer.
    """
    for trace in traces:
        reason = _reason(trace, keep_wrong=keep_wrong)
        answer = visible_text(trace.answer or "")
        if reason is None and not answer:
            reason = "no_answer"
        if reason is not None:
            selection.left_out[reason] += 1
            continue
        prompt = _prompt(trace.question)
        completion = [_assistant(answer, trace.long_thought if reveal else None)]
        row = {"messages": prompt + completion, "prompt": prompt, "completion": completion}
        yield row | {"correct": trace.correct} | selection.origin(trace)


def dpo_rows(
    traces: Iterable[Trace], selection: Selection, *, reveal: bool, checker: str | None = None
) -> Iterator[dict[str, Any]]:
    """Yields a row for each distinct wrong answer to a question whose trees also hold a
    right answer.

    Chosen is the right answer that a thought ended with, or else the right answer that
    was sampled most often. Each wrong answer is rejected once. Traces of one question
    must be consecutive. `checker` is the run's task.checker.
    """
    checkers = Checkers(checker)
    try:
        for _, group in groupby(traces, key=lambda trace: trace.question.hash):
            samples = list(group)
            reason = _reason(samples[0], keep_wrong=True, answered=False)
            if reason is None and not samples[0].question.is_scored:
                reason = "not_scored"
            candidates = [] if reason else _candidates(samples, checkers, reveal=reveal)
            right = [candidate for candidate in candidates if candidate.is_right]
            wrong = [candidate for candidate in candidates if not candidate.is_right]
            if reason is None and not (right and wrong):
                reason = "no_wrong_answer" if right else "no_right_answer"
            if reason is not None:
                selection.left_out[reason] += 1
                continue
            for candidate in wrong:
                yield {
                    "prompt": _prompt(samples[0].question),
                    "chosen": [right[0].message],
                    "rejected": [candidate.message],
                } | selection.origin(candidate.trace)
    finally:
        loop.run(checkers.close())


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An answer in a tree, with its rank among the answers to its question."""

    is_right: bool
    rank: tuple[bool, int]
    """Whether the thought ended with the answer; how often the answer was sampled."""
    message: dict[str, str]
    trace: Trace


def _candidates(samples: list[Trace], checkers: Checkers, *, reveal: bool) -> list[_Candidate]:
    """Returns the best-ranked leaf of each distinct answer that could be checked, best
    first.
    """
    best: dict[str, _Candidate] = {}
    for trace in samples:
        question = trace.question
        if any(record.decision != "comply" for record in trace.safety):
            continue
        tree = ReasoningTree.replay(question, trace.events)
        right = loop.run(check_answers(question, tree, checkers))
        ended = None if tree.finished is None else tree.finished.leaf
        for leaf in tree.answer_leaves():
            text = tree.step(leaf).answer or ""
            form, answer = canonical(text, question.task), visible_text(text)
            is_right = right[form]
            if is_right is None or not answer:
                continue
            rank = (leaf == ended, int(tree.count[leaf]))
            if form not in best or rank > best[form].rank:
                message = _assistant(answer, derive_shortcut(tree, leaf) if reveal else None)
                best[form] = _Candidate(is_right, rank, message, trace)
    return sorted(best.values(), key=lambda candidate: candidate.rank, reverse=True)


def _reason(trace: Trace, *, keep_wrong: bool, answered: bool = True) -> str | None:
    """Returns the reason why a trace is left out; None if a row is made of it."""
    if is_for_measuring_only(trace.question):
        return "for_measuring_only"
    reason = unusable(trace) if answered else None
    return None if keep_wrong and reason == "wrong_answer" else reason


def _prompt(question: Question) -> list[dict[str, str]]:
    """Returns the turns before the question, and its own."""
    return as_messages([*question.history, Turn(role="user", text=question.text)])


def _assistant(answer: str, thought: LongThought | None) -> dict[str, str]:
    """Returns the assistant's turn; leaves out a thought that is only the answer."""
    text = "" if thought is None else _text_of(thought)
    content = answer if text in ("", answer) else f"<think>\n{text}\n</think>\n\n{answer}"
    return {"role": "assistant", "content": content}


def _text_of(thought: LongThought) -> str:
    texts = (
        strip_markup("".join(segment.text.reveal() for segment in group))
        for group in sentences_of(thought.segments)
    )
    return "\n\n".join(text for text in texts if text)
