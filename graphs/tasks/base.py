"""The protocol of a task, and what all tasks share.

A new task is one file of about 40 lines: a frozen dataclass whose fields are its
options (the names of the config group `task`), a `name`, and `load`. This is a whole
task, which reads one "QUESTION = ANSWER" per line of a text file:

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
has split, limit and offset) and added to `TaskConfig`. A task without `split` can be
asked, but not trained on. A class outside of the package needs none of this: see
graphs/tasks/custom.py.
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

_PROBED = 4096  # a NUL in the first bytes marks a binary file


@dataclass(frozen=True, slots=True)
class LineProblem:
    """A line of a file without a question, and the reason."""

    line: int
    """Counted from 1."""
    reason: str

    def __str__(self) -> str:
        return f"line {self.line} {self.reason}"


@dataclass(frozen=True, slots=True)
class TaskData:
    """The questions of a task, in order and without repetitions, and the lines without
    one.
    """

    questions: list[Question]
    problems: list[LineProblem]
    notes: list[str] = field(default_factory=list)
    """Warnings about the data as a whole."""

    def cut(self, offset: int, limit: int | None) -> TaskData:
        """Skips `offset` questions and returns at most `limit` of the others.

        Raises:
            BadDataError: no question is left.
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

    Laws: the same options load the same questions in the same order; texts differ;
    every question names this task; its metadata hold its split, if the task has splits.
    """

    name: ClassVar[str]

    def load(self) -> TaskData:
        """Returns the questions, at least one.

        Raises:
            BadDataError: a file or data set is missing, or holds no readable question.
            ValueError: an option has an invalid value.
        """
        ...


def check_slice(offset: int, limit: int | None) -> None:
    """Raises ValueError if the offset is negative or the limit below 1."""
    if offset < 0:
        raise ValueError(f"task.offset ({offset}) must be at least 0")
    if limit is not None and limit < 1:
        raise ValueError(
            f"task.limit ({limit}) must be at least 1; leave it out to take all questions"
        )


def check_split(split: str) -> None:
    """Raises ValueError for an unknown split."""
    if split not in SPLITS:
        raise ValueError(f"task.split ({split!r}) must be one of {', '.join(SPLITS)}")


def read_lines(path: str | Path, read: Callable[[int, str], Question | None]) -> TaskData:
    """Calls `read(line number, text)` for each line that is not blank and returns the
    questions.

    `read` returns None for a line of another split. A line becomes a `LineProblem` if
    it is not UTF-8, if `read` raises ValueError, or if it repeats a question.

    Raises:
        BadDataError: the file is missing, unreadable, or without a question.
    """
    return collect(without_blank(read_bytes(path)), lambda n, raw: read(n, raw.decode()), path)


def read_bytes(path: str | Path) -> bytes:
    """Returns the content of a text file, without the byte-order mark of UTF-8.

    Raises:
        BadDataError: the file is missing, unreadable, binary, or UTF-16 or UTF-32.
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
    """Yields each line that is not blank, with its number from 1. All line ends of
    `bytes.splitlines` count.
    """
    return ((number, line) for number, line in enumerate(content.splitlines(), 1) if line.strip())


def collect(
    lines: Iterable[tuple[int, _Raw]],
    read: Callable[[int, _Raw], Question | None],
    source: str | Path,
    *,
    expected: str = "one question per line",
) -> TaskData:
    """Returns the questions of numbered lines; see `read_lines`. `expected` describes
    the format in the error about an empty file.
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
        except ValidationError as error:  # only the question's text can be invalid
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
