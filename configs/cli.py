"""Command lines: flags stay flags (argparse), and the remaining `key=value` words are
overrides for `compose`.

parser = Parser(prog="graphs.ask")
parser.add_argument("question")    # before the overrides: always the first one
add_override_arguments(parser)
arguments = parse(parser, argv)
config = compose(split_overrides(arguments))
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from typing import IO, NoReturn

from configs.describe import describe
from configs.errors import ConfigError
from configs.messages import closest
from configs.options import groups
from configs.store import PRESETS

_OVERRIDE = re.compile(r"~[A-Za-z_][\w.@/]*(=.*)?|\+{0,2}[A-Za-z_][\w./]*(@[\w.]+)?=.*", re.DOTALL)
_OPTIONS = "every option"  # stands for the long text until help is asked for


class Parser(argparse.ArgumentParser):
    """A command line that says what a wrong flag was meant to be."""

    def print_help(self, file: IO[str] | None = None) -> None:  # type: ignore[override]
        """Writes the help.

        Raises:
            OSError: it cannot be written; argparse drops it then without a word.
        """
        stream = file or sys.stdout
        stream.write(self.format_help())
        stream.flush()

    def error(self, message: str) -> NoReturn:
        """Prints usage and message, and exits with 2."""
        _, is_flag, words = message.partition("unrecognized arguments: ")
        hints = [hint for word in words.split() for hint in self._hints(word)] if is_flag else []
        super().error("; ".join([message, *dict.fromkeys(hints)]))

    def _hints(self, word: str) -> Iterator[str]:
        """Yields what a word that begins with a dash may have been meant to be."""
        key = word.lstrip("-").partition("=")[0]
        if not word.startswith("-"):
            return
        if self.epilog == _OPTIONS and key.partition(".")[0].partition("@")[0] in (
            *groups(),
            *PRESETS,
        ):
            yield f"options are written without dashes: {key}=VALUE"
            return
        flags = [
            flag[2:]
            for action in self._actions
            for flag in action.option_strings
            if flag.startswith("--")
        ]
        yield from (f"did you mean --{flag}?" for flag in closest(key, flags, count=1))


class _OptionsFormatter(argparse.HelpFormatter):
    """Writes the options of the schema where the epilog stands."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return (
            describe(max(width, 80))
            if text == _OPTIONS
            else super()._fill_text(text, width, indent)
        )


def add_override_arguments(parser: argparse.ArgumentParser, *, multirun: bool = False) -> None:
    """Lets a parser take overrides after its own positionals, and its `--help` list
    every option.

    With `multirun`, the flag -m asks for one run per combination of comma lists (see
    `configs.sweep`).
    """
    parser.add_argument(
        "overrides", nargs="*", default=[], metavar="key=value", help="options, listed below"
    )
    if multirun:
        parser.add_argument(
            "-m",
            "--multirun",
            action="store_true",
            help="one run per combination: search=greedy,best_of_n run.seed=0,1",
        )
    parser.formatter_class = _OptionsFormatter
    parser.epilog = _OPTIONS


def parse(parser: argparse.ArgumentParser, argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Returns the parsed command line; flags may stand before, between and after the
    overrides.
    """
    return parser.parse_intermixed_args(argv)


def is_override(word: str) -> bool:
    """Returns whether a word has the form of an override: a key, and a value after
    "=".
    """
    return _OVERRIDE.fullmatch(word) is not None


def split_overrides(arguments: argparse.Namespace) -> list[str]:
    """Returns the overrides of a parsed command line.

    Raises:
        ConfigError: a word is no override, as when a question was not put in quotes.
    """
    for word in arguments.overrides:
        if not is_override(word):
            quoted = (
                ("put a question of several words in quotes")
                if hasattr(arguments, "question")
                else "--help lists every option"
            )
            raise ConfigError(f"'{word}' is no override; write options as key=value; {quoted}")
    return list(arguments.overrides)
