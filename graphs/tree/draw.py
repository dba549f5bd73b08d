"""Draws a reasoning tree as text, for the audit view.

    Use the numbers 3, 7, 11 and 25 to make 57.
    ├─ ✗ 25 + 7 = 32 ; left 3 11 32  (critic .08, -2.4 nats)
    │     Step 1 is wrong. backtrack to step 0.
    └─ ✓ 25 * 3 = 75 ; left 7 11 75  (critic .93, +2.6 nats)
       └─ ★ Answer: ...

`LEGEND` explains the marks.
"""

from __future__ import annotations

from agents.types import Hidden
from graphs.tree.tree import ROOT, ReasoningTree

LEGEND = (
    "✓ evidence for the step, ✗ against it, ↩ right but backtracked over, · not judged, … cut off, "
    "★ the chosen answer; nats: log-likelihood ratio"
)


def draw(tree: ReasoningTree) -> Hidden[str]:
    """Returns the drawing; `Hidden`, because it contains the whole thought."""
    lines = [tree.question.text]
    _draw_children(tree, ROOT, "", lines)
    return Hidden("\n".join(lines))


def _draw_children(tree: ReasoningTree, node: int, indent: str, lines: list[str]) -> None:
    for child in tree.children[node]:
        last = child == tree.children[node][-1]
        lines.append(f"{indent}{'└─' if last else '├─'} {_mark(tree, child)} {_words(tree, child)}")
        below = indent + ("   " if last else "│  ")
        lines += [
            f"{below}   {reflection.text.reveal().strip()}"
            for reflection in tree.reflections[child]
        ]
        _draw_children(tree, child, below, lines)


def _mark(tree: ReasoningTree, node: int) -> str:
    if tree.finished is not None and tree.finished.leaf == node:
        return "★"
    if tree.step(node).finish_reason == "length":
        return "…"
    if tree.is_wrong(node):
        return "✗"
    if tree.backtracked[node]:
        return "↩"
    return "✓" if tree.is_right(node) else "·"


def _words(tree: ReasoningTree, node: int) -> str:
    text = " ".join(tree.step(node).content.reveal().text.split()) or "(ends here)"
    scores = [
        f"{verdict.score:.2f}" for verdict in tree.verdicts[node] if verdict.outcome == "judged"
    ]
    return (
        (f"{text}  (critic {', '.join(scores)}; {tree.log_likelihood_ratio[node]:+.1f} nats)")
        if scores
        else text
    )
