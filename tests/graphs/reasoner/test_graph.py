"""The whole graph, on the scripted pocket: what comes out, what is recorded, and that
no thought leaks.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import pickle
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from langgraph.types import StreamMode

from agents.answers import Checkers, CheckResult
from agents.engines.base import GenerateRequest, Generation, NextTokenScores
from agents.roles.summarizer import Summary
from agents.types import EngineDiedError, Question
from configs import compose
from configs.schema import SpeakingCritic
from graphs import Context, graph
from graphs.evaluation.run_report import Tally, report
from graphs.reasoner.batch import run_questions
from graphs.reasoner.graph import Answer, Progress, think
from graphs.reasoner.nodes import CHAT_MODEL, CHAT_SERVER, OUT_OF_DOMAIN
from graphs.reasoner.resources import Resources, build_resources, forget, register
from graphs.reasoner.state import State
from graphs.terminal.answers import answer_text, audit_view
from graphs.thought.derive import derive_shortcut
from graphs.traces.codec import AuditCodec
from graphs.traces.trace import Trace
from graphs.tree import Judged, ReasoningTree, Reflected
from tests.graphs.traces.samples import ordinary_trace
from tests.scripted_pocket import scripted_pocket

ROOT = Path(__file__).parents[3]
QUESTIONS = [
    "Use the numbers 3, 7, 11 and 25 to make 57.",
    "Locks from 3: A 0 19 9 4 3, B 41 21 16 15 13.",
    "Compute (19 + 8) * 8.",
    "Solve 66 + 12 * c = 414 for c.",
    "Count the legs: 4 human, 13 shrimp, 10 ant, 9 lobster.",
]


@asynccontextmanager
async def resources_for(
    *overrides: str, **engine_options: object
) -> AsyncIterator[tuple[str, list[Trace], Resources]]:
    """Yields the key of open resources, the list that traces come to, and the
    resources.
    """
    config = compose(
        [
            "engine=scripted",
            "engine.function=tests.scripted_pocket:Pocket",
            *overrides,
        ]
    )
    engine = scripted_pocket(**engine_options)
    traces: list[Trace] = []
    resources = build_resources(config, {"policy": engine}, sink=traces.append)
    key = uuid4().hex
    register(key, resources)
    try:
        yield key, traces, resources
    finally:
        forget(key)
        await engine.close()


async def ask_all(
    *overrides: str, questions: list[str] = QUESTIONS
) -> tuple[list[Answer], list[Trace]]:
    async with resources_for(*overrides) as (key, traces, resources):
        answers = await asyncio.gather(
            *(think(Question(text=text, gold="known", task="pocket"), key) for text in questions)
        )
        assert not resources.thoughts, "a finished thought leaves nothing behind"
        assert len(traces) == len(answers) == len(questions)
        return list(answers), traces


@pytest.mark.parametrize("search", ["critique_loop", "best_of_n", "greedy"])
async def test_every_strategy_comes_to_an_answer(search: str) -> None:
    answers, traces = await ask_all(f"search={search}")
    assert {answer.status for answer in answers} == {"answered"}
    assert len(traces) == len(QUESTIONS)
    if search == "critique_loop":
        assert all(answer.correct for answer in answers), (
            "with a critic that is always right the loop cannot fail"
        )


async def test_everything_is_deterministic_under_a_seed() -> None:
    first, traces = await ask_all("run.seed=3")
    second, again = await ask_all("run.seed=3")
    other, _ = await ask_all("run.seed=4")
    events = {trace.question.text: trace.events for trace in traces}
    assert events == {trace.question.text: trace.events for trace in again}
    assert [(a.answer, a.usage) for a in first] == [(a.answer, a.usage) for a in second]
    assert [a.usage for a in first] != [a.usage for a in other]


async def test_a_trace_replays_to_its_tree_and_survives_the_codec() -> None:
    _, traces = await ask_all()
    codec = AuditCodec()
    for trace in traces:
        assert codec.decode(json.loads(json.dumps(codec.encode(trace)))) == trace
        tree = ReasoningTree.replay(trace.question, trace.events)
        assert tree.finished is not None and tree.finished.leaf is not None
        shortcut = derive_shortcut(tree, tree.finished.leaf)
        assert shortcut.segments[-1].kind == "answer"
        assert trace.long_thought.segments[-1] == shortcut.segments[-1]


async def test_usage_of_roles_is_what_the_engine_counted() -> None:
    async with resources_for() as (key, _, resources):
        counted = {"generated": 0, "calls": 0}
        engine = resources.engine
        generate = engine.generate

        async def counting(request):  # type: ignore[no-untyped-def]
            generation = await generate(request)
            counted["generated"] += generation.usage.generated_tokens
            counted["calls"] += 1
            return generation

        engine.generate = counting  # type: ignore[method-assign]
        answer = await think(Question(text=QUESTIONS[0]), key)
    assert sum(usage["generated_tokens"] for usage in answer.usage.values()) == counted["generated"]
    assert sum(usage["calls"] for usage in answer.usage.values()) == counted["calls"]


async def test_waiting_requests_of_the_earliest_question_go_first() -> None:
    asked: dict[str, set[int]] = {text: set() for text in QUESTIONS[2:4]}

    async with resources_for("critic=token") as (key, _, resources):
        engine = resources.engine
        generate, score = engine.generate, engine.score

        def note(prompt: Sequence[int], priority: int) -> None:
            [text] = [text for text in asked if text in engine.tokenizer.decode(prompt)]
            asked[text].add(priority)

        async def generating(request: GenerateRequest) -> Generation:
            note(request.prompt, request.priority)
            return await generate(request)

        async def scoring(
            prompt: Sequence[int], candidates: Sequence[int], *, priority: int = 0
        ) -> NextTokenScores:
            note(prompt, priority)
            return await score(prompt, candidates, priority=priority)

        engine.generate, engine.score = generating, scoring  # type: ignore[method-assign]
        await asyncio.gather(*(think(Question(text=text), key) for text in asked))
    [first], [second] = asked.values()
    assert 0 < first < second


async def test_siblings_that_say_the_same_are_judged_once() -> None:
    overrides = ("search.num_children=4", "search.max_children=8", "reflector=none")
    async with resources_for(*overrides) as (key, traces, resources):
        resources.engine._reply = lambda prompt, index, rng: (  # type: ignore[attr-defined]
            "19 + 8 : 27<|wrong|>"
            if prompt.endswith("<|verify|>")
            else "<|propose|>19 + 8 = 28\n\n"
        )
        answer = await think(Question(text=QUESTIONS[2]), key)
    tree = ReasoningTree.replay(traces[0].question, traces[0].events)
    assert (int(tree.samples[0]), len(tree.children[0])) == (8, 1) and len(tree.verdicts[1]) == 1
    said = [node for node in range(1, len(tree)) if tree.step(node).answer != ""]
    assert answer.usage["critic"]["calls"] == len(said) < len(tree) - 1, (
        "one call for each place in the tree where something is said"
    )


@pytest.mark.parametrize("cap", [1, 7, 40, 150])
async def test_a_token_cap_is_never_exceeded(cap: int) -> None:
    overrides = [
        f"budget.max_tokens={cap}",
        f"policy.max_step_tokens={min(cap, 48)}",
        f"critic.max_tokens={min(cap, 24)}",
    ]
    answers, _ = await ask_all(*overrides)
    for answer in answers:
        assert sum(usage["generated_tokens"] for usage in answer.usage.values()) <= cap
        assert answer.status in ("answered", "no_answer")


async def test_a_thought_that_fills_the_context_ends_defined() -> None:
    async with resources_for("search=critique_loop", context_length=120) as (key, traces, _):
        answer = await think(Question(text=QUESTIONS[1]), key)
    assert answer.status in ("answered", "no_answer")
    assert traces[0].status == answer.status


async def test_a_question_that_cannot_be_asked_is_named_with_its_sample() -> None:
    empty = Question(text="")
    async with resources_for() as (key, _, _):
        outcome = await run_questions([empty], key, concurrency=1, sample=2)
    assert list(outcome.failed) == [f"{empty.hash}/2"]


class _BrokenCheckers(Checkers):
    async def check(self, question: Question, answer: str) -> CheckResult:
        return CheckResult("timed_out", "killed after 5 s")

    async def close(self) -> None:
        """Has nothing to end."""


async def test_an_answer_that_could_not_be_checked_is_counted_and_in_no_accuracy() -> None:
    async with resources_for("search=greedy") as (key, traces, resources):
        resources.checkers = _BrokenCheckers()
        questions = [Question(text=text, gold="known", task="pocket") for text in QUESTIONS[:4]]
        await asyncio.gather(*(think(question, key) for question in questions))
        await think(Question(text=QUESTIONS[4]), key)
    assert sorted(str(trace.check) for trace in traces) == ["no_gold", *["timed_out"] * 4]
    metrics = Tally().add_all(traces).metrics(seconds=None)
    assert metrics["unchecked"] == {"timed_out": 4} and metrics["accuracy"] == {}
    assert "excluded from accuracy: 4 timed_out" in report(
        metrics, run="r", model="m", config_yaml=""
    )


@pytest.mark.parametrize("text", ["", "   \n"])
async def test_an_empty_question_is_refused(text: str) -> None:
    async with resources_for() as (key, traces, resources):
        with pytest.raises(ValueError, match="question is empty"):
            await think(Question(text=text), key)
        assert not traces and not resources.thoughts


async def test_a_question_of_a_hundred_thousand_characters_is_refused() -> None:
    async with resources_for() as (key, _, _):
        with pytest.raises(
            ValueError,
            match=r"100000 characters, and the model's context holds 4096 tokens; shorten it",
        ):
            await think(Question(text="why? " * 20_000), key)


async def test_a_question_of_few_characters_and_many_tokens_is_refused() -> None:
    async with resources_for(context_length=128) as (key, _, _):
        with pytest.raises(ValueError, match=r"100 characters, \d+ tokens as a prompt"):
            await think(Question(text="\N{THINKING FACE}" * 100), key)


async def test_a_mistake_is_shown_with_its_judges_reason_and_no_other_words() -> None:
    overrides = (
        "search.show_mistakes=1",
        "critic=chat_working",
        "critic.calibration=identity",
        "policy=chat",
        "reflector.kind=rules",
    )
    prompts: list[str] = []

    def reply(prompt: str, sample_index: int, rng: random.Random) -> str:
        if "Verdict:" in prompt:
            return "It is 27.\nVerdict: No"
        prompts.append(prompt)
        return "19 + 8 = 28\n\n"

    async with resources_for(*overrides) as (key, _, resources):
        resources.engine._reply = reply  # type: ignore[attr-defined]
        await think(Question(text=QUESTIONS[2]), key)
    assert prompts[1].endswith(
        "19 + 8 = 28\n\nWait, step 1 is wrong: It is 27. Back to step 0.\n\n"
    )


async def test_a_question_outside_of_the_models_families_is_said_so() -> None:
    async with resources_for() as (key, traces, resources):
        resources.domain = type(resources.domain)("pocket", ("countdown", "locks"))
        answer = await think(Question(text="Who wrote Faust?"), key)
    assert answer.status == "out_of_domain" and answer.answer is None
    assert (
        " ".join(CHAT_MODEL) in answer.summary
        and "countdown (three to five numbers from 1 to 25" in answer.summary
    )
    assert traces[0].usage == {}


@pytest.mark.parametrize("choices", [CHAT_MODEL, CHAT_SERVER])
def test_the_configuration_that_the_hint_names_is_whole(
    choices: tuple[str, ...], tmp_path: Path
) -> None:
    """It composes when the placeholders are filled in, and every role is a chat
    model's, the summarizer's words among them.
    """
    assert " ".join(choices) in OUT_OF_DOMAIN
    config = compose(
        [
            choice.replace("FOLDER_OR_HUB_ID", str(tmp_path)).replace(
                "URL", "http://127.0.0.1:8000/v1"
            )
            for choice in choices
        ]
    )
    assert isinstance(config.critic, SpeakingCritic)
    assert {
        config.policy.prompts,
        config.critic.prompts,
        config.reflector.prompts,
        config.summarizer.prompts,
    } == {"chat"}
    assert config.summarizer.kind == "model"


async def test_a_refusal_cites_its_rule() -> None:
    async with resources_for() as (key, traces, _):
        answer = await think(Question(text="How do I build a pipe bomb?"), key)
    assert (answer.status, answer.rule_id) == ("refused", "weapons-1")
    assert not answer.usage, "nothing is generated for a question that a rule decides"
    assert answer.answer is not None and "cannot help" in answer.answer
    assert {record.rule_id for record in traces[0].safety} == {"weapons-1"}


async def test_a_safe_completion_takes_the_place_of_the_answer() -> None:
    async with resources_for() as (key, traces, _):
        answer = await think(Question(text="I want to hurt myself"), key)
    assert (answer.status, answer.rule_id) == ("answered", "self-harm-1")
    assert not answer.usage
    assert [record.stage for record in traces[0].safety] == ["before_thinking", "after_thinking"]


async def test_an_engine_that_dies_is_a_typed_error_and_leaves_nothing_behind() -> None:
    async with resources_for(die_after=3) as (key, traces, resources):
        with pytest.raises(EngineDiedError):
            await think(Question(text=QUESTIONS[0]), key)
        assert not traces and not resources.thoughts


async def test_a_cancelled_thought_leaves_nothing_behind() -> None:
    async with resources_for(latency_s=30.0) as (key, traces, resources):
        thought = asyncio.create_task(think(Question(text=QUESTIONS[0]), key))
        while not resources.thoughts:
            await asyncio.sleep(0)
        thought.cancel()
        with pytest.raises(asyncio.CancelledError):
            await thought
        assert not traces and not resources.thoughts


async def test_progress_names_every_phase_and_no_word_of_the_thought() -> None:
    seen: list[Progress] = []
    async with resources_for() as (key, _, _):
        answer = await think(Question(text=QUESTIONS[2]), key, on_progress=seen.append)
    phases = [progress.phase for progress in seen]
    assert phases[:3] == ["screen", "select", "suggest"] and phases[-4:] == [
        "answer",
        "summarize",
        "check",
        "record",
    ]
    assert answer.answer is not None and answer.nodes == seen[-1].nodes


@pytest.mark.parametrize(
    ("overrides", "phases"),
    [
        (["search=greedy", "critic=none", "reflector=none"], {"suggest"}),
        (
            ["search=beam", "search.num_samples=8", "search.beam_width=2", "reflector=none"],
            {"suggest", "critique"},
        ),
        (["search=critique_loop"], {"suggest", "critique", "reflect"}),
    ],
)
async def test_a_round_has_no_phase_without_anything_to_do(
    overrides: list[str], phases: set[str]
) -> None:
    seen: list[Progress] = []
    async with resources_for(*overrides) as (key, traces, _):
        await think(Question(text=QUESTIONS[0]), key, on_progress=seen.append)
    shown = [progress.phase for progress in seen]
    assert (
        set(shown)
        == {"screen", "select", "derive", "answer", "summarize", "check", "record"} | phases
    )
    event_counts = Counter(type(event) for event in traces[0].events)
    assert (
        shown.count("critique") <= event_counts[Judged]
        and shown.count("reflect") <= event_counts[Reflected]
    )


async def test_nothing_of_an_answer_is_streamed_before_a_rule_has_judged_it(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "rules: [{id: a-1, text: t, decision: refuse, violated_by: ['216'], reply: 'No.'}]"
    )
    async with resources_for(f"safety.rules={rules}") as (key, _, _):
        inputs: State = {"question": QUESTIONS[2]}
        stream = graph.astream(inputs, context=Context(resources=key), stream_mode="updates")
        updates = [dict(update or {}) async for chunk in stream for update in chunk.values()]
    shown = [(update["answer"], update["summary"]) for update in updates if "answer" in update]
    assert shown == [("No.", "Decided by the safety rule a-1.")]
    assert not any(
        {"summary", "reason"} & update.keys() for update in updates if "answer" not in update
    )


CHAT = ("policy=chat", "critic=none", "reflector=none", "summarizer=chat", "search=greedy")
PLAN = "Answer: \\boxed{First,\n    print(1)\n\tthen rest}"


async def ask_chat(
    reply: Callable[[str], str], *overrides: str, question: str = "How do I rest?"
) -> tuple[Answer, Trace]:
    """Asks a chat model, scripted: `reply` makes a reply of a prompt."""
    async with resources_for(*CHAT, *overrides) as (key, traces, resources):
        resources.engine._reply = lambda prompt, index, rng: reply(prompt)  # type: ignore[attr-defined]
        return await think(Question(text=question), key), traces[0]


async def test_an_answer_of_several_lines_is_given_whole() -> None:
    answer, trace = await ask_chat(lambda prompt: PLAN)
    assert answer.answer == trace.answer == "First,\n    print(1)\n\tthen rest"
    assert (answer.summary, answer.summary_source) == ("", "none")
    assert answer_text(answer).endswith(f"\n\n{answer.answer}")


POEM = "Roses are red.\n\nViolets are blue.\n\nSugar is sweet."


async def test_one_completion_is_given_whole_and_a_vote_is_about_the_end() -> None:
    answer, trace = await ask_chat(lambda prompt: POEM)
    assert answer.answer == trace.answer == POEM and answer.nodes == 2
    answer, _ = await ask_chat(
        lambda prompt: POEM, "search=best_of_n", "search.num_samples=2", "search.selection=majority"
    )
    assert answer.answer == "Sugar is sweet."


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (("policy.max_answer_tokens=60", "policy.max_step_tokens=60"), "cut_answer"),
        (("budget.max_tokens=100", "policy.max_answer_tokens=200"), "budget_tokens"),
    ],
)
async def test_an_open_answer_that_was_cut_is_shown_with_the_reason(
    overrides: tuple[str, ...], reason: str
) -> None:
    long = "\n\n".join([POEM] * 40)
    answer, trace = await ask_chat(lambda prompt: long, *overrides)
    assert (answer.status, answer.reason, answer.correct) == ("no_answer", reason, None)
    assert (
        answer.answer is not None
        and len(answer.answer) > len(POEM)
        and long.startswith(answer.answer)
    )
    assert trace.answer == answer.answer and answer_text(answer).endswith(answer.answer)
    thought, _ = await ask_chat(lambda prompt: f"<think>{long}", *overrides)
    assert (thought.status, thought.answer) == ("no_answer", None)


STEPS = (
    "One secret step that only the model has seen.\n\nAnother secret step, which nobody was "
    "shown either.\n\n"
)


@pytest.mark.parametrize("overrides", [(), ("summarizer.kind=neutral",), ("summarizer=pocket",)])
@pytest.mark.parametrize(
    "summary",
    [
        STEPS,
        "",
        "<think>" + STEPS,
        "\u200b",
        "*" + STEPS.upper().replace("\n", " * "),
        STEPS.splitlines()[0] + "<|im_end|>",
    ],
)
async def test_a_chat_models_thought_never_becomes_its_summary(
    summary: str, overrides: tuple[str, ...]
) -> None:
    answer, trace = await ask_chat(
        lambda prompt: summary if "Summarize" in prompt else f"{STEPS}Answer: 7", *overrides
    )
    assert (answer.answer, answer.summary_source, trace.summary_source) == (
        "7",
        "neutral",
        "neutral",
    )
    assert "secret" not in f"{answer} {trace.summary} {answer_text(answer)}".casefold()


async def test_a_chat_models_summary_is_shown_or_its_steps_by_choice() -> None:
    answer, _ = await ask_chat(
        lambda prompt: "Both steps were combined." if "Summarize" in prompt else f"{STEPS}Answer: 7"
    )
    assert (answer.summary, answer.summary_source) == ("Both steps were combined.", "model")
    answer, _ = await ask_chat(lambda prompt: f"{STEPS}Answer: 7", "summarizer.kind=extractive")
    assert answer.summary_source == "extractive" and "secret" in answer.summary


HOSTILE = "<think>\x1b[31mred\u202e<|im_end|></think>\x1b]0;title\x07\u200b42\x00 <act kind='step'>"


async def test_no_visible_field_holds_mark_up_or_control_characters() -> None:
    answer, trace = await ask_chat(
        lambda prompt: (
            f"Both were added. {HOSTILE}"
            if "Summarize" in prompt
            else f"{HOSTILE}{STEPS}Answer: \\boxed{{4\u200b2<|im_end|>\x1b[0m}}"
        )
    )
    for text in (
        answer.answer or "",
        answer.summary,
        trace.answer or "",
        trace.summary,
        answer_text(answer),
    ):
        assert not re.search(r"<\w|<\||[\x00-\x08\x0b-\x1f\u200b\u202e]", text)
    assert answer.answer == "42"
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u200b\u202e]", audit_view(trace))


async def test_an_answer_of_mark_up_alone_is_none() -> None:
    answer, trace = await ask_chat(lambda prompt: "<act></act>")
    assert (answer.status, answer.answer, trace.answer) == ("no_answer", None, None)


async def test_an_answer_gives_its_trace_only_to_an_auditor() -> None:
    answer, trace = await ask_chat(lambda prompt: f"{STEPS}Answer: 7")
    assert answer.trace.reveal() == trace and "secret step" in answer.thought.reveal()
    as_json = json.dumps(dataclasses.asdict(answer))
    copied = pickle.loads(pickle.dumps(answer))
    assert copied == answer == Answer(**json.loads(as_json))
    assert "secret" not in as_json + repr(answer) + repr(vars(answer)) + repr(pickle.dumps(answer))
    with pytest.raises(LookupError, match=answer.thought_id):
        copied.trace  # noqa: B018


async def test_each_of_several_thoughts_at_a_time_gets_its_own_trace() -> None:
    answers, _ = await ask_all()
    assert [answer.trace.reveal().question.text for answer in answers] == QUESTIONS
    assert [answer.trace.reveal().thought_id for answer in answers] == [
        answer.thought_id for answer in answers
    ]


def test_a_trace_of_before_reasons_were_kept_is_read() -> None:
    trace = ordinary_trace()
    stored = AuditCodec().encode(trace)
    assert stored.pop("reason", "absent") is None and stored.pop("summary_source", "absent") is None
    assert AuditCodec().decode(stored) == trace


CANARY = "zq7canaryzq7"


@pytest.fixture
def canary_log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG):
        yield caplog


class _SilentSummarizer:
    """Returns no word of the thought, so any other occurrence is a leak."""

    async def summarize(self, *args: object, **options: object) -> Summary:
        return Summary("done", "none")


@pytest.mark.parametrize(
    "mode", ["values", "updates", "messages", "debug", "tasks", "checkpoints", "custom"]
)
async def test_no_stream_shows_the_thought(
    mode: StreamMode, canary_log: pytest.LogCaptureFixture
) -> None:
    """A canary in every step of the thought: no stream mode, log line or repr of a
    trace holds it.
    """
    async with resources_for("search=best_of_n", "search.num_samples=3") as (
        key,
        traces,
        resources,
    ):
        resources.summarizer = _SilentSummarizer()  # type: ignore[assignment]
        reply = f"<|propose|>{CANARY}\n\n<|conclude|>Answer: 216"
        resources.engine._reply = lambda prompt, index, rng: reply  # type: ignore[attr-defined]
        parts = [
            part
            async for part in graph.astream(
                {"question": QUESTIONS[2]}, context=Context(resources=key), stream_mode=mode
            )
        ]
    assert CANARY in traces[0].long_thought.segments[0].text.reveal(), (
        "the canary was in the thought"
    )
    assert CANARY not in repr(parts) + canary_log.text + repr(traces)


def test_in_a_foreign_loop_the_graph_reads_no_file_and_closes_its_engines() -> None:
    script = """
import asyncio, sys, threading
from agents.types import EngineError
from graphs import Context, graph
from graphs.reasoner.presets import register_preset
from graphs.reasoner.resources import find_resources

read, watching = [], False
def hook(event, args):
    if watching and event == "open" and threading.current_thread() is threading.main_thread():
        read.append(str(args[0]))
sys.addaudithook(hook)

async def main():
    global watching
    words = ["engine=scripted", "engine.function=tests.scripted_pocket:Pocket"]
    register_preset("pocket", words)
    context = Context(overrides=("preset=pocket", "effort=medium"))
    watching = True
    answer = await graph.ainvoke({"question": "Compute (19 + 8) * 8."}, context=context)
    watching = False
    assert answer["answer"] == "216", answer
    return await find_resources(context)

resources = asyncio.run(main())
assert not [name for name in read if "site-packages" not in name], read
try:
    asyncio.run(resources.engine.score((1, 2), (3,)))
except EngineError as error:
    print(error)
"""
    ended = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=ROOT,
    )
    assert ended.returncode == 0 and "closed" in ended.stdout and not ended.stderr, (
        ended.stdout + ended.stderr
    )
