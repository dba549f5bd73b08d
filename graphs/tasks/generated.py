"""Fills a split with distinct questions from several generators, in equal parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from agents.types import BadDataError, Question, Split
from graphs.tasks.base import TaskData
from graphs.tasks.leakage import split_of_text

# a split is 5 % of the questions: a generator that still has new ones fails this many
# draws with probability e^-100
_MOST_DRAWS = 2000


def fill_split(
    sources: Sequence[tuple[str, Iterator[Question]]],
    *,
    split: Split,
    size: int,
    offset: int,
    limit: int | None,
    split_of: Callable[[str], Split] = split_of_text,
) -> TaskData:
    """Draws `size` distinct questions of `split` from the named sources in turn, then
    applies `offset` and `limit`.

    `split_of` returns the split of a text. Questions behind the limit are not drawn. A
    smaller `size` returns a prefix of a larger one.

    Raises:
        BadDataError: a source runs out of new questions of that split.
        ValueError: size is below 1.
    """
    if size < 1:
        raise ValueError(f"task.size ({size}) must be at least 1")
    wanted = size if limit is None else min(size, offset + limit)
    questions: list[Question] = []
    seen: set[str] = set()
    while len(questions) < wanted:
        name, source = sources[len(questions) % len(sources)]
        for _ in range(_MOST_DRAWS):
            question = next(source)
            if question.hash not in seen and split_of(question.text) == split:
                break
        else:
            raise BadDataError(
                f"{name} has no more than {len(questions)} different questions of split {split} "
                f"in this mix; lower task.size ({size})"
            )
        seen.add(question.hash)
        questions.append(question)
    return TaskData(questions, []).cut(offset, limit)
