"""What a caller of the served graph may set and give, what the process keeps for
callers, and what a run leaves behind.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphDrained, GraphRecursionError
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import RunControl
from langgraph.types import Command

from agents.types import EngineDiedError, LostThoughtError
from configs import ConfigError, RunConfig, compose
from configs.remote import MOST_INTEGER, parse_remote, remote_config
from graphs import Context, create_reasoner, graph
from graphs.reasoner import resources as resources_module
from graphs.reasoner.presets import check_environment, preset_config, register_preset
from graphs.reasoner.resources import MOST_VIEWS, Resources, find_resources
from graphs.reasoner.state import (
    MOST_DEPTH,
    MOST_METADATA,
    MOST_SAMPLE,
    InputState,
    OutputState,
    State,
    read_input,
)
from graphs.reasoner.thinking import MOST_PAUSED
from graphs.traces.codec import AuditCodec
from tests.graphs.reasoner.test_graph import QUESTIONS, ROOT, resources_for

QUESTION = QUESTIONS[2]
POCKET = (
    "engine=scripted",
    "engine.function=tests.scripted_pocket:Pocket",
)


@pytest.fixture
def preset() -> str:
    """The name of a new preset with the scripted pocket."""
    name = f"p{uuid4().hex}"
    register_preset(name, POCKET)
    return name


def chosen(preset: str, *words: Any) -> Context:
    return Context(overrides=(f"preset={preset}", *words))


def own() -> RunConfig:
    """The configuration of a server with every kind of search option that can be
    abused.
    """
    return compose([*POCKET, "search=mcts", "search.use_factors=true", "budget.max_seconds=60"])


HOSTILE = {
    "an api key of the server's, sent elsewhere": [
        "engine.api_key_env=OPENAI_API_KEY",
        "engine.base_url=http://203.0.113.1/v1",
    ],
    "another engine": ["engine=openai"],
    "an engine for a role": ["engine@critic.engine=openai"],
    "an address for a role": ["critic.engine.base_url=http://203.0.113.1/v1"],
    "a module": ["engine.function=os:system"],
    "a class": ["_target_=os.system"],
    "a model": ["engine.model=/root"],
    "a tokenizer with code of its own": ["engine.tokenizer=evil/tokenizer"],
    "no safety": ["safety.enabled=false"],
    "no safety by its group": ["safety=off"],
    "a file as safety rules": ["safety.rules=/etc/passwd"],
    "thinking before refusing": ["safety.refuse_before_thinking=false"],
    "a file of questions": ["task.path=/etc/passwd"],
    "a task": ["task=jsonl"],
    "a calibration": ["critic.calibration=/etc/passwd"],
    "a selector": ["search=posterior", "search.selector_model=/etc/passwd"],
    "prompts": ["policy.prompts=chat"],
    "a thought factor": ["policy.factors=[{name: a, opening: b}]"],
    "a summarizer that shows steps": ["summarizer.kind=extractive"],
    "a longer step": ["policy.max_step_tokens=100000"],
    "an experiment": ["experiment=chat"],
    "a training": ["training=sft_grpo"],
    "a strategy of the caller": ["search=custom", "search.object=os.path:join"],
    "a strategy without a module": ["search=custom"],
    "a critic of the caller": ["critic=custom"],
    "an object for a critic": ["critic.object=os.path:join"],
    "a training method of the caller": ["training.object=os.path:join"],
    "an engine of the caller": ["engine=custom"],
    "an object for an engine": ["engine.object=os.path:join"],
    "a comparison": ["comparison=search"],
    "a folder to write to": ["run.output_dir=/tmp"],
    "the name of a run": ["run=mine"],
    "heads": ["search=mcts", "search.prior=policy_head"],
    "Hydra's search path": ["hydra.searchpath=[file:///tmp]"],
    "Hydra's folder": ["hydra.run.dir=/tmp"],
    "an addition": ["+effort=low"],
    "a forced addition": ["++budget.max_tokens=1"],
    "a deletion": ["~safety"],
    "a deletion of the budget": ["~budget.max_tokens"],
    "a package": ["effort@engine=low"],
    "a rename": ["effort@a:b=low"],
    "an environment variable": ["effort=${oc.env:HOME}"],
    "an environment variable as number": ["search.num_simulations=${oc.env:LEVEL}"],
    "a resolver": ["budget.max_tokens=${oc.decode:1}"],
    "a choice that leaves its folder": ["effort=../experiment/demo"],
    "a choice by path": ["search=/etc/passwd"],
    "a choice by dots": ["search=.."],
    "a hidden node": ["budget=_schema"],
    "several choices": ["effort=low,high"],
    "a list": ["effort=[low]"],
    "a quoted value": ["effort='low'"],
    "a doubly quoted value": ['budget.max_tokens="10"'],
    "a sweep over a range": ["search.num_simulations=range(1,9)"],
    "a dictionary": ["search={strategy: greedy}"],
    "a newline": ["effort=low\nengine=openai"],
    "a newline at the end": ["effort=low\n"],
    "a blank": ["effort= low"],
    "a zero byte": ["effort=low\0"],
    "a full-width letter": ["effort=ｌow"],
    "a Cyrillic letter in the key": ["\u0435ffort=low"],
    "a zero-width space": ["eff\u200bort=low"],
    "full-width digits": ["budget.max_tokens=１０"],
    "no value": ["effort="],
    "no key": ["=low"],
    "a bare word": ["effort"],
    "an empty word": [""],
    "capitals": ["EFFORT=low"],
    "an unknown choice": ["effort=maximal"],
    "an unknown preset": ["preset=nobody"],
    "an unknown number": ["search.num_sample=4"],
    "a tag as option": ["search.strategy=greedy"],
    "a deeper key": ["search.num_children.x=4"],
    "a private option": ["search.__class__=1"],
    "a switch": ["search.use_factors=true"],
    "a text option": ["search=critique_loop", "search.first_factor=propose"],
    "a list of numbers": ["search.pool_temperatures=1.0"],
    "the same key twice": ["effort=low", "effort=high"],
    "too many words": [f"search.num_simulations={n}" for n in range(1000)],
    "a budget over the cap": ["budget=high"],
    "tokens over the cap": ["budget.max_tokens=4097"],
    "seconds over the cap": ["budget.max_seconds=61"],
    "no cap": ["budget.max_tokens=null"],
    "an unknown cap": ["budget.max_money=1"],
    "a budget of nothing": ["budget.max_tokens=0"],
    "a negative budget": ["budget.max_calls=-1"],
    "a negative number": ["search.num_children=-1"],
    "a million samples": ["search=best_of_n", "search.num_samples=1000000"],
    "more than all": [f"search.num_simulations={MOST_INTEGER + 1}"],
    "a number that is none": ["search.c_puct=nan"],
    "an infinite number": ["search.c_puct=inf"],
    "a number that becomes infinite": ["search.c_puct=1e99"],
    "a fraction of a sample": ["search.num_children=1.5"],
    "hexadecimal": ["search.num_children=0x10"],
    "underscores": ["search.num_children=1_0"],
    "out of the schema's bounds": ["search.noise_weight=1.5"],
    "numbers that do not go together": ["search=beam", "search.num_samples=6"],
}
ALLOWED: list[list[str]] = [
    [],
    ["effort=low"],
    ["effort=medium"],
    ["effort=high"],
    ["budget=low"],
    ["budget=medium"],
    ["budget.max_tokens=500"],
    ["budget.max_seconds=2.5"],
    ["budget=low", "budget.max_calls=7", "budget.max_depth=3"],
    ["search=greedy"],
    ["search=wide_posterior"],
    ["search=best_of_n", "search.num_samples=4", "search.temperature=0.7"],
    ["search=beam", "search.num_samples=6", "search.beam_width=3"],
    ["search=compute_optimal", "search.probe_samples=2"],
    ["search.num_simulations=4", "search.c_puct=2e0"],
    ["effort=low", "search=mcts", "search.num_simulations=9", "budget.max_nodes=20"],
]


@pytest.mark.parametrize("words", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_not_on_the_list_is_refused_by_name(words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        choices = parse_remote(words)
        remote_config(
            preset_config(choices.pop("preset")) if "preset" in choices else own(), choices
        )
    message = str(caught.value)
    assert len(message.splitlines()) == 1 and len(message) < 600 and message.isprintable()
    keys = {word.partition("=")[0] for word in words}
    assert len(words) > 32 or any(ascii(key)[1:-1] in message for key in keys), (
        "the refusal names the key"
    )


@pytest.mark.parametrize("words", ALLOWED, ids=" ".join)
def test_what_is_on_the_list_changes_nothing_else(words: list[str]) -> None:
    server = own()
    config = remote_config(server, parse_remote(words))
    changed = {
        name for name in RunConfig.model_fields if getattr(config, name) != getattr(server, name)
    }
    may_change = {"search", "budget"}
    if any(word.startswith("effort=") and word != "effort=auto" for word in words):
        may_change |= {"policy"}
        level = {"reasoning_effort": config.policy.reasoning_effort}
        assert config.policy == server.policy.model_copy(update=level)
    assert (changed <= may_change and bool(changed) == bool(words)) or words == ["budget=medium"]
    for cap, allowed in server.budget:
        wanted = getattr(config.budget, cap)
        assert allowed is None or (wanted is not None and wanted <= allowed), (
            f"budget.{cap} is within the server's own"
        )


@pytest.mark.parametrize(
    "words",
    [
        *(
            words
            for words in ALLOWED
            if words and not words[0].startswith(("budget.max", "search.num"))
        ),
        ["effort=high", "search.batch_size=2"],
        ["search=mcts", "effort=low"],
    ],
    ids=" ".join,
)
def test_a_choice_means_what_it_means_on_the_command_line(words: list[str]) -> None:
    chosen_here, composed = (
        remote_config(compose(["budget=high"]), parse_remote(words)),
        compose(words),
    )
    keys = {word.partition("=")[0].partition(".")[0] for word in words}
    if keys & {"search", "effort"}:
        assert chosen_here.search == composed.search
    if keys & {"budget", "effort"}:
        assert chosen_here.budget == composed.budget


def test_the_servers_budget_caps_effort_and_refuses_a_larger_budget() -> None:
    server = compose(["budget=low"])
    assert remote_config(server, {"effort": "high"}).budget == server.budget
    assert remote_config(server, {"effort": "high"}).search == compose(["effort=high"]).search
    with pytest.raises(ConfigError, match=r"budget=high .*1024"):
        remote_config(server, {"budget": "high"})


NO_TEXTS = [
    "effort=low",
    {"effort": "low"},
    7,
    None,
    (7,),
    (["effort=low"],),
    ({"a": 1},),
    ("effort=low", b"x"),
]


@pytest.mark.parametrize("overrides", NO_TEXTS, ids=repr)
async def test_overrides_that_are_no_list_of_texts_are_refused(overrides: Any) -> None:
    with pytest.raises(ConfigError):
        await find_resources(Context(overrides=overrides))


NO_CONTEXTS = [
    ["effort=low"],
    "effort=low",
    7,
    True,
    {"overides": ["effort=low"]},
    {"overrides": [], "thread_id": 1},
    {1: 2},
    {"\ud800": 1},
]


@pytest.mark.parametrize("context", NO_CONTEXTS, ids=ascii)
async def test_a_context_that_is_none_is_refused(context: Any) -> None:
    with pytest.raises(ConfigError, match=r"the context .*overrides") as caught:
        await graph.ainvoke({"question": QUESTION}, context=context)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 300


async def test_the_context_of_a_graph_around_may_have_other_fields_as_well(preset: str) -> None:
    class Around(Context):
        user: str = "me"

    other = type("Other", (), {"overrides": [f"preset={preset}"], "resources": "", "user": "me"})()
    view = await find_resources(chosen(preset))
    assert await find_resources(Around(overrides=(f"preset={preset}",))) is view
    assert await find_resources(other) is view


async def test_overrides_exclude_a_key_and_an_unknown_key_is_an_error() -> None:
    async with resources_for() as (key, _, resources):
        assert await find_resources(Context(resources=key)) is resources
        with pytest.raises(ConfigError, match="exclude each other"):
            await find_resources(Context(resources=key, overrides=("effort=low",)))
    for unknown in (key, ["a"], 7):
        with pytest.raises(KeyError):
            await find_resources(Context(resources=unknown))  # type: ignore[arg-type]


def open_engines() -> list[Any]:
    """The engines that this event loop holds for contexts."""
    lazy = resources_module._lazy.get(asyncio.get_running_loop())
    return list(lazy.engines.values()) if lazy is not None else []


@pytest.mark.parametrize("words", list(HOSTILE.values())[:6])
async def test_a_run_with_a_hostile_context_opens_nothing(words: list[str], preset: str) -> None:
    opened = open_engines()
    for context in (chosen(preset, *words), {"overrides": [f"preset={preset}", *words]}):
        with pytest.raises(ConfigError):
            await graph.ainvoke({"question": QUESTION}, context=context)  # type: ignore[call-overload]
    assert open_engines() == opened


async def test_the_graph_has_schemas_and_a_context_that_came_as_json_is_the_same(
    preset: str,
) -> None:
    assert set(graph.get_input_jsonschema()["properties"]) == set(InputState.__annotations__)
    assert set(graph.get_output_jsonschema()["properties"]) == set(OutputState.__annotations__)
    schema = graph.get_context_jsonschema()
    assert schema is not None and set(schema["properties"]) == {"overrides", "resources"}
    context = chosen(preset, "effort=low")
    as_json = json.loads(json.dumps({"overrides": [*context.overrides]}))
    assert Context(**as_json) == context
    first = await graph.ainvoke({"question": QUESTION}, context=context)
    second = await graph.ainvoke({"question": QUESTION}, context=as_json)
    assert first["answer"] == second["answer"] and first["thought_id"] != second["thought_id"]
    assert first["nodes"] == second["nodes"] and set(first) <= set(OutputState.__annotations__)


async def test_contexts_share_engines_and_nothing_of_their_thoughts(
    preset: str,
) -> None:
    contexts = [
        chosen(preset, *words)
        for words in (
            ["effort=low"],
            ["search=best_of_n", "search.num_samples=3"],
            ["budget.max_calls=9"],
        )
    ]
    views = [await find_resources(context) for context in contexts]
    assert len({id(view.engine) for view in views}) == 1
    assert (
        len({id(view.thoughts) for view in views})
        == len({view.config_hash for view in views})
        == len(views)
    )
    assert [await find_resources(context) for context in contexts] == views, "a view is built once"
    other = f"p{uuid4().hex}"
    register_preset(other, [*POCKET, "critic=none", "search=greedy", "reflector=none"])
    assert (await find_resources(chosen(other))).engine is views[0].engine, (
        "presets with the same engine share it"
    )
    register_preset(f"{other}x", [*POCKET, "engine.context_length=512"])
    assert (await find_resources(chosen(f"{other}x"))).engine is not views[0].engine


async def test_the_cache_is_bounded_and_keeps_what_is_in_use(preset: str) -> None:
    busy_context = chosen(preset, "budget.max_tokens=4000")
    async with aclosing(
        graph.astream({"question": QUESTION}, context=busy_context, stream_mode="updates")
    ) as updates:
        await anext(updates)
        busy = await find_resources(busy_context)
        assert len(busy.thoughts) == 1
        opened = open_engines()
        for number in range(2 * MOST_VIEWS):
            view = await find_resources(chosen(preset, f"budget.max_tokens={1000 + number}"))
            assert (
                await find_resources(chosen(preset, f"budget.max_tokens={1000 + number}")) is view
            )
        lazy = resources_module._lazy[asyncio.get_running_loop()]
        assert len(lazy.views) <= MOST_VIEWS and busy in lazy.views.values()
        assert open_engines() == opened and not busy.engine._gate.is_shut  # type: ignore[attr-defined]
        last = [update async for update in updates][-1]
        assert last["record"]["nodes"] > 1, "a thought goes on whatever the cache forgets"
    assert not busy.thoughts


async def test_many_callers_at_once_open_one_engine() -> None:
    name = f"p{uuid4().hex}"
    register_preset(name, [*POCKET, "engine.latency_s=0.0", "engine.context_length=3000"])
    before = len(open_engines())
    contexts = [chosen(name, f"budget.max_tokens={1000 + number % 20}") for number in range(40)]
    answers = await asyncio.gather(
        *(graph.ainvoke({"question": QUESTION}, context=context) for context in contexts)
    )
    assert {answer["status"] for answer in answers} == {"answered"}
    assert len(open_engines()) == before + 1


def test_a_preset_keeps_its_meaning(preset: str) -> None:
    register_preset(preset, compose(POCKET))
    with pytest.raises(ValueError, match="another configuration"):
        register_preset(preset, [*POCKET, "search=greedy"])
    for name in ("", "a b", "../a", "a=b", "a" * 65, "\uff41"):
        with pytest.raises(ValueError, match="name"):
            register_preset(name, POCKET)


def run_python(script: str, **environment: str) -> str:
    """Returns what a script prints that is started with these environment variables."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
        env=os.environ | environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


ASK = """
import asyncio, sys
from graphs import Context, graph
from graphs.reasoner.resources import find_resources

async def main():
    for words in ((), ("preset=small",), ("preset=small", "effort=high")):
        question = {"question": "Compute (19 + 8) * 8."}
        answer = await graph.ainvoke(question, context=Context(overrides=words))
        resources = await find_resources(Context(overrides=words))
        config = resources.config
        kind, cap = resources.engine.info.kind, config.budget.max_tokens
        print(answer["status"], kind, config.search.strategy, cap)

asyncio.run(main())
"""


def test_the_environment_sets_a_servers_configuration_and_presets(
    tmp_path: Path,
) -> None:
    presets = tmp_path / "presets.yaml"
    presets.write_text(
        json.dumps({"small": [*POCKET, "budget=low", "search=greedy"], "text": " ".join(POCKET)})
    )
    words = " ".join((*POCKET, "search=beam", "budget.max_tokens=2000"))
    printed = run_python(
        ASK, LONGTHOUGHT_CONFIG=words, LONGTHOUGHT_PRESETS=str(presets)
    ).splitlines()
    assert printed == [
        "answered scripted beam 2000",
        "answered scripted greedy 1024",
        "answered scripted posterior 1024",
    ]


SERVED = """
import asyncio, importlib.util, json, sys
from pathlib import Path

named = json.loads(Path("langgraph.json").read_text())["graphs"]["longthought"]
path, _, name = named.partition(":")
spec = importlib.util.spec_from_file_location("served", path)
module = sys.modules["served"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
graph = getattr(module, name).with_config({"tags": ["served"]}).copy()

async def main():
    for context in (None, {}, {"overrides": []}, {"overrides": ["search=greedy"]}):
        answer = await graph.ainvoke({"question": "Compute (19 + 8) * 8."}, context=context)
        assert answer["status"] == "answered", answer
    try:
        question = {"question": "Compute (19 + 8) * 8."}
        await graph.ainvoke(question, context={"overrides": ["engine=openai"]})
    except ValueError as error:
        print(error)

asyncio.run(main())
"""


def test_the_graph_of_langgraph_json_is_loaded_by_path_and_served() -> None:
    assert "engine" in run_python(SERVED, LONGTHOUGHT_CONFIG=" ".join(POCKET))


@pytest.mark.parametrize(
    "text", ["[1]", "small: 7", "'a b': []", "small: [7]", "small: 'a \"'", "{"]
)
def test_a_file_of_presets_that_is_none_is_named(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "presets.yaml").write_text(text)
    monkeypatch.setenv("LONGTHOUGHT_PRESETS", str(tmp_path / "presets.yaml"))
    with pytest.raises(ConfigError, match="LONGTHOUGHT_PRESETS"):
        preset_config("small")


@pytest.mark.parametrize(
    "text", ["careful: [serach=beam]", "careful: [search=beam, search.beam_width=0]"]
)
def test_a_wrong_word_of_the_owner_is_refused_where_the_server_starts(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "presets.yaml").write_text(text)
    monkeypatch.setenv("LONGTHOUGHT_PRESETS", str(tmp_path / "presets.yaml"))
    with pytest.raises(ConfigError, match="careful"):
        check_environment()
    monkeypatch.delenv("LONGTHOUGHT_PRESETS")
    check_environment()
    monkeypatch.setenv("LONGTHOUGHT_CONFIG", "serach=beam")
    with pytest.raises(ConfigError, match="serach"):
        check_environment()


def nested(depth: int) -> dict[str, Any]:
    """Metadata with `depth` objects below the first."""
    metadata: dict[str, Any] = {}
    for _ in range(depth):
        metadata = {"a": metadata}
    return metadata


BAD_INPUTS: dict[str, dict[str, Any]] = {
    "no question": {"sample": 0},
    "a number as question": {"question": 7},
    "a list as question": {"question": ["a", "b"]},
    "null as question": {"question": None},
    "an empty question": {"question": " "},
    "half a surrogate pair": {"question": "\ud83d"},
    "a gold that is no text": {"question": QUESTION, "gold": 216},
    "an unknown task": {"question": QUESTION, "task": "../pocket"},
    "a task that is no text": {"question": QUESTION, "task": ["pocket"]},
    "a negative sample": {"question": QUESTION, "sample": -1},
    "a huge sample": {"question": QUESTION, "sample": MOST_SAMPLE + 1},
    "an endless sample": {"question": QUESTION, "sample": 10**5000},
    "a sample that is no number": {"question": QUESTION, "sample": "0"},
    "a switch as sample": {"question": QUESTION, "sample": True},
    "metadata that is a list": {"question": QUESTION, "metadata": [1]},
    "metadata that JSON does not have": {"question": QUESTION, "metadata": {"a": object()}},
    "metadata without text keys": {"question": QUESTION, "metadata": {1: 2}},
    "metadata that is no number": {"question": QUESTION, "metadata": {"a": float("nan")}},
    "huge metadata": {"question": QUESTION, "metadata": {"a": "x" * MOST_METADATA}},
    "metadata that is false": {"question": QUESTION, "metadata": 0},
    "metadata too deep for a trace": {"question": QUESTION, "metadata": nested(MOST_DEPTH)},
    "lists too deep for a trace": {
        "question": QUESTION,
        "metadata": json.loads('{"a":' + "[" * 500 + "]" * 500 + "}"),
    },
    "half a pair in the metadata": {"question": QUESTION, "metadata": {"a": "\ud83d"}},
    "a thought_id that is no text": {"question": QUESTION, "thought_id": ["a"]},
}


@pytest.mark.parametrize("values", BAD_INPUTS.values(), ids=BAD_INPUTS.keys())
async def test_an_input_that_is_none_is_refused_before_thinking(values: dict[str, Any]) -> None:
    async with resources_for() as (key, traces, resources):
        with pytest.raises(
            ValueError,
            match="question" if values.get("question") != QUESTION else next(reversed(values)),
        ) as caught:
            await graph.ainvoke(values, context=Context(resources=key))  # type: ignore[call-overload]
        assert not traces and not resources.thoughts and len(str(caught.value)) < 400


async def test_the_deepest_metadata_is_kept_with_the_trace() -> None:
    metadata, codec = nested(MOST_DEPTH - 1), AuditCodec()
    async with resources_for() as (key, traces, _):
        await graph.ainvoke(
            {"question": QUESTION, "metadata": metadata}, context=Context(resources=key)
        )
    assert codec.loads(codec.dumps(traces[0])).question.metadata == metadata


async def test_metadata_that_holds_itself_is_refused() -> None:
    deep: dict[str, Any] = {}
    deep["a"] = deep
    for metadata in (deep, json.loads('{"a":' * 900 + "1" + "}" * 900) | {"b": object()}):
        with pytest.raises(ValueError, match="metadata must be plain JSON"):
            read_input({"question": QUESTION, "metadata": metadata}, is_local=True)


async def test_a_right_answer_is_taken_from_local_callers_alone(preset: str) -> None:
    values: InputState = {
        "question": QUESTION,
        "gold": "216",
        "task": "pocket",
        "metadata": {"line": 1},
        "sample": 3,
    }
    async with resources_for() as (key, _, _):
        assert (await graph.ainvoke(values, context=Context(resources=key)))["correct"] is True
    with pytest.raises(ValueError, match="gold is for local callers"):
        await graph.ainvoke(values, context=chosen(preset))
    del values["gold"]
    assert (await graph.ainvoke(values, context=chosen(preset)))["correct"] is not False


async def cancelled_in_the_middle(running: asyncio.Task[Any], resources: Resources) -> None:
    while not (resources.thoughts or running.done()):
        await asyncio.sleep(0)
    assert len(resources.thoughts) == 1
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def leave_by_cancelling(key: str, resources: Resources) -> None:
    running = asyncio.create_task(
        graph.ainvoke({"question": QUESTION}, context=Context(resources=key))
    )
    await cancelled_in_the_middle(running, resources)


async def leave_by_cancelling_a_stream(key: str, resources: Resources) -> None:
    async def read() -> None:
        async for _ in graph.astream(
            {"question": QUESTION}, context=Context(resources=key), stream_mode="values"
        ):
            pass

    running = asyncio.create_task(read())
    await cancelled_in_the_middle(running, resources)


async def leave_by_closing_the_stream(key: str, resources: Resources) -> None:
    async with aclosing(
        graph.astream({"question": QUESTION}, context=Context(resources=key), stream_mode="updates")
    ) as updates:
        await anext(updates)
        assert len(resources.thoughts) == 1


async def leave_by_not_reading_on(key: str, resources: Resources) -> None:
    async for _ in graph.astream(
        {"question": QUESTION}, context=Context(resources=key), stream_mode="updates"
    ):
        assert len(resources.thoughts) == 1
        break
    for _ in range(10):  # the event loop closes a generator that was dropped
        await asyncio.sleep(0)


async def leave_by_events(key: str, resources: Resources) -> None:
    streamed = graph.astream_events(
        {"question": QUESTION}, context=Context(resources=key), version="v2"
    )
    assert isinstance(streamed, AsyncGenerator)
    async with aclosing(streamed) as events:
        async for _ in events:
            if resources.thoughts:
                break


async def leave_by_the_recursion_limit(key: str, resources: Resources) -> None:
    with pytest.raises(GraphRecursionError):
        await graph.ainvoke(
            {"question": QUESTION}, context=Context(resources=key), config={"recursion_limit": 2}
        )


async def leave_by_a_timeout(key: str, resources: Resources) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await graph.ainvoke({"question": QUESTION}, context=Context(resources=key))


async def leave_inside_another_graph(key: str, resources: Resources) -> None:
    builder = StateGraph(
        State, context_schema=Context, input_schema=InputState, output_schema=OutputState
    )
    builder.add_node("reason", create_reasoner().compile())
    builder.add_edge(START, "reason")
    builder.add_edge("reason", END)
    outer = builder.compile()
    running = asyncio.create_task(
        outer.ainvoke({"question": QUESTION}, context=Context(resources=key))
    )
    await cancelled_in_the_middle(running, resources)


LEAVING = [
    leave_by_cancelling,
    leave_by_cancelling_a_stream,
    leave_by_closing_the_stream,
    leave_by_not_reading_on,
    leave_by_events,
    leave_by_the_recursion_limit,
    leave_by_a_timeout,
    leave_inside_another_graph,
]


@pytest.mark.parametrize("leave", LEAVING, ids=lambda leave: leave.__name__)
async def test_a_run_that_does_not_end_leaves_no_thought_behind(
    leave: Callable[[str, Resources], Any],
) -> None:
    reads_on = (
        leave_by_closing_the_stream,
        leave_by_not_reading_on,
        leave_by_events,
        leave_by_the_recursion_limit,
    )
    slow = {} if leave in reads_on else {"latency_s": 30.0}
    async with resources_for(**slow) as (key, traces, resources):
        await leave(key, resources)
        assert not resources.thoughts and not traces
        assert resources.engine.in_flight == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("dies_after", range(4))
async def test_a_run_that_fails_anywhere_leaves_no_thought_behind(dies_after: int) -> None:
    async with resources_for(die_after=dies_after) as (key, traces, resources):
        with pytest.raises(EngineDiedError):
            await graph.ainvoke({"question": QUESTIONS[0]}, context=Context(resources=key))
        assert not resources.thoughts and not traces


@pytest.mark.parametrize("node", ["suggest", "derive", "summarize", "record"])
async def test_an_interrupted_run_goes_on_and_ends(node: str) -> None:
    async with resources_for("search=greedy") as (key, traces, resources):
        compiled = create_reasoner().compile(checkpointer=InMemorySaver(), interrupt_before=[node])
        config: Any = {"configurable": {"thread_id": "one"}}
        context = Context(resources=key)
        await compiled.ainvoke({"question": QUESTION}, config=config, context=context)
        assert len(resources.thoughts) == 1 and not resources.thoughts.in_progress
        ended = await compiled.ainvoke(None, config=config, context=context)
        assert ended["status"] == "answered" and len(traces) == 1 and not resources.thoughts


async def test_paused_thoughts_are_bounded_and_the_latest_stay() -> None:
    async with resources_for("search=greedy") as (key, _, resources):
        compiled = create_reasoner().compile(
            checkpointer=InMemorySaver(), interrupt_before=["suggest"]
        )
        context = Context(resources=key)
        configs: list[Any] = [
            {"configurable": {"thread_id": str(number)}} for number in range(MOST_PAUSED + 2)
        ]
        for config in configs:
            await compiled.ainvoke({"question": QUESTION}, config=config, context=context)
        assert len(resources.thoughts) == MOST_PAUSED
        with pytest.raises(LostThoughtError):
            await compiled.ainvoke(None, config=configs[0], context=context)
        assert (await compiled.ainvoke(None, config=configs[-1], context=context))[
            "status"
        ] == "answered"


async def test_a_checkpoint_from_before_a_restart_is_a_typed_error() -> None:
    saver = InMemorySaver()
    compiled = create_reasoner().compile(checkpointer=saver, interrupt_before=["suggest"])
    config: Any = {"configurable": {"thread_id": "one"}}
    async with resources_for("search=greedy") as (key, _, _):
        paused = await compiled.ainvoke(
            {"question": QUESTION}, config=config, context=Context(resources=key)
        )
    async with resources_for("search=greedy") as (key, _, resources):
        with pytest.raises(LostThoughtError) as caught:
            await compiled.ainvoke(None, config=config, context=Context(resources=key))
        assert caught.value.thought_id == paused["thought_id"] and not resources.thoughts
        answer = (
            await create_reasoner()
            .compile(checkpointer=saver)
            .ainvoke({"question": QUESTION}, config=config, context=Context(resources=key))
        )
        assert answer["status"] == "answered" and answer["thought_id"] != paused["thought_id"], (
            "the thread can ask again"
        )


async def test_a_caller_cannot_reach_the_thought_of_another() -> None:
    """By naming it in the input, or by going on with its name from anywhere in the
    graph.
    """
    compiled = create_reasoner().compile(checkpointer=InMemorySaver())
    async with resources_for("search=greedy") as (key, traces, resources):
        context = Context(resources=key)
        async with aclosing(
            graph.astream({"question": QUESTION}, context=context, stream_mode="updates")
        ) as updates:
            thought_id = (await anext(updates))["screen"]["thought_id"]
            with pytest.raises(ValueError, match="in progress"):
                await graph.ainvoke(
                    {"question": QUESTIONS[3], "thought_id": thought_id}, context=context
                )
            for values in (
                {"thought_id": thought_id},
                {"thought_id": "made up"},
                {"thought_id": [thought_id]},
                {},
            ):
                for node in ("select", "suggest", "derive", "check", "record"):
                    config: Any = {"configurable": {"thread_id": f"{values} {node}"}}
                    command: Any = Command(update={"rounds": 0, **values}, goto=node)
                    with pytest.raises((ValueError, LostThoughtError)):
                        await compiled.ainvoke(command, config=config, context=context)
            assert list(resources.thoughts) == [thought_id]
            ended = [update async for update in updates][-1]
        assert ended["record"]["nodes"] > 1 and [trace.thought_id for trace in traces] == [
            thought_id
        ]


async def test_a_thought_id_that_a_caller_makes_up_is_replaced() -> None:
    async with resources_for("search=greedy") as (key, traces, _):
        answers = [
            await graph.ainvoke(
                {"question": QUESTION, "thought_id": "mine"}, context=Context(resources=key)
            )
            for _ in range(2)
        ]
    assert len({answer["thought_id"] for answer in answers} | {"mine"}) == 3
    assert [trace.thought_id for trace in traces] == [answer["thought_id"] for answer in answers]


async def test_a_caller_can_drain_a_run_and_it_leaves_nothing_behind() -> None:
    control = RunControl()
    async with resources_for() as (key, _, resources):
        with pytest.raises(GraphDrained):
            async for _ in graph.astream(
                {"question": QUESTION}, context=Context(resources=key), control=control
            ):
                control.request_drain("enough")
        assert not resources.thoughts
