"""Reasoning trees, search, long thoughts and the LangGraph graph over the agents."""

from graphs._layout import check_layout

check_layout()  # before any import that an intruder could break

from graphs.reasoner.batch import FailedQuestion  # noqa: E402
from graphs.reasoner.graph import Answer, create_reasoner, graph  # noqa: E402
from graphs.reasoner.presets import register_preset  # noqa: E402
from graphs.reasoner.reasoner import Reasoner  # noqa: E402
from graphs.reasoner.state import Context  # noqa: E402

__all__ = [
    "Answer",
    "Context",
    "FailedQuestion",
    "Reasoner",
    "create_reasoner",
    "graph",
    "register_preset",
]
