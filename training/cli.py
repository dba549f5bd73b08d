"""The `longthought` command.

    longthought ask "Solve 4 * e - 44 = -32 for e."

A subcommand is a module with `main(argv)`; it is imported only when it is called, so
that `longthought --help` needs no model library. Every module can also be run alone:
`longthought ask` is `python -m graphs.ask`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import NamedTuple


class Command(NamedTuple):
    """One subcommand."""

    module: str
    summary: str


COMMANDS = {
    "ask": Command("graphs.ask", "asks one question"),
    "chat": Command("graphs.chat", "chats in the terminal"),
    "run": Command("graphs.run", "runs a set of questions; stores traces and metrics"),
    "compare": Command("graphs.compare", "compares runs over the same questions"),
    "export": Command("graphs.export", "exports traces for data sets and trainers"),
    "delete": Command("graphs.forget", "deletes the stored thoughts of a run"),
    "train": Command("training.run", "trains the policy, or heads, on traces"),
}


def help_text() -> str:
    """Returns the text of `longthought --help`."""
    lines = [f"  {name:<9} {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: longthought COMMAND [words and key=value options]",
            "",
            "Search, long thoughts and training for language models.",
            "",
            "commands:",
            *lines,
            "",
            "longthought COMMAND --help       usage, examples, common options",
            "longthought COMMAND --help-all   every option",
            "longthought --version            the version",
            "",
            "Start with the embedded pocket model:",
            '  longthought ask "Use the numbers 2, 5, 9 and 14 to make 37."',
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    try:
        return _call(list(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:  # while a module is imported; `guarded` handles the others
        print("stopped.", file=sys.stderr)
        return 130


def _call(words: list[str]) -> int:
    """Runs the subcommand that the words name, and returns its exit code."""
    if words[:1] == ["help"] and len(words) > 1:
        words = [words[1], "--help"]
    if not words or words[0] in ("-h", "--help", "--help-all", "help"):
        return _show(help_text())
    if words[0] == "--version":
        return _show(f"longthought {version('longthought')}")
    name, *rest = words
    if name not in COMMANDS:
        print(f"error: {_unknown(name)}", file=sys.stderr)
        return 2
    from configs.cli import Parser
    from graphs.terminal.console import guarded

    Parser.program = f"longthought {name}"
    module = import_module(COMMANDS[name].module)
    return guarded(lambda: int(module.main(rest)))


def _show(text: str) -> int:
    """Prints a text. A closed pipe and a full disk are handled as in a subcommand."""
    try:
        return _print(text)
    except OSError:
        from graphs.terminal.console import guarded

        return guarded(lambda: _print(text))


def _print(text: str) -> int:
    print(text, flush=True)
    return 0


def _unknown(name: str) -> str:
    """Returns the refusal of a word that is no command."""
    from configs.messages import closest

    if any(character.isspace() for character in name):
        return f'{name!r} is no command; to ask it, write longthought ask "{name}"'
    meant = closest(name, [*COMMANDS, "--help", "--version"], count=1)
    hint = f"did you mean longthought {meant[0]}? " if meant else ""
    return f"{name!r} is no command; {hint}choose one of: {', '.join(COMMANDS)}"


if __name__ == "__main__":
    sys.exit(main())
