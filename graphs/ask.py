"""Asks one question.

    python -m graphs.ask "Use the numbers 3, 7, 11 and 25 to make 57." [key=value ...]
        [--json] [--show-thought]

The answer and the summary go to stdout. The thought is hidden unless the audit view is
asked for. `--json` prints one line, the last of stdout, with the fields of
`graphs.Answer`.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence

from agents.safety.visible_text import without_controls
from configs import compose
from configs.cli import Parser, add_override_arguments, parse, split_overrides
from graphs.reasoner.graph import Answer
from graphs.reasoner.no_answer import EXPLANATIONS, last_words
from graphs.reasoner.reasoner import Reasoner
from graphs.reasoner.terminal import FAILED, guarded, starting, thinking
from graphs.thought.markup import readable
from graphs.traces.trace import Trace
from graphs.tree import LEGEND, ReasoningTree, draw

_EXAMPLES = (
    ('"Solve 4 * e - 44 = -32 for e."', "asks the embedded pocket model"),
    (
        '"Why is the sky blue?" experiment=chat engine.model=FOLDER_OR_HUB_ID',
        "asks a chat model of your own",
    ),
    (
        '"Why is the sky blue?" experiment=chat engine=openai engine.base_url=http://host:8000/v1',
        "asks a model server",
    ),
    (
        '"Use the numbers 2, 5, 9 and 14 to make 37." --show-thought effort=medium',
        "searches, and prints tree and thought as well",
    ),
)


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(
        prog="python -m graphs.ask",
        description="Asks one question and prints summary and answer.",
        examples=_EXAMPLES,
        common=("experiment", "effort", "search", "engine", "engine.model", "budget.max_tokens"),
    )
    parser.add_argument("question", help='the question, in quotes; "-" reads it from stdin')
    parser.add_argument("--json", action="store_true", help="print one JSON line instead of text")
    parser.add_argument(
        "--show-thought",
        action="store_true",
        help="the audit view: print the hidden thought as well",
    )
    add_override_arguments(parser)
    arguments = parse(parser, argv)
    question = sys.stdin.read() if arguments.question == "-" else arguments.question
    if not question.strip():
        raise ValueError(f'the question is empty; ask something: {parser.prog} "Solve 3x + 2 = 11"')
    config = compose(split_overrides(arguments))
    reasoner = Reasoner(config)
    with starting(config):
        reasoner.__enter__()
    try:
        with thinking() as show:
            answer = reasoner.ask(question, on_progress=show)
    finally:
        reasoner.__exit__(None, None, None)
    if arguments.json:
        shown = dataclasses.asdict(answer)
        if arguments.show_thought:
            shown["thought"] = without_controls(answer.thought.reveal())
        print(json.dumps(shown, ensure_ascii=False))
    else:
        if arguments.show_thought:
            print(audit_view(answer.trace.reveal()), end="\n\n")
        print(describe(answer))
    return 0 if answer.status in ("answered", "refused") else FAILED


def audit_view(trace: Trace) -> str:
    """Returns the hidden part of a trace in words: the whole tree, the long thought
    that was derived from it, and, where there is no answer, the last step. Its control
    characters are left out: nothing that a model wrote steers the auditor's terminal.
    """
    tree = ReasoningTree.replay(trace.question, trace.events)
    if len(tree) == 1:
        return f"There is no thought: {trace.status.replace('_', ' ')}."
    parts = [
        f"Reasoning tree ({LEGEND})\n\n{draw(tree).reveal()}",
        "Long thought (a way through the tree; ✗ a turn that is taken back, ~ why, ↩ where "
        f"to)\n\n{readable(trace.long_thought)}",
    ]
    if trace.reason is not None:
        parts.append(
            f"Last step ({EXPLANATIONS[trace.reason].what})\n\n{last_words(tree).reveal()}"
        )
    return without_controls("\n\n".join(parts))


def describe(answer: Answer) -> str:
    """Returns what the user reads: how long it took, the summary where it says more
    than that, and the answer or why there is none.
    """
    tokens = sum(usage["generated_tokens"] for usage in answer.usage.values())
    steps = answer.nodes - 1
    lines = []
    if steps:
        lines.append(
            f"Thought for {answer.seconds:.1f} s ({steps} step{'' if steps == 1 else 's'} tried, "
            f"{tokens} tokens)"
        )
    if answer.summary_source != "neutral" and answer.status != "no_answer":
        lines.append(answer.summary)
    if lines:
        lines.append("")
    match answer.status:
        case "out_of_domain":
            lines.append("Answer: none; the question is outside of what this model was made for.")
        case "no_answer" if answer.answer is not None:
            lines += [f"Answer, unfinished{_why(answer)}:", answer.answer]
        case "no_answer":
            lines.append(f"Answer: none{_why(answer)}.")
        case _ if answer.answer is not None and "\n" in answer.answer:
            lines += ["Answer:", answer.answer]
        case _:
            lines.append(f"Answer: {answer.answer}")
    return "\n".join(lines)


def _why(answer: Answer) -> str:
    if answer.reason is None:
        return ""
    what, way_out = EXPLANATIONS[answer.reason]
    hides_step = answer.nodes > 1 and answer.answer is None
    audit = (
        "; the audit view (--show-thought, in the chat /thought) shows the last step"
        if hides_step
        else ""
    )
    return f"; {what}; {way_out}{audit}"


if __name__ == "__main__":
    sys.exit(guarded(main))
