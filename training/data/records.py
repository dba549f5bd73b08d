"""Converts traces to rows for supervised fine-tuning: exact token ids, and labels that
select the tokens in the loss.

A row consists of the ids of the trace's policy prompt, followed by the ids of the steps
as the policy sampled them; nothing is retokenised. Two kinds:

    shortcut   the path to the right answer
    journey    the long thought of the tree (`derive_journey`): a step of the path may
               be preceded by a wrong turn, the reason against it and a backtrack

Tokens are learned (label = token id) or masked (label = -100):

- the prompt is masked;
- steps on the path are learned whole, including the opening of their thought factor:
  the search inserted it, but a policy that thinks alone must write it itself;
- the words "Wait, step 2 is wrong. Back to step 1." are learned. They are the prompt
  family's template `mistake`, tokenised once, exactly as in the search's prompts;
- steps of wrong turns are masked: the policy learns to notice mistakes, not to make
  them.

A journey has the form of the pocket model's pretraining data, if the prompt family has
the openings: a wrong *answer* is proposed, not concluded (a separator replaces its end
of sequence, because a concluded thought has ended), and the step after a wrong turn
opens with the factor `correct`. If the last step lacks the end of sequence, it is
appended, so that the policy learns to stop.

Only traces that are `correct` are used, or answered traces of questions without a gold
answer. Source: O1 Replication Journey (arXiv:2410.18982), journey learning; masking of
wrong steps: Physics of Language Models 2.2 (arXiv:2408.16293).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from agents.prompts import Prompts
from agents.types import Step
from graphs.tasks import assert_trainable
from graphs.thought.derive import derive_journey, derive_shortcut, reason_against
from graphs.traces.trace import Trace, unusable
from graphs.tree import ReasoningTree

IGNORED = -100
"""Label of a masked token; torch's cross-entropy ignores this value."""

ThoughtKind = Literal["shortcut", "journey"]


@dataclass(frozen=True, slots=True)
class Record:
    """One row with its provenance. `T` tokens."""

    input_ids: tuple[int, ...]
    """Prompt and thought, [T]."""
    labels: tuple[int, ...]
    """Token id if learned, -100 if masked, [T]."""
    run: str
    question_hash: str
    sample: int
    nodes: tuple[int, ...]
    """Nodes of the reasoning tree whose steps are in the row, in order."""

    def row(self) -> dict[str, Any]:
        """Returns the row with its provenance as plain values, for `datasets`."""
        return {
            "input_ids": list(self.input_ids),
            "labels": list(self.labels),
            "run": self.run,
            "question_hash": self.question_hash,
            "sample": self.sample,
            "nodes": list(self.nodes),
        }


@dataclass(slots=True)
class Records:
    """Rows, and counts of the traces left out."""

    rows: list[Record] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    """Reason -> number of traces: wrong_answer, no_answer, unchecked, decided_by_rule,
    too_long, repeated."""

    @property
    def learned_tokens(self) -> int:
        """Number of learned tokens in all rows."""
        return sum(label != IGNORED for row in self.rows for label in row.labels)


def make_records(
    traces: Iterable[Trace],
    prompts: Prompts,
    *,
    kind: ThoughtKind,
    max_length: int,
    tokenizer_hash: str,
    openings: dict[str, str] | None = None,
    seed: int = 0,
) -> Records:
    """Returns the rows made of traces of training questions.

    Args:
        prompts: prompts of the trained policy; their template words the reflections.
        max_length: longest row, in tokens; longer rows are left out, because a
            truncated thought has no answer.
        tokenizer_hash: hash of the trained policy's tokenizer.
        openings: thought factor -> opening, for journeys; None or empty: steps stay
            unchanged.
        seed: seed of sampling wrong siblings; seed and question determine the row.

    Raises:
        ValueError: a trace belongs to a held-out question, or was written with another
            tokenizer.
    """
    records, seen = Records(), set()
    builder = _Builder(prompts, openings or {})
    for trace in traces:
        assert_trainable([trace.question])
        if trace.engine.tokenizer_hash != tokenizer_hash:
            raise ValueError(
                f"the trace of question {trace.question.hash} in run {trace.run!r} was written by "
                f"{trace.engine.model}, whose tokenizer differs from the trained policy's; its "
                "token ids mean something else, so record the run again with this policy"
            )
        reason = unusable(trace)
        if reason is None:
            record = builder.record(
                trace, kind, random.Random(f"{seed}/{trace.question.hash}/{trace.sample}")
            )
            reason = (
                "too_long"
                if len(record.input_ids) > max_length
                else "repeated"
                if record.input_ids in seen
                else None
            )
        if reason is not None:
            records.left_out[reason] += 1
            continue
        seen.add(record.input_ids)
        records.rows.append(record)
    return records


class _Builder:
    """Writes rows for one prompt family and one set of thought factors."""

    def __init__(self, prompts: Prompts, openings: dict[str, str]) -> None:
        encode = prompts.tokenizer.encode
        self.prompts = prompts
        self.eos = prompts.tokenizer.eos_token_id
        self.openings = {
            name: tuple(encode(opening)) for name, opening in openings.items() if opening
        }

    def record(self, trace: Trace, kind: ThoughtKind, rng: random.Random) -> Record:
        tree = ReasoningTree.replay(trace.question, trace.events)
        leaf = tree.finished.leaf if tree.finished is not None else None
        if leaf is None:
            raise ValueError(
                f"the trace of question {trace.question.hash} is answered, and its tree names no "
                "leaf; record it again"
            )
        thought = (
            derive_shortcut(tree, leaf)
            if kind == "shortcut"
            else derive_journey(tree, leaf, rng=rng)
        )
        ids = list(trace.policy_prompt)
        labels = [IGNORED] * len(ids)
        nodes: list[int] = []
        turn: int | None = None  # first step of the current wrong turn
        follows_backtrack = False

        def append(tokens: Sequence[int], *, learned: bool) -> None:
            ids.extend(tokens)
            labels.extend(tokens if learned else [IGNORED] * len(tokens))

        for segment in thought.segments:
            match segment.kind:
                case "wrong":
                    turn = segment.node if turn is None else turn
                    append(self._proposed(tree.step(segment.node)), learned=False)
                    nodes.append(segment.node)
                case "backtrack" if turn is not None:
                    append(self._mistake(tree, turn), learned=True)
                    turn, follows_backtrack = None, True
                case "step" | "answer":
                    step = tree.step(segment.node)
                    step_ids = self._right(step, corrects=follows_backtrack)
                    inserted = self._inserted(step)
                    append(step_ids[:inserted], learned=False)
                    append(step_ids[inserted:], learned=True)
                    nodes.append(segment.node)
                    follows_backtrack = False
        if ids[-1] != self.eos:
            append([self.eos], learned=True)
        return Record(
            tuple(ids), tuple(labels), trace.run, trace.question.hash, trace.sample, tuple(nodes)
        )

    def _right(self, step: Step, *, corrects: bool) -> tuple[int, ...]:
        """Returns the ids of a step on the path; after a wrong turn it gets the opening
        `correct`, unless it concludes.
        """
        ids = step.content.reveal().token_ids
        if corrects and not step.is_final and "correct" in self.openings:
            return self._reopened(ids, "correct")
        return ids

    def _inserted(self, step: Step) -> int:
        """Returns the number of leading tokens that delimit a thought and were inserted
        by the controller. The opening of a factor is a choice that the policy learns.
        """
        content = step.content.reveal()
        is_opening = content.token_ids[: content.forced] in self.openings.values()
        return 0 if is_opening else content.forced

    def _proposed(self, step: Step) -> tuple[int, ...]:
        """Returns the ids of a wrong step, without the end of sequence."""
        ids = step.content.reveal().token_ids
        if step.is_final and "propose" in self.openings:
            ids = self._reopened(ids, "propose")
        return self.prompts.as_open_step(ids, is_cut=step.finish_reason == "length")

    def _reopened(self, ids: tuple[int, ...], factor: str) -> tuple[int, ...]:
        """Returns `ids` with the opening replaced by that of `factor`; unchanged if
        `ids` begin with no opening.
        """
        for opening in self.openings.values():
            if ids[: len(opening)] == opening:
                return (*self.openings[factor], *ids[len(opening) :])
        return ids

    def _mistake(self, tree: ReasoningTree, node: int) -> tuple[int, ...]:
        """Returns the ids of the text about a wrong step and the backtrack, worded as
        in the search's prompts.
        """
        return self.prompts.mistake(int(tree.depth[node]), reason_against(tree, node))
