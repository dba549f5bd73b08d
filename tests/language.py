"""Finds words in the prose and names of the code that readers of technical English do
not expect.

    python -m tests.language [FILE OR FOLDER ...]

Prose is docstrings, comments, the texts of messages, and the pages of `PAGES`.
tests/test_language.py runs this over the whole repository. `PROSE` and `NAMES` give the
replacements.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
FOLDERS = ("agents", "graphs", "training", "configs", "tests")
PAGES = ("README.md", "CONTRIBUTING.md", "docs/design.md", "docs/paper_index.md")

PROSE = {
    r"\bwho(?:m|ever)?\b": "name the object: the caller, the user, the process, the strategy",
    r"\b(?:no|some|any|every)body\b": "name the object, or use the passive: no caller, not judged",
    r"\b(?:what|which|all that) (?:\w+ ){1,5}came to\b": "result, total, answer",
    r"\b(?:is|are|was|were|be|been|being) told\b": "receives, is passed, is reported",
    r"\btold (?:of|that|how|what|by)\b": "receives, is passed, is reported",
    r"\b(?:says|tells)\b": "returns, reports, states, names, contains",
    r"\b(?:wants? to know|knows nothing of)\b": "reads, depends on",
    r"\bbelievers?\b": "belief model",
    r"\bgiv(?:es?|en|ing) up\b": "aborts, stops, backtracks",
    r"\bthe house\b": "the layout, the style",
    r"\bregret\b": "loss attribution",
    r"\bthe (?:critic )?dial\b": "noise sweep",
    r"\bbook(?:ed|ings?)\b": "attributed, counted",
}
"""Pattern in prose, ignoring case, to what is written instead."""

NAMES = {
    r"^(?:is_|was_)?told$|_told$|^Told": "format_..., visible, output",
    r"believer|Believer": "belief_model",
    r"^given_up$|^give_up|^gave_up$": "abort_ratio, abort_rate, aborts",
    r"^alive$|_alive$|^dead$|^home$": "p_correct, correct, p_answer; solvable for a state",
    r"doubt": "backtrack_tokens, uncertainty, aborts",
    r"[Ff]orgetful|child_manners": "SupportsCacheReset, install_parent_watchdog",
    r"^house$|[Ww]heel": "layout, pipeline",
    r"^happened$|^to_weigh$|^[Ww]eighed$": "record, needs_priors, PriorsComputed",
    r"^regret|^dial$|^book(?:ed|ing)?s?$|^Booking": "loss_attribution, noise_sweep, cause",
    r"^finals?$": "terminal, answer_leaves",
    r"^nobody|^somebody|_nobody|_somebody|^who$|^whom$": "name the object",
}
"""Pattern of an identifier to what it is called instead."""

EXEMPT = {
    "tests/language.py": "holds the words",
    "configs/renamed.py": "holds the names of earlier versions",
    "tests/configs/test_renamed.py": "holds the names of earlier versions",
    "agents/answers/extraction/answer_words.py": "words of models' answers",
    "tests/agents/answers": "texts of models and users",
    "tests/agents/safety": "texts of models and users",
    "tests/test_wheel.py": "a wheel is a package",
}
"""Path, or folder, that is not read, to the reason."""


class Finding(NamedTuple):
    """A word that should not be there."""

    path: str
    line: int
    text: str
    instead: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text!r}; instead: {self.instead}"


def findings_of(path: Path) -> Iterator[Finding]:
    """Yields the findings in one Python file or page."""
    name, source = path.relative_to(ROOT).as_posix(), path.read_text()
    is_page = path.suffix == ".md"
    for line, text in [(1, source)] if is_page else (*_comments(source), *_strings(source)):
        for pattern, instead in PROSE.items():
            for match in re.finditer(pattern, text, re.IGNORECASE):
                before = text.count("\n", 0, match.start())
                yield Finding(name, line + before, match[0], instead)
    for line, identifier in () if is_page else _identifiers(source):
        for pattern, instead in NAMES.items():
            if re.search(pattern, identifier):
                yield Finding(name, line, identifier, instead)


def files(places: Sequence[Path]) -> Iterator[Path]:
    """Yields the Python files in or below `places` that are not exempt."""
    for place in places:
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            name = path.relative_to(ROOT).as_posix()
            if not any(name == exempt or name.startswith(f"{exempt}/") for exempt in EXEMPT):
                yield path


def _comments(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def _strings(source: str) -> Iterator[tuple[int, str]]:
    """Yields docstrings and the texts of messages: raised, warned or printed."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            if isinstance(node.value.value, str):
                yield node.lineno, node.value.value
        elif isinstance(node, ast.Raise) or _is_message(node):
            for part in ast.walk(node):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.lineno, part.value


def _is_message(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func
    name = called.id if isinstance(called, ast.Name) else called
    return name in ("print", "warn", "warning", "info", "error", "add_argument", "Parser")


def _identifiers(source: str) -> Iterator[tuple[int, str]]:
    """Yields the names that a file defines: functions, arguments, variables, fields."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.lineno, node.name
            case ast.arg():
                yield node.lineno, node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.lineno, node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.lineno, node.attr
            case _:
                pass


def main(argv: Sequence[str]) -> int:
    places = [Path(word).resolve() for word in argv] or [ROOT / name for name in (*FOLDERS, *PAGES)]
    found = [finding for path in files(places) for finding in findings_of(path)]
    print("\n".join(map(str, found)) or "nothing found")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
