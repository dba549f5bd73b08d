"""Asks one question.

    python -m graphs.ask "Use the numbers 3, 7, 11 and 25 to make 57." [key=value ...] [--json] [--show-thought]

The answer and the summary go to stdout. The thought is hidden unless the audit view is asked for. `--json` prints one line, the last of
stdout, with the fields of `graphs.Answer`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence

from configs import compose
from configs.cli import add_override_arguments, parse, split_overrides
from graphs.reasoner import Answer, Reasoner
from graphs.terminal import FAILED, guarded, starting, thinking
from graphs.thought.markup import readable
from graphs.traces.trace import Trace
from graphs.tree import LEGEND, ReasoningTree, draw


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m graphs.ask", description="Asks one question and prints answer and summary.")
    parser.add_argument("question", help="the question, in quotes")
    parser.add_argument("--json", action="store_true", help="print one JSON line instead of text")
    parser.add_argument("--show-thought", action="store_true", help="the audit view: print the hidden thought as well")
    add_override_arguments(parser)
    arguments = parse(parser, argv)
    if not arguments.question.strip():
        raise ValueError('the question is empty; ask something, for example: python -m graphs.ask "Solve 3x + 2 = 11"')
    config = compose(split_overrides(arguments))
    traces: list[Trace] = []
    reasoner = Reasoner(config, sink=traces.append)
    with starting(config):
        reasoner.__enter__()
    try:
        with thinking() as show:
            answer = reasoner.ask(arguments.question, on_progress=show)
    finally:
        reasoner.__exit__(None, None, None)
    if arguments.json:
        shown = dataclasses.asdict(answer)
        if arguments.show_thought:
            shown["thought"] = readable(traces[0].long_thought)
        print(json.dumps(shown, ensure_ascii=False))
    else:
        if arguments.show_thought:
            print(audit_view(traces[0]), end="\n\n")
        print(describe(answer))
    return 0 if answer.status in ("answered", "refused") else FAILED


def audit_view(trace: Trace) -> str:
    """Returns the hidden part of a trace in words: the whole tree, and the long thought that was derived from it."""
    tree = ReasoningTree.replay(trace.question, trace.events)
    if len(tree) == 1:
        return f"There is no thought: {trace.status.replace('_', ' ')}."
    return (
        f"Reasoning tree ({LEGEND})\n\n{draw(tree).reveal()}\n\n"
        f"Long thought (a way through the tree; ✗ a turn that is taken back, ~ why, ↩ where to)\n\n{readable(trace.long_thought)}"
    )


def describe(answer: Answer) -> str:
    """Returns what the user reads: how long it took, the summary, and the answer or why there is none."""
    tokens = sum(usage["generated_tokens"] for usage in answer.usage.values())
    lines = [f"Thought for {answer.seconds:.1f} s ({answer.nodes - 1} steps tried, {tokens} tokens)", answer.summary, ""]
    match answer.status:
        case "out_of_domain":
            lines.append("Answer: none; the question is outside of what this model was made for.")
        case "no_answer":
            lines.append("Answer: none was found within the budget; try budget=high or another search.")
        case _:
            lines.append(f"Answer: {answer.answer}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(guarded(main))
