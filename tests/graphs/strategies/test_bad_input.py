"""Every strategy through the whole graph with bad input: a critic without readable
verdicts, no budget, one sentence only, an engine that dies. Numbers that do not fit
together are refused earlier (tests/configs/test_refusals.py).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from agents.types import Budget, EngineDiedError, Meter, Question, Step, Verdict
from graphs.reasoner.batch import run_questions
from graphs.reasoner.graph import think
from graphs.strategies import Strategy
from graphs.strategies.build import STRATEGIES
from graphs.strategies.stepwise import Stepwise
from graphs.traces.store import TraceStore
from graphs.traces.trace import Trace
from graphs.tree import ReasoningTree
from tests.graphs.reasoner.test_graph import QUESTIONS, resources_for
from tests.graphs.strategies.test_laws import STRATEGIES as IN_THE_WORLD
from tests.graphs.strategies.world import World, simulate

OPTIONS: dict[str, tuple[str, ...]] = {
    "auto": ("search.num_samples=8", "search.first_samples=2"),
    "greedy": (),
    "best_of_n": ("search.num_samples=4", "search.selection=weighted_vote"),
    "self_consistency": ("search.num_samples=6", "search.batch_size=2"),
    "sequential_revision": ("search.num_samples=4", "search.num_chains=2"),
    "critique_loop": ("search.max_children=3",),
    "beam": ("search.num_samples=4", "search.beam_width=2"),
    "dvts": ("search.num_samples=4", "search.beam_width=2"),
    "rebase": ("search.num_samples=4",),
    "particles": ("search.num_samples=4",),
    "mcts": ("search.num_simulations=6", "search.num_children=2"),
    "posterior": ("search.num_samples=8", "search.first_samples=2"),
    "compute_optimal": ("search.medium=rebase", "search.medium_samples=8", "search.hard_samples=8"),
}
"""Small searches, and only those of `STRATEGIES`: a new strategy is asked for its bad
days as well."""

every_strategy = pytest.mark.parametrize("name", STRATEGIES)
NEVER_ASK_A_CRITIC = ("greedy", "self_consistency")


def words(name: str, *more: str) -> list[str]:
    return [f"search={name}", *OPTIONS[name], "run.concurrency=2", *more]


def tree_of(trace: Trace) -> ReasoningTree:
    return ReasoningTree.replay(trace.question, trace.events)


async def ask_with_scores(overrides: Sequence[str], score: float) -> list[Trace]:
    """Returns traces of two questions; `score`: the log-probability that the critic's
    engine gives either verdict, in nats.
    """
    async with resources_for(*overrides, "critic=token") as (key, traces, resources):
        resources.engine._score = lambda prompt, candidate: score  # type: ignore[attr-defined]
        await asyncio.gather(*(think(Question(text=text), key) for text in QUESTIONS[2:4]))
    return traces


@every_strategy
@pytest.mark.parametrize("score", [math.nan, -0.7], ids=["NaN", "0.5"])
async def test_a_critic_that_never_says_anything_ends_no_search(name: str, score: float) -> None:
    """Always NaN: every verdict is unparsed. Always even odds: every verdict is no
    evidence. The search ends within its budget.
    """
    for trace in await ask_with_scores(words(name), score):
        tree = tree_of(trace)
        assert trace.status == "answered" and not tree.log_likelihood_ratio.any()
        assert math.isfinite(tree.value_sum.sum())
        assert sum(usage.calls for usage in trace.usage.values()) <= 256 and len(tree) <= 128
        assert sum(usage.generated_tokens for usage in trace.usage.values()) <= 4096
        assert not (tree.judged if math.isnan(score) else tree.unparsed).any()
        # the probe may agree
        if (
            name != "compute_optimal"
            or len({tree.step(leaf).answer for leaf in tree.answer_leaves()}) > 1
        ):
            assert (tree.judged + tree.unparsed).any() == (name not in NEVER_ASK_A_CRITIC)


@pytest.mark.parametrize("score", [math.nan, -0.7], ids=["NaN", "0.5"])
async def test_where_all_scores_are_equal_votes_count_and_the_first_is_the_best(
    score: float,
) -> None:
    for selection in ("best", "weighted_vote"):
        options = ("search=best_of_n", "search.num_samples=8", "search.aggregation=last")
        chosen = await ask_with_scores([*options, f"search.selection={selection}"], score)
        majority = await ask_with_scores([*options, "search.selection=majority"], score)
        for trace in chosen:
            tree = tree_of(trace)
            [voted] = [other.answer for other in majority if other.question == trace.question]
            assert trace.answer == (
                tree.step(tree.answer_leaves()[0]).answer if selection == "best" else voted
            )


class _CarelessCritic:
    """Takes a NaN for a number."""

    async def judge(
        self, question: Question, steps: Sequence[Step], *, meter: Meter
    ) -> Verdict | None:
        return Verdict(0.5 if question.text == QUESTIONS[3] else math.nan, "outcome_model")


@pytest.mark.parametrize("name", ["best_of_n", "mcts"])
async def test_a_nan_verdict_is_one_error_of_one_question(
    name: str,
) -> None:
    bad, good = Question(text=QUESTIONS[2]), Question(text=QUESTIONS[3])
    async with resources_for(*words(name)) as (key, traces, resources):
        resources.critic = _CarelessCritic()
        outcome = await run_questions([bad, good], key, concurrency=2)
    assert (
        "a verdict of outcome_model has the score nan" in outcome.failed[f"{bad.hash}/0"]
        and len(outcome.failed) == 1
    )
    assert [trace.question for trace in traces] == [good] and not resources.thoughts


@every_strategy
async def test_without_time_no_request_is_sent_and_there_is_no_answer(name: str) -> None:
    async with resources_for(*words(name, "budget.max_seconds=1e-9"), die_after=0) as (
        key,
        traces,
        _,
    ):
        answer = await think(Question(text=QUESTIONS[2]), key)
    assert (answer.status, answer.answer, answer.nodes) == ("no_answer", None, 1)
    assert traces[0].usage == {}


@pytest.mark.parametrize("strategy", IN_THE_WORLD.values(), ids=IN_THE_WORLD.keys())
@pytest.mark.parametrize(
    "budget",
    [Budget(max_tokens=0), Budget(max_calls=0), Budget(max_nodes=0), Budget(max_seconds=0.0)],
    ids=str,
)
def test_without_a_budget_a_search_is_over_before_it_begins(
    strategy: Strategy, budget: Budget
) -> None:
    """The configuration refuses these; a caller's own `Budget` does not."""
    search = simulate(strategy, World(), budget=budget)
    assert not search.requests and search.leaf is None and not search.events


@pytest.mark.parametrize(
    "name", [name for name, strategy in STRATEGIES.items() if issubclass(strategy, Stepwise)]
)
async def test_a_reserve_that_is_more_than_the_budget_leaves_the_greedy_thought(name: str) -> None:
    answers = []
    for search in (["search=greedy"], words(name, "search.reserve_tokens=64")):
        async with resources_for(*search, "budget.max_tokens=60") as (key, _, _):
            answers.append((await think(Question(text=QUESTIONS[2]), key)).answer)
    assert answers[0] is not None and answers[0] == answers[1]


@every_strategy
async def test_where_everything_is_said_twice_it_counts_once(name: str) -> None:
    async with resources_for(*words(name)) as (key, traces, resources):
        resources.engine._reply = lambda prompt, index, rng: (  # type: ignore[attr-defined]
            "19 + 8 : 27<|right|>" if prompt.endswith("<|verify|>") else "<|conclude|>Answer: 216"
        )
        answer = await think(Question(text=QUESTIONS[2], gold="known"), key)
    tree = tree_of(traces[0])
    assert (answer.status, answer.answer, len(tree)) == ("answered", "216", 2)
    assert tree.samples[0] == tree.count[1] == len(tree.ends) >= 1 and len(tree.verdicts[1]) <= 1


@every_strategy
async def test_a_policy_without_an_answer_ends_at_its_budget(
    name: str,
) -> None:
    """The same step for ever: one node per level."""
    async with resources_for(
        *words(name, "budget.max_tokens=600", "budget.max_calls=60", "budget.max_depth=6")
    ) as (
        key,
        traces,
        resources,
    ):
        resources.engine._reply = lambda prompt, index, rng: (  # type: ignore[attr-defined]
            "19 + 8 : 27<|right|>"
            if prompt.endswith("<|verify|>")
            else "<|propose|>19 + 8 = 27\n\n" * 40
        )
        answer = await think(Question(text=QUESTIONS[2]), key)
    tree = tree_of(traces[0])
    assert (answer.status, answer.answer) == ("no_answer", None)
    assert sum(usage.generated_tokens for usage in traces[0].usage.values()) <= 600
    assert sum(usage.calls for usage in traces[0].usage.values()) <= 60
    assert all(
        len({tree.step(child).finish_reason for child in children}) == len(children)
        for children in tree.children
    )


def compared(traces: Sequence[Trace]) -> dict[str, tuple[object, ...]]:
    """Returns what must be equal in two runs of the same configuration."""
    return {
        trace.question.text: (
            trace.events,
            trace.long_thought,
            trace.answer,
            trace.status,
            trace.correct,
        )
        for trace in traces
    }


@every_strategy
async def test_a_run_whose_engine_dies_keeps_its_answers_and_can_be_resumed(
    name: str, tmp_path: Path
) -> None:
    questions = [Question(text=text, gold="known", task="pocket") for text in QUESTIONS]

    async def run(store: TraceStore, **options: object) -> int:
        """Asks what is missing, as graphs.run does; returns how many requests the
        engine got.
        """
        missing = [question for question in questions if (question.hash, 0) not in store.finished()]
        async with resources_for(*words(name), **options) as (key, _, resources):
            resources.sink, resources.run = store.record, "run"
            try:
                await run_questions(missing, key, concurrency=2)
            finally:
                assert not resources.thoughts, "a thought that was broken off leaves nothing behind"
            return resources.engine._requests  # type: ignore[attr-defined,no-any-return]

    def store(folder: str) -> TraceStore:
        return TraceStore.open(
            tmp_path / folder / "run", config_hash=resources_hash, config_yaml=""
        )

    async with resources_for(*words(name)) as (_, _, resources):
        resources_hash = resources.config_hash
    with store("whole") as whole:
        requests = await run(whole)
        expected = compared(list(whole))
    with store("broken") as broken:
        with pytest.raises(EngineDiedError):
            await run(broken, die_after=requests * 2 // 3)
        finished = compared(list(broken))
        assert 0 < len(finished) < len(questions)
        assert finished == {text: expected[text] for text in finished}, (
            "no half of a thought is stored as a whole one"
        )
    with store("broken") as resumed:
        await run(resumed)
        assert compared(list(resumed)) == expected
