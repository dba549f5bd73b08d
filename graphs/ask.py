"""Asks one question.

    python -m graphs.ask "Use the numbers 3, 7, 11 and 25 to make 57." [key=value ...]
        [--json] [--show-thought]

Prints summary and answer to stdout. `--show-thought` prints the hidden thought as well
(the audit view). `--json` prints one line, the last of stdout, with the fields of
`graphs.Answer`.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence

from agents.safety.visible_text import without_controls
from agents.types import Question
from configs import compose
from configs.cli import (
    Parser,
    add_override_arguments,
    names_option,
    parse,
    split_overrides,
)
from graphs.terminal.answers import answer_text, audit_view, critic_note
from graphs.terminal.console import FAILED, console, guarded, thinking
from graphs.terminal.opening import open_reasoner

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
    question = _question(arguments.question, parser.prog)
    config = compose(split_overrides(arguments))
    with open_reasoner(config) as reasoner, thinking() as show:
        answer = reasoner.ask(question, on_progress=show)
    if arguments.json:
        shown = dataclasses.asdict(answer)
        if arguments.show_thought:
            shown["thought"] = without_controls(answer.thought.reveal())
        print(json.dumps(shown, ensure_ascii=False))
    else:
        if arguments.show_thought:
            print(audit_view(answer.trace.reveal()), end="\n\n")
        print(answer_text(answer))
    if (note := critic_note(answer.trace.reveal())) is not None:
        console.print(note, style="yellow", markup=False)
    return 0 if answer.status in ("answered", "refused") else FAILED


def _question(word: str, program: str) -> str:
    """Returns the question: the word, or for "-" what stdin holds.

    Raises:
        ValueError: there is no question, an option stands in its place, or it is no
            text.
    """
    if names_option(word):
        raise ValueError(
            f'{word} is an option; the question stands first: {program} "QUESTION" {word}'
        )
    question = word if word != "-" else "" if sys.stdin is None else sys.stdin.read()
    if not question.strip():
        raise ValueError(f'the question is empty; ask something: {program} "Solve 3x + 2 = 11"')
    return Question(text=question.rstrip("\r\n")).text


if __name__ == "__main__":
    sys.exit(guarded(main))
