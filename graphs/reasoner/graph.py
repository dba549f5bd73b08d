"""The LangGraph graph, and one thought with it.

    await graph.ainvoke({"question": ...}, context=Context(overrides=("effort=low",)))

With a checkpointer a thread remembers its conversation (`InputState.messages`):

    chat = create_reasoner().compile(checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "1"}}
    await chat.ainvoke({"messages": [{"role": "user", "content": ...}]}, thread)

A context's overrides have the limits of a remote caller (configs/remote.py).
`register_preset` and `graphs.reasoner.resources.register` allow any configuration.
`graphs.Reasoner` is simpler for Python callers.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import InitVar, dataclass, fields
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import RunControl, get_runtime

from agents.roles.summarizer import SummarySource
from agents.types import Hidden, Question, Turn
from graphs.reasoner import nodes
from graphs.reasoner.conversation.messages import as_messages, reply
from graphs.reasoner.state import Context, InputState, OutputState, State, read_context
from graphs.reasoner.thinking import Run
from graphs.thought.markup import readable
from graphs.traces.trace import Trace
from graphs.tree import NoAnswer, Status

RECURSION_LIMIT = 10_000  # super-steps; the budget ends a thought long before that


class CompiledReasoner(CompiledStateGraph[State, Context, InputState, OutputState]):
    """The compiled graph. Every run releases its thoughts when it ends; an interrupted
    run pauses them, so that it can be resumed.
    """

    async def astream(
        self,
        input: Any,
        config: RunnableConfig | None = None,
        *,
        control: RunControl | None = None,
        **options: Any,
    ) -> AsyncGenerator[Any]:
        """Streams a run, as LangGraph does; `ainvoke` and `astream_events` call it.

        Raises:
            ConfigError: `context` is invalid.
        """
        if options.get("context") is not None:
            options["context"] = read_context(options["context"])
        run = Run(control or _control_around())
        interrupted = False
        try:
            async with aclosing(super().astream(input, config, control=run, **options)) as parts:  # type: ignore[type-var]
                async for part in parts:
                    yield part
            interrupted = True
        finally:
            run.end(interrupted=interrupted)


class ReasonerGraph(StateGraph[State, Context, InputState, OutputState]):
    """The graph before it is compiled."""

    def compile(self, *args: Any, **options: Any) -> CompiledReasoner:
        """Returns the compiled graph; the arguments are those of
        `StateGraph.compile`.
        """
        compiled = vars(super().compile(*args, **options))
        made = CompiledReasoner(
            **{name: value for name, value in compiled.items() if name != "__orig_class__"}
        )
        vars(made).update(compiled)  # attributes that LangGraph sets after the constructor
        return made


def _control_around() -> RunControl | None:
    """Returns the control of the run whose node runs this graph; None outside of a
    run.
    """
    try:
        around = get_runtime()
    except RuntimeError:
        return None
    return around.control if around is not None else None


def create_reasoner() -> ReasonerGraph:
    """Returns the uncompiled graph: extend it, compile it with a checkpointer, or add
    it to another graph as a node.
    """
    builder = ReasonerGraph(
        State, context_schema=Context, input_schema=InputState, output_schema=OutputState
    )
    builder.add_node("screen", nodes.screen, destinations=("select", "derive"))
    builder.add_node("select", nodes.select, destinations=("suggest", "derive"))
    builder.add_node("suggest", nodes.suggest, destinations=("critique", "reflect", "select"))
    builder.add_node("critique", nodes.critique, destinations=("reflect", "select"))
    builder.add_node("reflect", nodes.reflect, destinations=("select",))
    builder.add_node("derive", nodes.derive, destinations=("answer",))
    builder.add_node("answer", nodes.answer, destinations=("summarize", "check"))
    builder.add_node("summarize", nodes.summarize, destinations=("check",))
    builder.add_node("check", nodes.check, destinations=("record",))
    builder.add_node("record", nodes.record)
    builder.add_edge(START, "screen")
    builder.set_finish_point("record")
    return builder


graph: CompiledReasoner = create_reasoner().compile(name="longthought")
"""The compiled graph without a checkpointer: what batch runs use and `langgraph.json`
serves."""


@dataclass(frozen=True)
class Answer:
    """The result of a thought. The fields are plain values that may be shown.

    An audit reads `trace` and `thought`. They are properties, so `dataclasses.asdict`,
    `repr` and pickle omit them.
    """

    question: str
    status: str
    """answered, no_answer, out_of_domain or refused."""
    reason: NoAnswer | None
    """Why there is no answer; None unless the status is no_answer."""
    answer: str | None
    """The answer in the model's words; may have several lines. With status no_answer it
    is the beginning of an unscored answer that was cut off (`reason` names the limit),
    or None."""
    summary: str
    """How the answer was found; empty if the answer is all that was written."""
    summary_source: SummarySource
    """Source of the summary: the kept steps, a model, or counts alone."""
    correct: bool | None
    """The exact checker's result; None without a gold, or if it cannot decide."""
    rule_id: str | None
    """The safety rule that decided; None if none did."""
    usage: dict[str, dict[str, int]]
    """Tokens and calls by role."""
    nodes: int
    """Size of the reasoning tree."""
    seconds: float
    thought_id: str
    dropped_turns: int = 0
    """Oldest turns of the history that the model's context has no room for."""
    audited: InitVar[Hidden[Trace] | None] = None

    def __post_init__(self, audited: Hidden[Trace] | None) -> None:
        object.__setattr__(self, "_trace", audited)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_trace": None}

    @property
    def turn(self) -> Turn:
        """The assistant's turn in a conversation: the answer, or that there is none."""
        # the graph has set one of the four
        status: Status = self.status  # type: ignore[assignment]
        return Turn(role="assistant", text=reply(status, self.answer, self.summary))

    @property
    def trace(self) -> Hidden[Trace]:
        """The whole trace of the thought, hidden.

        Raises:
            LookupError: the answer was copied or unpickled; read the trace from the
                run's store.
        """
        trace: Hidden[Trace] | None = vars(self)["_trace"]
        if trace is None:
            raise LookupError(
                f"this answer no longer holds the trace of thought {self.thought_id}; ask "
                "Reasoner or think in this process, or read the "
                "run's store with graphs.traces.store.TraceStore"
            )
        return trace

    @property
    def thought(self) -> Hidden[str]:
        """The long thought as numbered text, hidden.

        Raises:
            LookupError: see `trace`.
        """
        return Hidden(readable(self.trace.reveal().long_thought))


@dataclass(frozen=True, slots=True)
class Progress:
    """The phase and size of a thought in progress; never its content."""

    phase: str
    """Node of the graph that has just finished."""
    rounds: int
    """Iterations of the suggestion-critique loop."""
    nodes: int
    """Size of the reasoning tree."""


async def think(
    question: Question,
    key: str,
    *,
    sample: int = 0,
    on_progress: Callable[[Progress], None] | None = None,
) -> Answer:
    """Thinks about a question with the resources that are registered as `key`. Calls
    `on_progress` after every phase.

    Raises:
        ValueError: the question is empty, or too long for the model.
        EngineError: an engine failed.
    """
    context = Context(resources=key)
    inputs: InputState = {"question": question.text, "gold": question.gold, "task": question.task}
    inputs |= {"metadata": question.metadata, "sample": sample}
    if question.history:
        inputs["messages"] = as_messages([*question.history, Turn(role="user", text=question.text)])
    config: RunnableConfig = {"recursion_limit": RECURSION_LIMIT}
    shown: dict[str, Any] = {}
    traces: list[Hidden[Trace]] = []
    audit = nodes.AUDIT.set(traces)
    try:
        if on_progress is None:
            shown = await graph.ainvoke(inputs, context=context, config=config)
        else:
            async with aclosing(
                graph.astream(inputs, context=context, config=config, stream_mode="updates")
            ) as updates:
                async for update in updates:
                    for phase, changed in update.items():
                        shown |= changed or {}
                        on_progress(Progress(phase, shown.get("rounds", 0), shown.get("nodes", 1)))
    finally:
        nodes.AUDIT.reset(audit)
    values: dict[str, Any] = {
        field.name: shown.get(field.name) for field in fields(Answer) if field.name != "question"
    }
    return Answer(question=question.text, audited=traces[-1], **values)
