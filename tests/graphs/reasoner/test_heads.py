"""A whole graph whose search reads heads: their outputs are in the trace, their cost
is counted, and the search uses them.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections.abc import Sequence
from uuid import uuid4

import pytest

from agents.engines import Classification
from agents.engines.heads_folder import VALUE, factor_label
from agents.engines.scripted.engine import ScriptedEngine
from agents.types import EngineDiedError, Question, Usage
from configs import compose
from graphs.reasoner.graph import think
from graphs.reasoner.resources import build_resources, forget, register
from graphs.traces.codec import AuditCodec
from graphs.traces.trace import Trace
from graphs.tree import Judged, PriorsComputed, ReasoningTree
from tests.scripted_pocket import read_prompt, scripted_pocket

QUESTIONS = [
    "Locks from 3: A 0 19 9 4 3, B 41 21 16 15 13.",
    "Compute (19 + 8) * 8.",
    "Solve 66 + 12 * c = 414 for c.",
]
FACTORS = ("propose", "correct", "conclude")
SEARCH = (
    *("search=mcts", "search.use_factors=true", "search.num_simulations=32"),
    *(
        "search.prior=policy_head",
        "search.min_prior=0",
        "search.aggregation=last",
        "critic=value_head",
        "reflector=none",
    ),
    *(
        "engine=scripted",
        "engine.function=tests.scripted_pocket:Pocket",
        "engine@heads.engine=transformers",
    ),
)


class PocketHeads:
    """Heads that know the truth: V is whether all steps are right, P is for what the
    family's own solution does next.
    """

    def __init__(self, policy: ScriptedEngine) -> None:
        self.info = dataclasses.replace(
            policy.info, kind="transformers", model="heads", model_hash="1" * 16
        )
        self.tokenizer = policy.tokenizer
        self.labels = (VALUE, *(factor_label(name) for name in FACTORS))
        self.reads = 0
        self.dies = False

    async def classify(self, prompt: Sequence[int], *, priority: int = 0) -> Classification:
        self.reads += 1
        if self.dies:
            raise EngineDiedError("the heads died", in_flight=1)
        problem, steps, _ = read_prompt(
            self.tokenizer.decode(list(prompt), skip_special_tokens=False)
        )
        right = all(problem.verdict(truth) for truth in problem.check_steps(steps))
        step = problem.next_step(random.Random(0), steps) or ""
        concludes = step.startswith("Answer:")
        value, propose, conclude = (
            (4.0 if right else -4.0),
            (0.0 if concludes else 4.0),
            (4.0 if concludes else 0.0),
        )
        return Classification((value, propose, -4.0, conclude), Usage(len(prompt), 0, 0, 1))

    async def close(self) -> None:
        pass


async def think_all(
    *overrides: str, dies: bool = False
) -> tuple[list[Trace], PocketHeads, dict[str, str]]:
    config = compose([*SEARCH, "heads.engine.model=agents/pocket", *overrides])
    engine = scripted_pocket()
    heads, traces, key = PocketHeads(engine), list[Trace](), uuid4().hex
    heads.dies = dies
    resources = build_resources(config, {"policy": engine, "heads": heads}, sink=traces.append)
    register(key, resources)
    try:
        await asyncio.gather(
            *(think(Question(text=text, gold="known", task="pocket"), key) for text in QUESTIONS)
        )
    finally:
        forget(key)
        await engine.close()
    return sorted(traces, key=lambda trace: trace.question.text), heads, resources.contents


async def test_the_search_goes_by_its_heads_and_the_trace_says_so() -> None:
    traces, heads, contents = await think_all()
    assert len(traces) == len(QUESTIONS)
    assert all(trace.correct for trace in traces), "with a value head that is always right"
    assert contents["weights of the heads"] == heads.info.model_hash
    assert (
        sum(trace.usage["critic"].calls + trace.usage["heads"].calls for trace in traces)
        == heads.reads
    )
    for trace in traces:
        events = trace.events
        verdicts = [event.verdict for event in events if isinstance(event, Judged)]
        assert {(verdict.source, verdict.scope) for verdict in verdicts} == {
            ("value_head", "value")
        }
        computed = [event.node for event in events if isinstance(event, PriorsComputed)]
        tree = ReasoningTree.replay(trace.question, events)
        assert computed and len(set(computed)) == len(computed), "each node once"
        assert set(computed) == {node for node in range(len(tree)) if tree.samples[node]}, (
            "where the policy was asked"
        )
        assert trace.usage["critic"].calls == len(verdicts) and trace.usage["heads"].calls == len(
            computed
        )
        assert trace.usage["critic"].generated_tokens == trace.usage["heads"].generated_tokens == 0
        assert AuditCodec().loads(AuditCodec().dumps(trace)) == trace


async def test_it_does_the_same_again() -> None:
    once, again = [(await think_all())[0] for _ in range(2)]
    assert [trace.events for trace in once] == [trace.events for trace in again]


async def test_factors_of_little_prior_are_not_written() -> None:
    whole, few = [(await think_all(*words))[0] for words in ((), ("search.min_prior=0.1",))]
    for trace, other in zip(few, whole, strict=True):
        tree = ReasoningTree.replay(trace.question, trace.events)
        assert all(tree.samples[node] <= 1 for node in range(len(tree))), (
            "the heads are sure of one factor everywhere"
        )
        assert trace.usage["policy"].generated_tokens < other.usage["policy"].generated_tokens


@pytest.mark.parametrize("calls", [1, 2, 3, 4])
async def test_with_few_calls_there_is_an_answer_all_the_same(calls: int) -> None:
    traces, _, _ = await think_all(f"budget.max_calls={calls}")
    assert all(sum(usage.calls for usage in trace.usage.values()) <= calls for trace in traces)
    assert {trace.status for trace in traces} == {"answered"}


async def test_heads_that_die_fail_the_question_with_their_error() -> None:
    with pytest.raises(EngineDiedError, match="the heads died"):
        await think_all(dies=True)


def test_a_configuration_that_reads_heads_is_given_some() -> None:
    with pytest.raises(
        ValueError, match=r'reads heads, but no classifier is open.*pass it as "heads"'
    ):
        build_resources(
            compose([*SEARCH, "heads.engine.model=agents/pocket"]), {"policy": scripted_pocket()}
        )


def test_heads_of_another_tokenizer_are_refused() -> None:
    config, engine = compose([*SEARCH, "heads.engine.model=agents/pocket"]), scripted_pocket()
    heads = PocketHeads(engine)
    heads.info = dataclasses.replace(heads.info, tokenizer_hash="2" * 16)
    with pytest.raises(
        ValueError,
        match=r"heads\.engine \(heads\) has another tokenizer than the policy.*training=heads",
    ):
        build_resources(config, {"policy": engine, "heads": heads})
