"""What the generated tasks share: filling a split with different questions, from
several sources in equal parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from agents.types import BadDataError, Question, Split
from graphs.tasks.base import TaskData
from graphs.tasks.leakage import split_of_text

# a split is 5 % of the questions: 2000 draws without a new one mean that there is none
# (chance e^-100)
_DRAWS_WITHOUT_NEWS = 2000


def fill_split(
    sources: Sequence[tuple[str, Iterator[Question]]],
    *,
    split: Split,
    size: int,
    offset: int,
    limit: int | None,
    split_of: Callable[[str], Split] = split_of_text,
) -> TaskData:
    """Returns `size` different questions of `split`, taken from the named sources in
    turn; then `offset` and `limit` apply.

    `split_of` tells the split of a text. Only as many questions are drawn as are
    returned, and a smaller `size` gives the beginning of a larger one.

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
        for _ in range(_DRAWS_WITHOUT_NEWS):
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
