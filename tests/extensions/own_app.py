"""An application of one's own: a LangGraph graph that has the reasoner as a node.

    route -> greet
          -> reason -> (again -> reason) -> reply

The reasoner shares the channels of `State` with the graph around it, and finds its
engines by the graph's context.
"""

from __future__ import annotations

from typing import Literal

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from graphs import Context, create_reasoner
from graphs.reasoner.state import InputState, OutputState, State

MOST_SAMPLES = 3
GREETINGS = ("hello", "hi", "good morning")


class AppState(State, total=False):
    """The channels of the reasoner and one more."""

    reply: str


class AppOutput(OutputState, total=False):
    """What the caller gets."""

    reply: str


def route(state: AppState) -> Literal["greet", "reason"]:
    """Returns the node that takes the message: a greeting needs no model."""
    message = state["question"].strip(" !.").lower()
    return "greet" if message in GREETINGS else "reason"


def greet(state: AppState) -> AppState:
    return {"status": "answered", "reply": "Hello! Ask me to make a number."}


def is_done(state: AppState) -> Literal["again", "reply"]:
    """Returns `again` while there is no answer and a sample is left."""
    is_open = state["status"] == "no_answer" and state.get("sample", 0) + 1 < MOST_SAMPLES
    return "again" if is_open else "reply"


def again(state: AppState) -> AppState:
    """Takes the next sample, which has a seed of its own."""
    return {"sample": state.get("sample", 0) + 1}


def reply(state: AppState) -> AppState:
    found = state.get("answer")
    return {"reply": state["summary"] if found is None else f"{found}\n\n{state['summary']}"}


def create_app() -> CompiledStateGraph[AppState, Context, InputState, AppOutput]:
    """Returns the compiled application."""
    builder = StateGraph(
        AppState, context_schema=Context, input_schema=InputState, output_schema=AppOutput
    )
    builder.add_node("greet", greet)
    builder.add_node("reason", create_reasoner().compile())
    builder.add_node("again", again)
    builder.add_node("reply", reply)
    builder.add_conditional_edges(START, route)
    builder.add_conditional_edges("reason", is_done)
    builder.add_edge("again", "reason")
    builder.add_edge("greet", END)
    builder.add_edge("reply", END)
    return builder.compile(name="app")
