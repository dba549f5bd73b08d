"""Reasoning trees, search, long thoughts and the LangGraph graph over the agents."""

from graphs.reasoner import Answer, Reasoner, create_reasoner, graph
from graphs.state import Context

__all__ = ["Answer", "Context", "Reasoner", "create_reasoner", "graph"]
