"""Where questions come from: the protocol, and what every source shares.

A new source is one file of about 40 lines: a frozen dataclass whose fields are its
options (the names of the config group `task`), a `name`, and `load`. This is all of a
task that reads questions from a text file, one "QUESTION = ANSWER" per line:

    @dataclass(frozen=True)
    class SumsTask:
        path: str
        split: Split = "test"
        limit: int | None = None
        offset: int = 0
        name: ClassVar[str] = "sums"

        def load(self) -> TaskData:
            return read_lines(self.path, self._question).cut(self.offset, self.limit)

        def _question(self, line: int, text: str) -> Question | None:
            question, equals, answer = text.rpartition(" = ")
            if not equals:
                raise ValueError("has no ' = '")  # a LineProblem; the others are kept
            if split_of_text(question) != self.split:
                return None
            found = {"line": line, "split": self.split}
            return Question(text=question, gold=answer, task=self.name, metadata=found)

Then it gets a line in two tables: `graphs.tasks.registry.TASKS` (its name) and
`agents.answers.registry.TASK_ANSWERS` (what its answers are and how they are checked);
and its options in configs/schema/task.py, as a class derived from `_Dataset` (which
brings split, limit and offset) and added to `TaskConfig`. A task without `split` can be
asked and never trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar

from pydantic import ValidationError

from agents.types import BadDataError, Question, Split

SPLITS: tuple[Split, ...] = ("train", "validation", "test")

_Raw = TypeVar("_Raw")
"""A line or row as a file holds it."""

_PROBED = 4096  # bytes in which a NUL means that a file is no text


@dataclass(frozen=True, slots=True)
class LineProblem:
    """A line of a file that is no question, and why."""

    line: int
    """Counted from 1."""
    reason: str

    def __str__(self) -> str:
        return f"line {self.line} {self.reason}"


@dataclass(frozen=True, slots=True)
class TaskData:
    """The questions of a task, in order and without repetitions, and the lines that
    were left out.
    """

    questions: list[Question]
    problems: list[LineProblem]
    notes: list[str] = field(default_factory=list)
    """What a user should know of the data as a whole."""

    def cut(self, offset: int, limit: int | None) -> TaskData:
        """Returns the data without the first `offset` questions, and at most `limit` of
        the others.

        Raises:
            BadDataError: nothing is left.
        """
        check_slice(offset, limit)
        questions = self.questions[offset : None if limit is None else offset + limit]
        if not questions:
            raise BadDataError(
                f"task.offset ({offset}) leaves none of the {len(self.questions)} questions; lower "
                "it"
            )
        return TaskData(questions, self.problems, self.notes)


class Task(Protocol):
    """A source of questions.

    Laws: the same options load the same questions in the same order; no text comes
    twice; every question names this task, and the split in its metadata (where there is
    one) is the one it may be used for.
    """

    name: ClassVar[str]

    def load(self) -> TaskData:
        """Returns the questions, at least one.

        Raises:
            BadDataError: a file or data set is missing, or nothing readable is left of
                it.
            ValueError: an option makes no sense.
        """
        ...


def check_slice(offset: int, limit: int | None) -> None:
    """Raises ValueError when a slice makes no sense."""
    if offset < 0:
        raise ValueError(f"task.offset ({offset}) must be at least 0")
    if limit is not None and limit < 1:
        raise ValueError(
            f"task.limit ({limit}) must be at least 1; leave it out to take all questions"
        )


def check_split(split: str) -> None:
    """Raises ValueError when there is no such split."""
    if split not in SPLITS:
        raise ValueError(f"task.split ({split!r}) must be one of {', '.join(SPLITS)}")


def read_lines(path: str | Path, read: Callable[[int, str], Question | None]) -> TaskData:
    """Returns the questions that `read(line number, text)` makes of a file's lines;
    blank lines are skipped.

    A line that is not UTF-8, for which `read` raises ValueError, or whose question
    stood on an earlier line becomes a `LineProblem`, and the others are kept. `read`
    returns None for a line that is fine and not wanted.

    Raises:
        BadDataError: the file is missing or unreadable, or holds no question at all.
    """
    return collect(without_blank(read_bytes(path)), lambda n, raw: read(n, raw.decode()), path)


def read_bytes(path: str | Path) -> bytes:
    """Returns the content of a text file, without the byte-order mark of UTF-8.

    Raises:
        BadDataError: the file is missing, unreadable, in another encoding than UTF-8,
            or no text.
    """
    try:
        content = Path(path).expanduser().read_bytes()
    except FileNotFoundError:
        raise BadDataError(
            f"task.path ({path}) does not exist; give the path of a file of questions"
        ) from None
    except OSError as error:
        raise BadDataError(
            f"task.path ({path}) cannot be read: {error.strerror or error}"
        ) from error
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadDataError(
            f"task.path ({path}) is UTF-16 or UTF-32 text, and UTF-8 is expected; convert it: "
            f"iconv -f UTF-16 -t UTF-8 {path} > NEW_FILE"
        )
    if b"\0" in content[:_PROBED]:
        raise BadDataError(
            f"task.path ({path}) holds NUL bytes, so it is a binary file or UTF-16 text; give "
            "UTF-8 "
            "text: JSON Lines (task=jsonl), CSV (task=csv) or one question per line (task=text)"
        )
    return content.removeprefix(b"\xef\xbb\xbf")


def without_blank(content: bytes) -> Iterable[tuple[int, bytes]]:
    """Yields the lines that are not blank with their numbers, from 1; any line end is
    one.
    """
    return ((number, line) for number, line in enumerate(content.splitlines(), 1) if line.strip())


def collect(
    lines: Iterable[tuple[int, _Raw]],
    read: Callable[[int, _Raw], Question | None],
    source: str | Path,
    *,
    expected: str = "one question per line",
) -> TaskData:
    """Returns the questions of numbered lines; see `read_lines`. `expected`: what a
    file holds, for the error about an empty one.
    """
    questions: list[Question] = []
    problems: list[LineProblem] = []
    first_line: dict[str, int] = {}
    unwanted = 0
    for number, raw in lines:
        try:
            question = read(number, raw)
            if question is None:
                unwanted += 1
                continue
            if not question.text.strip():
                raise ValueError("has an empty question")
            if (earlier := first_line.setdefault(question.hash, number)) != number:
                raise ValueError(f"repeats the question of line {earlier}")
        except UnicodeDecodeError:
            problems.append(LineProblem(number, "is not UTF-8 text"))
        except UnicodeEncodeError:
            problems.append(LineProblem(number, "holds a lone surrogate, which is no text"))
        except ValidationError as error:  # of the question; its text alone can be at fault
            problems.append(
                LineProblem(number, "; ".join(found["msg"] for found in error.errors()))
            )
        except ValueError as error:
            problems.append(LineProblem(number, str(error)))
        else:
            questions.append(question)
    if questions:
        return TaskData(questions, problems)
    if unwanted:
        raise BadDataError(
            f"{source} has no question of the wanted task.split ({unwanted} of others); choose "
            "another"
        )
    if not problems:
        raise BadDataError(f"{source} is empty of questions; {expected} is expected")
    shown = "; ".join(str(problem) for problem in problems[:3])
    more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
    raise BadDataError(f"{source} holds no readable question: {shown}{more}")
