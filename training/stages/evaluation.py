"""Greedy accuracy of the policy alone on held-out questions, stored per question for
paired comparisons; and the stage that publishes and evaluates a policy.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from agents.engines import loop
from agents.roles.policy import Policy
from agents.types import Question
from graphs.evaluation.intervals import Proportion
from graphs.tasks import split_of_question
from training.data.rollouts import Check, roll_out
from training.loops.model_folder import base_folder
from training.loops.publish import Publication, publish, serving_dtype
from training.stages.base import Stage, StageResult, TrainingRun

_CHECKED_PROMPTS = 8  # prompts whose logprobs are compared after a publication


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Results of one policy on a list of questions."""

    question_hashes: tuple[str, ...]
    correct: tuple[bool, ...]
    """Whether each question was answered right; an answer that could not be checked
    counts as wrong and in `unchecked`."""
    groups: tuple[str, ...]
    """Family of each question, or its task."""
    unchecked: int
    answered: int
    """Questions with a marked answer, right or wrong."""
    generated_tokens: int
    seconds: float

    @property
    def accuracy(self) -> Proportion:
        """Share of right answers."""
        return Proportion(sum(self.correct), len(self.correct))

    def by_group(self) -> dict[str, Proportion]:
        """Returns the accuracy of each group."""
        pairs = list(zip(self.groups, self.correct, strict=True))
        names = sorted(set(self.groups))
        return {
            name: Proportion(
                sum(c for g, c in pairs if g == name), sum(g == name for g, _ in pairs)
            )
            for name in names
        }

    def as_json(self) -> dict[str, Any]:
        """Returns plain values; `from_json` is the inverse."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Evaluation:
        """Returns the evaluation that `as_json` wrote."""
        plain: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return cls(**plain)


async def evaluate(
    policy: Policy,
    check: Check,
    questions: Sequence[Question],
    *,
    max_tokens: int,
    concurrency: int = 64,
    on_done: Callable[[], None] | None = None,
) -> Evaluation:
    """Evaluates one greedy rollout per question.

    Raises:
        ValueError: a question has no gold answer, or belongs to the train split.
    """
    for question in questions:
        if question.gold is None:
            raise ValueError(
                f"question {question.hash} has no gold answer, so nothing can be measured on it; "
                "choose another task"
            )
        if split_of_question(question) == "train":
            raise ValueError(
                f"question {question.hash} belongs to the train split and measures nothing; set "
                "task.split=test"
            )
    start = time.monotonic()
    found = await roll_out(
        policy,
        check,
        questions,
        n=1,
        temperature=0.0,
        max_tokens=max_tokens,
        concurrency=concurrency,
        on_done=on_done,
    )
    rollouts = [group[0] for group in found]
    return Evaluation(
        question_hashes=tuple(question.hash for question in questions),
        correct=tuple(rollout.correct is True for rollout in rollouts),
        groups=tuple(str(question.metadata.get("family", question.task)) for question in questions),
        unchecked=sum(rollout.correct is None for rollout in rollouts),
        answered=sum(rollout.answer is not None for rollout in rollouts),
        generated_tokens=sum(len(rollout.completion.token_ids) for rollout in rollouts),
        seconds=time.monotonic() - start,
    )


@dataclass(frozen=True, slots=True)
class Evaluate(Stage):
    """Publishes the policy into the engine, unless the engine already serves it, and
    evaluates it.

    The result is `Evaluation.as_json` plus `publication`, which is null if nothing was
    published.
    """

    name: str
    title: str

    def run(self, run: TrainingRun, questions: Sequence[Question]) -> StageResult:
        resources, held_out = run.resources, run.held_out
        publication = self._publish(run)
        with run.progress(f"evaluation {self.title}", len(held_out)) as progress:
            work = evaluate(
                *(resources.policy, resources.is_correct, held_out),
                max_tokens=run.config.policy.max_answer_tokens,
                concurrency=run.config.run.concurrency,
                on_done=progress.advance,
            )
            found = loop.run(work)
        published = None if publication is None else dataclasses.asdict(publication)
        return found.as_json() | {"publication": published}

    @staticmethod
    def _publish(run: TrainingRun) -> Publication | None:
        resources, folder = run.resources, run.base
        if folder == run.served:
            return None
        prompts = [
            resources.policy.prompts.policy(question)
            for question in run.held_out[:_CHECKED_PROMPTS]
        ]
        options = run.config.engine_of("policy").keywords()
        dtype = serving_dtype(options, base_folder(resources.engine.info.model))
        publication = publish(resources.engine, folder, prompts, dtype=dtype)
        run.served = folder
        return publication

    def describe(self, result: StageResult) -> list[str]:
        published = result["publication"]
        if published is None:
            return []
        return [
            f"published {self.title.removeprefix('after ')}: version {published['version']} in "
            f"{published['seconds']:.2f} s, largest logprob difference to transformers "
            f"{published['max_difference']:.1e} nats over {published['tokens']} tokens"
        ]


def evaluation_of(result: StageResult) -> Evaluation:
    """Returns the evaluation in a result of `Evaluate`."""
    return Evaluation.from_json(
        {name: value for name, value in result.items() if name != "publication"}
    )
