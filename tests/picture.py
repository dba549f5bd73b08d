"""The README's picture of the graph: Mermaid, generated from the compiled graph.

    python -m tests.picture [README.md]

With a file, the text between the markers `graph:begin` and `graph:end` is replaced.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from agents.files import write_text
from agents.types import BadDataError
from graphs.reasoner.graph import create_reasoner

_NODES = {
    "__start__": "question",
    "screen": "safety rules, domain",
    "select": "strategy: next nodes",
    "suggest": "policy: new steps",
    "critique": "critic: verdicts",
    "reflect": "reflector: continue or backtrack",
    "derive": "long thought",
    "answer": "answer of the chosen leaf",
    "summarize": "summarizer: summary",
    "check": "safety rules",
    "record": "trace",
    "__end__": "summary and answer",
}
"""What each node does or, at the ends, holds."""

_EDGES = {
    ("screen", "derive"): "refused or out of domain",
    ("select", "derive"): "answer chosen or budget spent",
    ("suggest", "select"): "nothing to judge",
    ("suggest", "reflect"): "judged before",
    ("answer", "check"): "no summary needed",
}
"""When an edge is taken, where that is not plain."""

_ENDS = {"__start__": "start", "__end__": "done"}  # `end` is a word of Mermaid

_BLOCK = re.compile(r"(?<=<!-- graph:begin -->\n).*?(?=<!-- graph:end -->)", re.DOTALL)


def picture() -> str:
    """Returns the graph as a Mermaid flowchart in a fenced block.

    Raises:
        KeyError: a node of the compiled graph has no text in this module.
    """
    graph = create_reasoner().compile().get_graph()
    lines = ["```mermaid", "flowchart TD"]
    for name in graph.nodes:
        text = f'(["{_NODES[name]}"])' if name in _ENDS else f'["<b>{name}</b><br/>{_NODES[name]}"]'
        lines.append(f"    {_ENDS.get(name, name)}{text}")
    order = list(graph.nodes)
    for edge in sorted(graph.edges, key=lambda e: (order.index(e.source), order.index(e.target))):
        label = _EDGES.get((edge.source, edge.target))
        arrow = f"-->|{label}|" if label else "-->"
        source, target = (_ENDS.get(name, name) for name in (edge.source, edge.target))
        lines.append(f"    {source} {arrow} {target}")
    return "\n".join([*lines, "```", ""])


def insert(text: str) -> str:
    """Returns a page with the picture between its markers.

    Raises:
        BadDataError: the page has no markers.
    """
    if not _BLOCK.search(text):
        raise BadDataError(
            "the page has no lines <!-- graph:begin --> and <!-- graph:end -->; add them where "
            "the picture belongs"
        )
    return _BLOCK.sub(lambda _: picture(), text)


def main(argv: Sequence[str]) -> int:
    if not argv:
        print(picture(), end="")
        return 0
    path = Path(argv[0])
    write_text(path, insert(path.read_text(encoding="utf-8")))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
