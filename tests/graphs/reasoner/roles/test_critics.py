"""Searches with every kind of critic, through the graph, on the scripted pocket."""

from __future__ import annotations

import asyncio
import json
import math
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from agents.critics import RandomCritic
from agents.pocket.domain import Domain
from agents.types import Question
from configs import ConfigError, compose
from configs.schema import OracleCriticConfig
from configs.schema.critic import CriticOptions
from graphs.reasoner.batch import run_questions
from graphs.reasoner.graph import think
from graphs.reasoner.resources import engines_wanted, start_resources
from graphs.traces.codec import AuditCodec
from graphs.traces.trace import Trace
from graphs.tree import ReasoningTree
from tests.graphs.reasoner.test_graph import QUESTIONS, resources_for
from tests.scripted_pocket import read_prompt

SEARCHES = {
    "best_of_n": ("search=best_of_n", "search.num_samples=6", "search.selection=best"),
    "critique_loop": ("search=critique_loop", "search.max_children=3"),
}


async def ask_all(
    *overrides: str, score: float | None = None, questions: Sequence[str] = QUESTIONS
) -> list[Trace]:
    """Returns the questions' traces; `score`: the log-probability that the engine gives
    either verdict, in nats.
    """
    async with resources_for(*overrides) as (key, traces, resources):
        if score is not None:
            resources.engine._score = lambda prompt, candidate: score  # type: ignore[attr-defined]
        await asyncio.gather(
            *(think(Question(text=text, gold="known", task="pocket"), key) for text in questions)
        )
    assert len(traces) == len(questions)
    return traces


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("score", [math.nan, -0.7])
async def test_a_critic_that_never_says_anything_ends_no_search(search: str, score: float) -> None:
    """Always NaN: every verdict is unparsed. Always even odds: every verdict is no
    evidence.
    """
    traces = await ask_all(*SEARCHES[search], "critic=token", score=score)
    assert {trace.status for trace in traces} == {"answered"}
    for trace in traces:
        tree = ReasoningTree.replay(trace.question, trace.events)
        assert (
            tree.unparsed if math.isnan(score) else tree.judged
        ).sum() > 0 and not tree.log_likelihood_ratio.any()
        assert tree.is_judged != math.isnan(score)


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("kind", ["random", "length", "logprob", "oracle"])
async def test_a_control_judges_without_a_token(search: str, kind: str) -> None:
    traces = await ask_all(*SEARCHES[search], f"critic={kind}", "reflector=none")
    for trace in traces:
        tree = ReasoningTree.replay(trace.question, trace.events)
        assert trace.status == "answered" and "critic" not in trace.usage
        assert {verdict.source for verdicts in tree.verdicts for verdict in verdicts} == {
            f"{kind}_critic"
        }
        codec = AuditCodec()
        assert codec.loads(codec.dumps(trace)) == trace


class _Nonesuch(CriticOptions):
    kind: str = "nonesuch"


async def test_an_unknown_kind_is_no_working_critic() -> None:
    config = compose(["engine=scripted", "engine.function=tests.scripted_pocket:Pocket"])
    with pytest.raises(AssertionError, match="nonesuch"):
        await start_resources(config.model_copy(update={"critic": _Nonesuch()}))


async def test_with_the_oracle_the_loop_is_right_and_so_is_best_of_n_if_it_can() -> None:
    assert all(trace.correct for trace in await ask_all("critic=oracle"))
    for trace in await ask_all(
        "critic=oracle", "search=best_of_n", "search.num_samples=8", "search.selection=best"
    ):
        tree = ReasoningTree.replay(trace.question, trace.events)
        sound = [
            leaf
            for leaf in tree.answer_leaves()
            if all(tree.is_right(node) for node in tree.path(leaf))
        ]
        assert trace.correct or not sound


def _write_on(prompt: str, sample_index: int, rng: random.Random) -> str:
    """Continues a thought, with mistakes, as a function of the steps so far: the model
    at temperature 0.
    """
    problem, steps, _ = read_prompt(prompt)
    written: list[str] = []
    while len(written) < 13 and not (written and written[-1].startswith("Answer:")):
        own = random.Random(repr([*steps, *written]))
        step = problem.next_step(own, [*steps, *written])
        if step is None or own.random() < 0.4:
            step = problem.wrong_step(own, [*steps, *written])
        written.append(step)
    return "\n\n".join(
        ("<|conclude|>" if step.startswith("Answer:") else "<|propose|>") + step for step in written
    )


async def test_the_loop_is_greedy_search_if_the_critic_decides_nothing(tmp_path: Path) -> None:
    even = tmp_path / "even.json"
    even.write_text(json.dumps({"token": {"*": {"a": 0.0, "b": 0.0}}}))
    thoughts, wrong = {}, {}
    for name, words in {
        "greedy": ["search=greedy", "critic=none"],
        "undecided": ["search=critique_loop", "critic=token", f"critic.calibration={even}"],
        "decided": ["search=critique_loop", "critic=token"],
    }.items():
        async with resources_for(*words, "reflector=none") as (key, traces, resources):
            resources.engine._reply = _write_on  # type: ignore[attr-defined]
            for text in QUESTIONS:
                await think(Question(text=text, gold="known", task="pocket"), key)
        trees = [ReasoningTree.replay(trace.question, trace.events) for trace in traces]
        wrong[name] = sum(int(tree.wrong().sum()) for tree in trees)
        thoughts[name] = [
            (trace.question.text, trace.answer, [one.text for one in trace.long_thought.segments])
            for trace in traces
        ]
    assert thoughts["undecided"] == thoughts["greedy"]
    assert wrong["undecided"] == 0 < wrong["decided"]


async def test_a_search_believes_an_oracle_that_flips() -> None:
    misled = await ask_all("critic=oracle", "critic.flip_rate=0.4", "reflector=none", "run.seed=1")
    assert not all(trace.correct for trace in misled)


async def test_best_by_the_logprob_critic_is_best_by_log_probability() -> None:
    for trace in await ask_all(
        "critic=logprob", "search=best_of_n", "search.num_samples=8", "search.selection=best"
    ):
        tree = ReasoningTree.replay(trace.question, trace.events)
        assert tree.finished is not None and tree.finished.leaf is not None
        best = max(tree.logprob[tree.path(leaf)].sum() for leaf in tree.answer_leaves())
        assert tree.logprob[tree.path(tree.finished.leaf)].sum() == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("kind", ["token", "working", "random", "oracle"])
async def test_a_verdict_has_the_scope_of_its_questions_family(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "graphs.reasoner.resources.Domain.of",
        lambda folder: Domain("pocket", ("countdown", "locks")),
    )
    for trace in await ask_all(f"critic={kind}", "search=beam", questions=QUESTIONS[:2]):
        tree = ReasoningTree.replay(trace.question, trace.events)
        expected = "value" if trace.question.text.startswith("Use the numbers") else "local"
        assert {verdict.scope for verdicts in tree.verdicts for verdict in verdicts} == {expected}


@pytest.mark.parametrize("kind", ["token", "length"])
async def test_where_no_family_says_the_scope_it_is_an_option(kind: str) -> None:
    for trace in await ask_all(
        f"critic={kind}", "critic.scope=value", "search=beam", questions=QUESTIONS[:2]
    ):
        tree = ReasoningTree.replay(trace.question, trace.events)
        assert {verdict.scope for verdicts in tree.verdicts for verdict in verdicts} == {"value"}


async def test_a_control_needs_no_engine() -> None:
    engine = ["engine=scripted", "engine.function=tests.scripted_pocket:Pocket"]
    resources = await start_resources(compose([*engine, "critic=random", "run.seed=9"]))
    assert resources.critic == RandomCritic(9, resources.critic.scope_of)  # type: ignore[union-attr]
    assert "critic.calibration" not in resources.contents
    assert "critic" not in engines_wanted(resources.config)
    await resources.close()


async def test_a_question_of_no_family_is_one_error_of_the_oracle() -> None:
    strange = Question(text="Who wrote Faust?")
    async with resources_for("critic=oracle") as (key, traces, resources):
        resources.engine._reply = lambda prompt, index, rng: "<|conclude|>Answer: 216"  # type: ignore[attr-defined]
        outcome = await run_questions([strange, Question(text=QUESTIONS[2])], key, concurrency=1)
    assert "choose task=pocket" in outcome.failed[f"{strange.hash}/0"] and len(traces) == 1


def test_an_oracle_flips_at_most_half() -> None:
    critic = compose(["critic=oracle", "critic.flip_rate=0.25"]).critic
    assert critic == OracleCriticConfig(flip_rate=0.25)
    with pytest.raises(
        ConfigError, match=r"critic\.flip_rate \(0\.7\) must be a number, at least 0, at most 0\.5"
    ):
        compose(["critic=oracle", "critic.flip_rate=0.7"])


@pytest.mark.parametrize(
    "answer",
    ["Answer:", "Answer: ", "Answer: \u200b", "Answer: </s>", "Answer: <answer> </answer>", ""],
)
@pytest.mark.parametrize("search", ["search=greedy", "search=critique_loop", "search=best_of_n"])
async def test_a_blank_answer_is_no_answer(answer: str, search: str) -> None:
    async with resources_for(search, "critic=random", "reflector=none") as (key, traces, resources):
        resources.engine._reply = lambda prompt, index, rng: f"<|conclude|>{answer}<|end|>"  # type: ignore[attr-defined]
        asked = await think(Question(text=QUESTIONS[2], gold="216", task="pocket"), key)
    assert (asked.status, asked.answer) == ("no_answer", None)
    assert traces[0].status == "no_answer" and traces[0].correct is False
