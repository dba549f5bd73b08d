"""Problems of reasoning-gym (github.com/open-thought/reasoning-gym), checked by
agents/answers/checkers/gym_checker.py.

The package draws problem i of a data set with seed s from Random(s + i), so
neighbouring seeds share almost all problems. Here each (seed, data set) is hashed to a
seed, so seeds 0 and 1 share none. The test split holds one problem in twenty, and
Countdown at its default size needs 20 ms for each: set a limit, or smaller parameters.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from agents.types import BadDataError, Question, Split
from graphs.tasks.base import TaskData, check_slice, check_split
from graphs.tasks.generated import fill_split
from graphs.tasks.leakage import FROM_TEST_QUESTIONS

# problems of one data set object; some objects build all of them when they are created
_CHUNK = 500


@dataclass(frozen=True)
class ReasoningGymTask:
    """Problems of `datasets`, in equal parts."""

    datasets: tuple[str, ...] = ("countdown",)
    split: Split = "test"
    size: int = 500
    seed: int = 0
    parameters: Mapping[str, Mapping[str, Any]] | None = None
    """Generator settings by data set: {"countdown": {"max_value": 25, "max_target":
    99}}; None: the package's defaults."""
    limit: int | None = None
    offset: int = 0
    name: ClassVar[str] = "reasoning_gym"

    def __post_init__(self) -> None:
        check_slice(self.offset, self.limit)
        check_split(self.split)
        if not self.datasets:
            raise ValueError(
                "task.datasets is empty; name at least one reasoning-gym data set, for example "
                "countdown"
            )
        if self.split != "test":
            for dataset in self.datasets:
                if dataset in FROM_TEST_QUESTIONS:
                    raise ValueError(
                        f"task.split ({self.split}): reasoning-gym's {dataset} is made from "
                        f"published test questions ({FROM_TEST_QUESTIONS[dataset]}) and is for "
                        "measuring only; set task.split=test, or leave it out of task.datasets in "
                        "a training"
                    )
        if unused := set(self.parameters or {}) - set(self.datasets):
            raise ValueError(
                f"task.parameters names {', '.join(sorted(unused))}, which task.datasets does not; "
                "add it there"
            )

    def load(self) -> TaskData:
        """Returns the generated questions."""
        sources = [
            (f"reasoning-gym's {dataset}", self._problems(dataset)) for dataset in self.datasets
        ]
        for dataset in self.datasets:
            check_dataset(dataset, self._parameters(dataset))
        return fill_split(
            sources, split=self.split, size=self.size, offset=self.offset, limit=self.limit
        )

    def _parameters(self, dataset: str) -> Mapping[str, Any]:
        return (self.parameters or {}).get(dataset, {})

    def _problems(self, dataset: str) -> Iterator[Question]:
        """Yields problems of one data set without end."""
        import reasoning_gym

        chunk = 0
        while True:
            seed = int.from_bytes(
                hashlib.sha256(f"{self.seed}/{dataset}/{chunk}".encode()).digest()[:4], "big"
            )
            problems = reasoning_gym.create_dataset(
                dataset, size=_CHUNK, seed=seed, **self._parameters(dataset)
            )
            for index, entry in enumerate(problems):
                metadata = {
                    "dataset": dataset,
                    "seed": seed,
                    "index": index,
                    "split": self.split,
                    "entry": to_json(entry["metadata"]),
                }
                yield Question(
                    text=entry["question"], gold=entry["answer"], task=self.name, metadata=metadata
                )
            chunk += 1


def check_dataset(dataset: str, parameters: Mapping[str, Any]) -> None:
    """Generates one problem and checks the package's own answer.

    Raises:
        BadDataError: the data set is unknown, cannot be generated, or its own answer is
            missing or not accepted.
    """
    import reasoning_gym
    from reasoning_gym.factory import DATASETS

    from agents.answers.checkers.gym_checker import score_entry

    if dataset not in DATASETS:
        raise BadDataError(
            f"task.datasets: reasoning-gym has no {dataset!r}; it has {', '.join(sorted(DATASETS))}"
        )
    try:
        entry = reasoning_gym.create_dataset(dataset, size=1, seed=0, **parameters)[0]
        answer = entry["answer"]
        score = (
            score_entry(dataset, answer, {**entry, "metadata": to_json(entry["metadata"])})
            if isinstance(answer, str)
            else None
        )
    # the package raises assertions, TypeErrors and more ("composite" needs more than a
    # name)
    except Exception as error:
        raise BadDataError(
            f"task.datasets: {dataset!r} cannot be generated ({type(error).__name__}: {error}); "
            "leave it out or change task.parameters"
        ) from error
    if score != 1.0:
        raise BadDataError(
            f"task.datasets: the problems of {dataset!r} have no single answer that can be "
            "checked exactly; leave it out"
        )


def to_json(value: Any) -> Any:
    """Returns a generator's metadata as JSON values, since traces store them. Tuples
    become lists, NumPy scalars Python's.
    """
    if isinstance(value, dict):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((to_json(item) for item in value), key=repr)
    if hasattr(value, "tolist"):
        return to_json(value.tolist())
    return value if value is None or type(value) in (bool, int, float, str) else str(value)
