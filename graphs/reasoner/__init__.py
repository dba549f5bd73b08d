"""The LangGraph graph: state, nodes, resources, and the Python API."""

from graphs.reasoner.graph import Answer, create_reasoner, graph, think
from graphs.reasoner.reasoner import Reasoner
from graphs.reasoner.state import Context

__all__ = ["Answer", "Context", "Reasoner", "create_reasoner", "graph", "think"]
