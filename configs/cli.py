"""Command lines: flags are parsed by argparse; the remaining `key=value` words are
overrides for `compose`.

    parser = Parser(prog="python -m graphs.ask", description="Asks one question.")
    parser.add_argument("question")    # before the overrides: always the first one
    add_override_arguments(parser)
    arguments = parse(parser, argv)
    config = compose(split_overrides(arguments))
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import IO, ClassVar, NoReturn

from configs.describe import describe, summaries
from configs.errors import ConfigError
from configs.messages import closest
from configs.options import groups
from configs.store import PRESETS

_OVERRIDE = re.compile(r"~[A-Za-z_][\w.@/]*(=.*)?|\+{0,2}[A-Za-z_][\w./]*(@[\w.]+)?=.*", re.DOTALL)


class Parser(argparse.ArgumentParser):
    """A command line with a short help: usage, examples and the most used options.

    `--help-all` adds every option of the schema. The error for an unknown flag suggests
    the closest known flag.

    Args:
        prog: name of the command in the help; `Parser.program` replaces it if set.
        description: one sentence.
        examples: pairs (arguments, description).
        common: dotted keys of options that the short help shows with the first
            sentence of their descriptions, and groups with their choices.
    """

    program: ClassVar[str | None] = None
    """Name under which the console script called the command: "longthought ask"."""

    def __init__(
        self,
        *,
        prog: str,
        description: str,
        examples: Sequence[tuple[str, str]] = (),
        common: Sequence[str] = (),
    ) -> None:
        super().__init__(prog=Parser.program or prog, description=description, allow_abbrev=False)
        self.examples, self.common = examples, common
        self.takes_overrides = False
        self.add_argument(
            "--help-all", action=_HelpAll, help="show this help with every option, and exit"
        )

    def format_help(self) -> str:
        """Returns the short help: at most two screens of 24 lines and 80 columns."""
        parts = [super().format_help()]
        if self.examples:
            shown = (
                line
                for words, what in self.examples
                for line in (
                    *_command(f"{self.prog} {words}"),
                    *([f"      {what}"] if what else []),
                )
            )
            parts.append("\n".join(["examples:", *shown]) + "\n")
        if self.common:
            parts.append("\n".join(["common options:", *summaries(self.common)]) + "\n")
        if self.takes_overrides:
            parts.append("--help-all describes every option.\n")
        return "\n".join(parts)

    def print_help(self, file: IO[str] | None = None) -> None:  # type: ignore[override]
        """Writes the short help.

        Raises:
            OSError: the help cannot be written; argparse alone would ignore the error.
        """
        _write(self.format_help(), file or sys.stdout)

    def error(self, message: str) -> NoReturn:
        """Prints usage and message, and exits with code 2."""
        _, is_flag, words = message.partition("unrecognized arguments: ")
        hints = [hint for word in words.split() for hint in self._hints(word)] if is_flag else []
        super().error("; ".join([message, *dict.fromkeys(hints)]))

    def _hints(self, word: str) -> Iterator[str]:
        """Yields suggestions for an unknown word that begins with a dash."""
        key = word.lstrip("-").partition("=")[0]
        if not word.startswith("-"):
            return
        if self.takes_overrides and _group_of(key) in (*groups(), *PRESETS):
            yield f"options are written without dashes: {key}=VALUE"
            return
        flags = [
            flag[2:]
            for action in self._actions
            for flag in action.option_strings
            if flag.startswith("--")
        ]
        yield from (f"did you mean --{flag}?" for flag in closest(key, flags, count=1))


class _HelpAll(argparse.Action):
    """The flag `--help-all`."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        text = parser.format_help()
        if isinstance(parser, Parser) and parser.takes_overrides:
            text += f"\n{describe(max(shutil.get_terminal_size().columns, 80))}\n"
        _write(text, sys.stdout)
        parser.exit()


def _command(words: str) -> list[str]:
    """Returns an example command as shell lines, the first indented by 2 columns."""
    lines = textwrap.wrap(
        words.strip(),
        76,
        initial_indent="  ",
        subsequent_indent="    ",
        break_on_hyphens=False,
        break_long_words=False,
    )
    return [*(f"{line} \\" for line in lines[:-1]), lines[-1]]


def _write(text: str, stream: IO[str]) -> None:
    stream.write(text)
    stream.flush()


def add_override_arguments(parser: Parser, *, multirun: bool = False) -> None:
    """Lets a parser accept overrides after its own positionals.

    With `multirun`, the parser has a flag -m: one run per combination of comma lists
    (see `configs.sweep`).
    """
    parser.add_argument(
        "overrides", nargs="*", default=[], metavar="key=value", help="options; see --help-all"
    )
    if multirun:
        parser.add_argument(
            "-m",
            "--multirun",
            action="store_true",
            help="one run per combination: search=greedy,best_of_n run.seed=0,1",
        )
    parser.takes_overrides = True


def parse(parser: argparse.ArgumentParser, argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Returns the parsed command line; flags may stand before, between and after the
    overrides.
    """
    return parser.parse_intermixed_args(argv)


def is_override(word: str) -> bool:
    """Returns whether a word has the form of an override: key=value."""
    return _OVERRIDE.fullmatch(word) is not None


def names_option(word: str) -> bool:
    """Returns whether a word is an override of an existing group: "engine=openai" is,
    "x=3" is not.
    """
    key = word.partition("=")[0]
    return (
        is_override(word)
        and not any(character.isspace() for character in word)
        and _group_of(key.lstrip("+~")) in (*groups(), *PRESETS)
    )


def _group_of(key: str) -> str:
    """Returns the group of a dotted key: "engine" of "engine@policy.engine"."""
    return key.partition(".")[0].partition("@")[0]


def split_overrides(arguments: argparse.Namespace) -> list[str]:
    """Returns the overrides of a parsed command line.

    Raises:
        ConfigError: a word is not an override, for example a question without quotes.
    """
    for word in arguments.overrides:
        if not is_override(word):
            quoted = (
                ("put a question of several words in quotes")
                if hasattr(arguments, "question")
                else "--help-all describes every option"
            )
            raise ConfigError(f"'{word}' is no override; write options as key=value; {quoted}")
    return list(arguments.overrides)
