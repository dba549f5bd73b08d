"""What we cost beside the model: CPU time per engine call, and the price of a
strategy's decision on a large tree.

Per call: the process's CPU time over the number of engine calls, of a run through the
graph whose engine answers at once from a recording (tests/bench/recording.py). It holds
everything but the model: LangGraph, our nodes, the strategy, the tokenizer of the
pocket model, prompts, parsing, the checker, the event loop, the garbage collector.
vLLM's own front end is not in it (section `profile`). What other processes take is not
in it either, but a busy neighbour makes every instruction slower: compare what was
measured in one run.

    a question of one call   what asking costs at all; in a stepped search this is
                             spread over the calls
    LangGraph                the same graph with mute nodes: each returns at once what
                             its like returned when the question was asked, so that the
                             super-steps are the same, and nothing else is done in them
    nodes called by hand     the same search without LangGraph
    engine alone             the recorded requests sent to the recording, without a
                             search: an upper bound of what the stand-in adds
    a bare super-step        of a graph that only counts: what LangGraph costs at least,
                             and a yardstick of how quiet the machine is

On large trees: the time of one `select` on a tree of about 10,000 nodes, grown by the
strategy itself in the world without a model (tests/graphs/strategies/world.py) where
its options let it, and by best_of_n where not (the column `grown by`). For a strategy
that backs values up: one simulation's bookkeeping, which is one `select`, one
`to_back_up` and the fold of its events.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, get_args

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command
from typing_extensions import TypedDict

from agents.types import Budget, Meter, Question
from configs import ConfigError, RunConfig
from graphs.reasoner.gc_tuning import patient_collector
from graphs.reasoner.graph import RECURSION_LIMIT
from graphs.reasoner.state import Context, InputState, OutputState, Phase, State
from graphs.strategies import Strategy
from graphs.strategies.build import STRATEGIES, build_strategy
from graphs.tree import Backup, Expansion, ReasoningTree
from tests.bench.figures import CollectorTime, Options, Result, Row, Table, Target, figure
from tests.bench.recording import Recording, Remembering, replay
from tests.bench.workload import (
    NO_CAPS,
    STEPPED,
    Walk,
    ask,
    opened,
    questions,
    record,
    scripted_config,
    walk,
)
from tests.graphs.strategies.world import World, simulate

CPU_PER_CALL = Target("<=", 400.0)
SELECT = Target("<=", 1000.0)
SIMULATION = Target("<=", 50.0)
_SUPER_STEPS = 200


def _wide(nodes: int) -> dict[str, Any]:
    """Returns options that let a search make a tree of `nodes`, by name; a strategy
    takes those that it has.
    """
    samples = max(8, nodes // 40 * 4)
    return {
        "num_samples": samples,
        "beam_width": samples // 4,
        "num_children": 4,
        "max_children": 16,
        "num_simulations": nodes,
    }


def run(options: Options) -> Result:
    """Measures both."""
    result = Result()
    asyncio.run(_per_call(options, result))
    nodes = 200 if options.quick else 10_000
    result.tables.append(
        Table(
            f"one decision on a tree of about {nodes:,} nodes (us)",
            tuple(_decisions(nodes, options)),
        )
    )
    return result


async def _per_call(options: Options, result: Result) -> None:
    count = 4 if options.quick else 100
    asked = questions(count)
    searches = {
        "beam 16/4, working critic": scripted_config(*STEPPED),
        "critique loop, working critic": scripted_config("search=critique_loop", *NO_CAPS),
    }
    rows: list[Row] = []
    for name, config in searches.items():
        recording = await record(config, asked)
        rows += await _shares(
            name,
            "us/call",
            config,
            asked,
            recording,
            len(recording.requests),
            options.repeats,
            CPU_PER_CALL,
        )
    greedy = scripted_config("search=greedy", "critic=none", "reflector=none")
    recording = await record(greedy, asked)
    rows += await _shares(
        "a question of one call", "us", greedy, asked, recording, len(asked), options.repeats
    )
    rows.append(
        figure(
            "a bare super-step of LangGraph",
            [await _bare_super_step() for _ in range(options.repeats)],
            "us",
        )
    )
    result.tables.append(
        Table(
            f"CPU beside the model, {count} questions, {greedy.run.concurrency} in flight",
            tuple(rows),
        )
    )


async def _bare_super_step() -> float:
    """Returns the CPU microseconds of a super-step of the smallest graph: one node that
    counts, and goes to itself.
    """
    builder = StateGraph(_Count)
    builder.add_node("count", _count, destinations=("count", END))
    builder.add_edge(START, "count")
    graph = builder.compile()
    await graph.ainvoke({"number": 0})  # the first run of a graph is slow
    start = time.process_time()
    await graph.ainvoke({"number": 0})
    return (time.process_time() - start) / _SUPER_STEPS * 1e6


class _Count(TypedDict):
    number: int


async def _count(state: _Count) -> Command[str]:
    number = state["number"] + 1
    return Command(update={"number": number}, goto="count" if number < _SUPER_STEPS else END)


async def _shares(
    name: str,
    unit: str,
    config: RunConfig,
    asked: Sequence[Question],
    recording: Recording,
    count: int,
    repeats: int,
    target: Target | None = None,
) -> list[Row]:
    """Returns the CPU microseconds per one of `count`: of the graph, and A B C D with
    it of LangGraph, the nodes and the engine alone.
    """
    engine = Remembering(recording)
    collector = CollectorTime()
    spent: dict[str, list[float]] = {
        "graph": [],
        "langgraph": [],
        "nodes": [],
        "engine": [],
        "collector": [],
    }
    concurrency = config.run.concurrency

    async def measured(what: str, work: Callable[[], Awaitable[object]]) -> None:
        with patient_collector():  # as `ask` has it
            start = time.process_time()
            await work()
            spent[what].append((time.process_time() - start) / count * 1e6)

    with opened(config, engine) as (key, _):
        await ask(asked, key, concurrency=concurrency)  # fills the caches of prompts and questions
        calls = engine.asked
        mute = await MuteGraph.of(asked, key)
        for _ in range(repeats):
            before = collector.seconds
            with collector.measured():
                await measured("graph", lambda: ask(asked, key, concurrency=concurrency))
            spent["collector"].append((collector.seconds - before) / count * 1e6)
            await measured("langgraph", lambda: mute.run(concurrency=concurrency))
            await measured("nodes", lambda: walk(asked, key, concurrency=concurrency))
            await measured("engine", lambda: replay(engine, recording.requests))
    assert engine.asked == calls * (2 + 3 * repeats), "graph and nodes did not do the same"
    super_step = [share * count / mute.super_steps for share in spent["langgraph"]]
    return [
        figure(f"{name} ({calls / len(asked):.1f} calls a question)", spent["graph"], unit, target),
        figure(
            f"  of which LangGraph ({mute.super_steps / len(asked):.1f} super-steps a question)",
            spent["langgraph"],
            unit,
        ),
        figure("  of which garbage collector", spent["collector"], unit),
        figure("  nodes called by hand", spent["nodes"], unit),
        figure("  engine alone", spent["engine"], unit),
        figure("  a super-step of LangGraph", super_step, "us"),
    ]


class MuteGraph:
    """The reasoning graph, its channels and its super-steps, without what its nodes
    do.
    """

    def __init__(self, said: Mapping[str, Sequence[Command[Phase] | State]]) -> None:
        """`said`: what the nodes returned, one after another, by question."""
        self.super_steps = sum(map(len, said.values()))
        self._said = said
        self._at: dict[str, int] = {}
        builder = StateGraph(
            State, context_schema=Context, input_schema=InputState, output_schema=OutputState
        )
        for phase in get_args(Phase):
            builder.add_node(phase, self._repeat, destinations=get_args(Phase))
        builder.add_edge(START, "screen")
        builder.set_finish_point("record")
        self._graph = builder.compile()

    @classmethod
    async def of(cls, asked: Sequence[Question], key: str) -> MuteGraph:
        """Returns the graph that repeats what the nodes say to these questions."""
        said: dict[str, list[Command[Phase] | State]] = {}
        for question in asked:
            thought = Walk.begin(question, key)
            said[question.text] = []
            while thought.goes_on:
                said[question.text].append(await thought.step())
        return cls(said)

    async def run(self, *, concurrency: int) -> None:
        """Runs all questions, at most `concurrency` at a time."""
        self._at = dict.fromkeys(self._said, 0)
        waiting = iter(self._said)

        async def worker() -> None:
            for question in waiting:
                inputs: State = {"question": question, "sample": 0, "thought_id": "mute"}
                await self._graph.ainvoke(
                    inputs,
                    context=Context(resources="mute"),
                    config={"recursion_limit": RECURSION_LIMIT},
                )

        await asyncio.gather(*(worker() for _ in range(min(concurrency, len(self._said)))))

    async def _repeat(self, state: State, runtime: Runtime[Context]) -> Command[Phase] | State:
        question = state["question"]
        at = self._at[question]
        self._at[question] = at + 1
        return self._said[question][at]


def _decisions(nodes: int, options: Options) -> list[Row]:
    """Times every registered strategy on a large tree."""
    wide = _grown(widened("best_of_n", nodes), nodes)
    rows: list[Row] = []
    for name in STRATEGIES:
        strategy = widened(name, nodes)
        tree, grown_by = _grown(strategy, nodes), name
        if len(tree) < nodes // 2:
            tree, grown_by = wide, "best_of_n"
        of_tree: Row = {"nodes": len(tree), "grown by": grown_by}
        rows.append(
            {
                **_timed(f"{name}: select", partial(_select, strategy, tree), SELECT, options),
                **of_tree,
            }
        )
        if type(strategy).to_back_up is not Strategy.to_back_up:
            rows.append(
                {
                    **_timed(
                        f"{name}: one simulation",
                        partial(_simulate, strategy, tree),
                        SIMULATION,
                        options,
                    ),
                    **of_tree,
                }
            )
    return rows


def _timed(what: str, work: Callable[[], object], target: Target, options: Options) -> Row:
    """Returns a row with the CPU microseconds of `work`, each figure the median of
    several calls.
    """
    work()
    calls = 3 if options.quick else 20
    rounds = []
    for _ in range(options.repeats):
        times = []
        for _ in range(calls):
            start = time.process_time()
            work()
            times.append((time.process_time() - start) * 1e6)
        rounds.append(statistics.median(times))
    return figure(what, rounds, "us", target)


def _select(strategy: Strategy, tree: ReasoningTree) -> Sequence[Expansion | Backup]:
    return strategy.select(tree, Meter(Budget()), random.Random(0))


def _simulate(strategy: Strategy, tree: ReasoningTree) -> None:
    """Runs one simulation without a model: selects a node, values the newest leaf and
    backs the value up.
    """
    _select(strategy, tree)
    tree.apply(strategy.to_back_up(tree, [len(tree) - 1]))


def _grown(strategy: Strategy, nodes: int) -> ReasoningTree:
    """Returns the tree of a search that ends with `nodes` nodes, or where the strategy
    ends it.
    """
    world = World(depth=12, continuations=60, ability=0.5)
    return simulate(strategy, world, budget=Budget(max_nodes=nodes), max_rounds=10 * nodes).tree


def widened(name: str, nodes: int) -> Strategy:
    """Returns a strategy with the options that its group has by default, but wide."""
    for critic in ("critic=pocket", "critic=none"):
        try:
            config = scripted_config(f"search={name}", critic, "budget.max_depth=null")
        except ConfigError:
            continue
        fields = type(config.search).model_fields
        wide = {option: value for option, value in _wide(nodes).items() if option in fields}
        search = config.search.model_copy(update=wide)
        return build_strategy(config.model_copy(update={"search": search}))
    raise AssertionError(f"search={name} fits neither with a critic nor without one")
