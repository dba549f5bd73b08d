"""Rows against the documents that the pocket is pretrained on, token by token, and what
must never become a row.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agents.engines.base import EngineInfo
from agents.engines.tokenizer import HFTokenizer
from agents.families import Problem, recognise_question
from agents.families.base import read_answer
from agents.prompts import Mistake, PromptFamily, Prompts
from agents.types import Author, Content, Hidden, Question, Reflection, Sampling, Step
from graphs.thought.derive import reason_against
from graphs.thought.long_thought import LongThought
from graphs.traces.trace import SafetyRecord, Trace
from graphs.tree import Event, Expanded, Finished, Judged, ReasoningTree, Reflected
from tests.graphs.tree.logs import verdict
from tests.training.tiny_pocket import solution_record, step_ids
from training.data.records import IGNORED, Record, Records, ThoughtKind, make_records
from training.pretrain.tokenizer import Codec

CODEC = Codec()
OPENINGS = {"propose": "<|propose|>", "correct": "<|correct|>", "conclude": "<|conclude|>"}


@pytest.fixture(scope="module")
def prompts(tiny_pocket: Path) -> Prompts:
    return Prompts(PromptFamily("pocket"), HFTokenizer(tiny_pocket))


@pytest.fixture
def question(taught_questions: list[Question]) -> Question:
    return taught_questions[0]


def problem_of(question: Question) -> Problem:
    problem = recognise_question(question.text)
    assert problem is not None
    return problem


def step_of(text: str, factor: str | None = None) -> Step:
    ids = tuple(step_ids(CODEC, text, factor))
    content = Content(text, ids, (float("nan"), *[-0.1] * (len(ids) - 1)), forced=1)
    return Step(
        Hidden(content),
        "stop",
        Author("policy", "tiny"),
        Sampling(),
        factor,
        answer=read_answer(text),
    )


def hash_of(prompts: Prompts) -> str:
    """Returns the hash of the tokenizer of the prompts, which is read from a folder."""
    tokenizer = prompts.tokenizer
    assert isinstance(tokenizer, HFTokenizer)
    return HFTokenizer(tokenizer.source).hash


def trace_of(
    question: Question,
    events: Sequence[Event],
    leaf: int | None,
    prompts: Prompts,
    *,
    correct: bool | None = True,
) -> Trace:
    answered = leaf is not None
    return Trace(
        run="first",
        sample=0,
        thought_id="t",
        question=question,
        policy_prompt=prompts.policy(question),
        events=(
            *events,
            Finished(
                "answered" if answered else "no_answer", leaf, question.gold if answered else None
            ),
        ),
        long_thought=LongThought((), "journey"),
        status="answered" if answered else "no_answer",
        answer=question.gold if answered else None,
        summary="",
        correct=correct,
        safety=(SafetyRecord("comply", None, "after_thinking"),),
        usage={},
        seconds=0.1,
        config_hash="c0ffee",
        engine=EngineInfo("scripted", "tiny", "0" * 16, hash_of(prompts), 512),
        seed=0,
    )


def tree_with_a_wrong_turn(question: Question, at: int, wrong: str) -> tuple[list[Event], int]:
    """Returns events of a tree whose path has a wrong sibling, written first, beside
    step `at`; and the leaf.
    """
    events: list[Event] = []
    parent = node = 0
    for depth, text in enumerate(problem_of(question).solution(random.Random(0))):
        if depth == at:
            node += 1
            events += [Expanded(parent, ((step_of(wrong),),)), Judged(node, verdict(-2.0))]
        node += 1
        events += [
            Expanded(
                parent,
                (
                    (
                        step_of(
                            text, "correct" if depth == at and read_answer(text) is None else None
                        ),
                    ),
                ),
            )
        ]
        events += [Judged(node, verdict(2.0))]
        parent = node
    return events, parent


def make(
    traces: Sequence[Trace], prompts: Prompts, kind: ThoughtKind = "journey", **options: object
) -> Records:
    arguments = {
        "max_length": 512,
        "tokenizer_hash": traces[0].engine.tokenizer_hash,
        "openings": OPENINGS,
    } | options
    return make_records(traces, prompts, kind=kind, **arguments)  # type: ignore[arg-type]


def test_a_shortcut_is_the_prompt_and_the_ids_of_the_path(
    question: Question, prompts: Prompts
) -> None:
    events, leaf = tree_with_a_wrong_turn(
        question,
        1,
        problem_of(question).wrong_step(
            random.Random(1), problem_of(question).solution(random.Random(0))[:1]
        ),
    )
    trace = trace_of(question, events, leaf, prompts)
    [row] = make([trace], prompts, "shortcut").rows
    path = [step for event in events if isinstance(event, Expanded) for step in event.chains[0]]
    del path[1]
    expected = [token for step in path for token in step.content.reveal().token_ids]
    assert row.input_ids == (*trace.policy_prompt, *expected)
    assert row.labels == (*[IGNORED] * len(trace.policy_prompt), *expected)


def test_a_shortcut_without_search_is_the_document_of_pretraining(
    question: Question, prompts: Prompts
) -> None:
    chain = tuple(step_of(text) for text in problem_of(question).solution(random.Random(0)))
    [row] = make(
        [trace_of(question, [Expanded(0, (chain,), "answer")], len(chain), prompts)],
        prompts,
        "shortcut",
    ).rows
    taught = solution_record(question)
    assert (row.input_ids, row.labels) == (taught.input_ids, taught.labels)


@pytest.mark.parametrize("at_answer", [False, True])
def test_a_journey_is_the_document_of_pretraining(
    question: Question, prompts: Prompts, at_answer: bool
) -> None:
    steps = problem_of(question).solution(random.Random(0))
    at = len(steps) - 1 if at_answer else 1
    wrong = (
        "Answer: 1" if at_answer else problem_of(question).wrong_step(random.Random(1), steps[:at])
    )
    events, leaf = tree_with_a_wrong_turn(question, at, wrong)
    trace = trace_of(question, events, leaf, prompts)
    [row] = make([trace], prompts).rows

    expected: list[tuple[int, bool]] = [(token, False) for token in trace.policy_prompt]
    for depth, text in enumerate(steps):
        if depth == at:
            expected += [
                (token, False)
                for token in (CODEC.special("propose"), *CODEC.encode(wrong), CODEC.separator)
            ]
            for factor, words in (
                ("reflect", f"Wait, step {at + 1} is wrong."),
                ("backtrack", f"Back to step {at}."),
            ):
                expected += [
                    (token, True)
                    for token in (CODEC.special(factor), *CODEC.encode(words), CODEC.separator)
                ]
        corrects = depth == at and not at_answer
        expected += [
            (token, True) for token in step_ids(CODEC, text, "correct" if corrects else None)
        ]
    assert row.input_ids == tuple(token for token, _ in expected)
    assert row.labels == tuple(token if learned else IGNORED for token, learned in expected)
    assert row.nodes == (*range(1, len(steps) + 2),)


def test_the_step_behind_a_wrong_turn_opens_as_a_correction(
    question: Question, prompts: Prompts
) -> None:
    steps = problem_of(question).solution(random.Random(0))
    events, leaf = tree_with_a_wrong_turn(
        question, 0, problem_of(question).wrong_step(random.Random(1), [])
    )
    plain = [
        dataclasses.replace(e, chains=((step_of(steps[0]),),))
        if i == 2 and isinstance(e, Expanded)
        else e
        for i, e in enumerate(events)
    ]
    [row] = make([trace_of(question, plain, leaf, prompts)], prompts).rows
    [without] = make([trace_of(question, plain, leaf, prompts)], prompts, openings={}).rows
    assert row.input_ids.count(CODEC.special("correct")) == 1
    assert CODEC.special("correct") not in without.input_ids


@pytest.mark.parametrize("reason", [None, "3 cat * 4 : 12"])
def test_a_mistake_is_told_as_search_shows_it(
    question: Question, tiny_pocket: Path, reason: str | None
) -> None:
    class TellingFamily(PromptFamily):
        """The pocket's own words tell no reason."""

        def render(self, template: str, **variables: Any) -> str:
            return f"{variables.get('reason', '')}{super().render(template, **variables)}"

    prompts = Prompts(TellingFamily("pocket"), HFTokenizer(tiny_pocket))
    steps = problem_of(question).solution(random.Random(0))
    wrong = problem_of(question).wrong_step(random.Random(1), steps[:1])
    events, leaf = tree_with_a_wrong_turn(question, 1, wrong)
    node = next(
        event.node for event in events if isinstance(event, Judged) and not event.verdict.is_right
    )
    events = [
        Judged(node, verdict(-2.0, reason=reason))
        if isinstance(e, Judged) and e.node == node
        else e
        for e in events
    ]
    reflection = Reflected(node, Reflection("reflect", Hidden("7 cat * 7 : 49"), node, None))
    trace = trace_of(question, [*events, reflection], leaf, prompts)
    [row] = make([trace], prompts).rows
    tree = ReasoningTree.replay(question, trace.events)
    mistake = Mistake(step_of(wrong), reason_against(tree, node))
    shown, _ = prompts.context(
        question, [step_of(steps[0])], mistakes=[mistake], opening=OPENINGS["correct"]
    )
    assert row.input_ids[: len(shown)] == shown


def test_a_thought_that_did_not_end_gets_an_end(question: Question, prompts: Prompts) -> None:
    chain = [step_of(text) for text in problem_of(question).solution(random.Random(0))]
    last = chain[-1].content.reveal()
    chain[-1] = dataclasses.replace(
        chain[-1],
        content=Hidden(
            dataclasses.replace(last, token_ids=last.token_ids[:-1], logprobs=last.logprobs[:-1])
        ),
    )
    [row] = make(
        [trace_of(question, [Expanded(0, (tuple(chain),))], len(chain), prompts)],
        prompts,
        "shortcut",
    ).rows
    assert row.input_ids == solution_record(question).input_ids


def test_what_is_not_right_is_left_out_and_counted(question: Question, prompts: Prompts) -> None:
    chain = tuple(step_of(text) for text in problem_of(question).solution(random.Random(0)))
    events = [Expanded(0, (chain,))]
    right = trace_of(question, events, len(chain), prompts)
    found = make(
        [
            right,
            right,
            trace_of(question, events, len(chain), prompts, correct=False),
            trace_of(question, events, None, prompts, correct=False),
            dataclasses.replace(
                right, safety=(SafetyRecord("safe_completion", "some-rule", "after_thinking"),)
            ),
            dataclasses.replace(right, correct=None, check="timed_out"),
        ],
        prompts,
    )
    assert len(found.rows) == 1
    assert found.left_out == {
        "repeated": 1,
        "wrong_answer": 1,
        "no_answer": 1,
        "decided_by_rule": 1,
        "unchecked": 1,
    }
    without_gold = question.model_copy(update={"gold": None})
    assert (
        len(
            make(
                [dataclasses.replace(right, question=without_gold, correct=None, check="no_gold")],
                prompts,
            ).rows
        )
        == 1
    )
    assert make([right], prompts, max_length=len(found.rows[0].input_ids)).left_out == {}
    assert make([right], prompts, max_length=len(found.rows[0].input_ids) - 1).left_out == {
        "too_long": 1
    }
    assert found.learned_tokens == sum(label != IGNORED for label in found.rows[0].labels)


def test_rows_say_where_they_come_from(question: Question, prompts: Prompts) -> None:
    chain = tuple(step_of(text) for text in problem_of(question).solution(random.Random(0)))
    [row] = make([trace_of(question, [Expanded(0, (chain,))], len(chain), prompts)], prompts).rows
    assert (row.run, row.question_hash, row.sample, row.nodes) == (
        "first",
        question.hash,
        0,
        tuple(range(1, len(chain) + 1)),
    )
    assert row.row().keys() == Record.__dataclass_fields__.keys()


@pytest.mark.parametrize("task", ["pocket", "gsm8k"])
def test_held_out_questions_are_refused(prompts: Prompts, question: Question, task: str) -> None:
    metadata = {"split": "test"} if task == "gsm8k" else {}
    text = (
        question.text
        if task == "gsm8k"
        else next(f"What is {i} + 1?" for i in range(999) if _held(i))
    )
    held_out = Question(text=text, gold="1", task=task, metadata=metadata)
    with pytest.raises(ValueError, match=f"{held_out.hash}.*must not be trained on"):
        make([trace_of(held_out, [], None, prompts)], prompts)


def test_traces_of_another_tokenizer_are_refused(question: Question, prompts: Prompts) -> None:
    with pytest.raises(ValueError, match="tokenizer"):
        make([trace_of(question, [], None, prompts)], prompts, tokenizer_hash="f" * 16)


def _held(number: int) -> bool:
    from graphs.tasks import split_of_text

    return split_of_text(f"What is {number} + 1?") == "test"


def test_what_is_made_from_test_questions_gives_no_rows(
    question: Question, prompts: Prompts
) -> None:
    chain = tuple(step_of(text) for text in problem_of(question).solution(random.Random(0)))
    trace = trace_of(question, [Expanded(0, (chain,), "answer")], len(chain), prompts)
    leaked = question.model_copy(
        update={"task": "reasoning_gym", "metadata": {"dataset": "gsm_symbolic", "split": "train"}}
    )
    with pytest.raises(ValueError, match=f"{question.hash}.*published test questions"):
        make([trace, dataclasses.replace(trace, question=leaked)], prompts)


def test_tokens_that_closed_a_thought_are_not_learned(question: Question, prompts: Prompts) -> None:
    chain = [step_of(text) for text in problem_of(question).solution(random.Random(0))]
    first = chain[0].content.reveal()
    closing = tuple(CODEC.encode("12"))
    chain[0] = dataclasses.replace(
        chain[0],
        content=Hidden(
            Content(
                first.text,
                closing + first.token_ids,
                (float("nan"),) * len(closing) + first.logprobs,
                forced=len(closing),
            )
        ),
    )
    [row] = make(
        [trace_of(question, [Expanded(0, (tuple(chain),))], len(chain), prompts)],
        prompts,
        "shortcut",
    ).rows
    start = len(prompts.policy(question))
    labels = row.labels[start : start + len(closing) + 1]
    assert labels == (*[IGNORED] * len(closing), first.token_ids[0])
