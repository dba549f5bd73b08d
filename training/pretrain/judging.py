"""Runs the model in training as policy and critic: samples thoughts, and judges their
steps with both forms of verdict.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch

from agents.families import Problem, read_answer
from training.pretrain.documents import DocumentBuilder, DocumentOptions
from training.pretrain.mixture import read_thought
from training.pretrain.model import PocketModel
from training.pretrain.sampling import next_logprobs, sample
from training.pretrain.tokenizer import Codec

CriticForm = Literal["token", "working"]
CRITIC_FORMS: tuple[CriticForm, ...] = ("token", "working")
_ROLE_TOKEN = {"token": "critic", "working": "verify"}
_MAX_THOUGHT_TOKENS = 200
_MAX_WORKING_TOKENS = 40
_MIN_PROBABILITY = 1e-4  # as in agents/critics/calibration.py


@dataclass(frozen=True)
class Thought:
    """One sampled thought: its steps up to the first reflection, their
    log-probabilities, and its final answer.
    """

    steps: tuple[str, ...]
    logprobs: tuple[float, ...]
    """In nats, one per step, including factor and separator."""
    answer: str | None
    reflected: bool
    num_tokens: int


class Node(NamedTuple):
    """A node: the index of its question and the path of step texts that ends with its
    step.
    """

    question: int
    path: tuple[str, ...]


class StepScore(NamedTuple):
    """The critic's score of a step."""

    probability: float
    """Probability that the step is right, given the steps before it."""
    sureness: float = 1.0
    """Probability of the working before the verdict; 1 without working."""


class Judge:
    """Samples thoughts and verdicts in batches."""

    def __init__(self, model: PocketModel, seed: int) -> None:
        self.model, self.codec = model, Codec()
        self.builder = DocumentBuilder(self.codec, DocumentOptions())
        self._generator = torch.Generator().manual_seed(seed)

    def think(
        self, problems: Sequence[Problem], num_samples: int, temperature: float
    ) -> list[list[Thought]]:
        """Returns `num_samples` native thoughts for each problem; temperature 0 is
        greedy.
        """
        prompts = [self.builder.prompt(problem) for problem in problems]
        drawn = sample(
            self.model,
            prompts,
            num_samples=num_samples,
            stop=(self.codec.eos,),
            max_tokens=_MAX_THOUGHT_TOKENS,
            temperature=temperature,
            generator=self._generator,
        )
        return [[self._read(one.ids, one.logprobs) for one in samples] for samples in drawn]

    def _read(self, ids: list[int], logprobs: list[float]) -> Thought:
        steps = read_thought(self.codec, ids)
        per_step, start = [], 0
        for _ in steps:
            end = (
                next(
                    i
                    for i in range(start, len(ids))
                    if ids[i] in (self.codec.separator, self.codec.eos)
                )
                + 1
            )
            per_step.append(sum(logprobs[start:end]))
            start = end
        conclude, answer = self.codec.special("conclude"), None
        if conclude in ids and ids[-1] == self.codec.eos:
            text = ids[len(ids) - ids[::-1].index(conclude) : -1]
            answer = read_answer(
                self.codec.decode([token for token in text if token > self.codec.special("wrong")])
            )
        return Thought(
            tuple(steps), tuple(per_step), answer, self.codec.special("reflect") in ids, len(ids)
        )

    def verdicts(
        self, problems: Sequence[Problem], nodes: Iterable[Node], form: CriticForm
    ) -> dict[Node, StepScore]:
        """Scores each node's last step as the served critic does; the calibration of
        `GenerativeCritic` is fitted to these scores.

        `token`: the probability of `right` as the next token, normalised over the two
        verdicts. `working`: the probability of the generated verdict, at least 0.5; a
        completion without a verdict scores 0.5, i.e. no evidence.
        """
        ordered = list(nodes)
        role, right, wrong = (
            self.codec.special(_ROLE_TOKEN[form]),
            self.codec.special("right"),
            self.codec.special("wrong"),
        )
        prompts = []
        for node in ordered:
            ids = [token for step in node.path for token in self.builder.step_ids(step)]
            prompts.append(
                [
                    *self.builder.prompt(problems[node.question]),
                    *(ids[:-1] if ids[-1] == self.codec.eos else ids),
                    role,
                ]
            )
        if form == "token":
            scores = next_logprobs(self.model, prompts, (right, wrong))
            return {
                node: StepScore(1 / (1 + math.exp(min(log_wrong - log_right, 700.0))))
                for node, (log_right, log_wrong) in zip(ordered, scores, strict=True)
            }
        drawn = sample(
            self.model,
            prompts,
            num_samples=1,
            stop=(right, wrong),
            max_tokens=_MAX_WORKING_TOKENS,
            temperature=0.0,
        )
        judged: dict[Node, StepScore] = {}
        for node, (one,) in zip(ordered, drawn, strict=True):
            confidence = max(math.exp(one.logprobs[-1]), 0.5)
            probability = (
                confidence
                if one.ids[-1] == right
                else 1 - confidence
                if one.ids[-1] == wrong
                else 0.5
            )
            judged[node] = StepScore(probability, math.exp(sum(one.logprobs[:-1])))
        return judged


def nodes_of(thoughts: Sequence[Sequence[Thought]]) -> dict[Node, float]:
    """Returns every distinct step of the thoughts with its log-probability."""
    found: dict[Node, float] = {}
    for question, samples in enumerate(thoughts):
        for thought in samples:
            for depth, logprob in enumerate(thought.logprobs):
                found[Node(question, thought.steps[: depth + 1])] = logprob
    return found


def truths_of(problems: Sequence[Problem], nodes: Iterable[Node]) -> dict[Node, bool]:
    """Returns the exact verdict on each node's last step: whether it is right."""
    return {
        node: problems[node.question].verdict(problems[node.question].check_steps(node.path)[-1])
        for node in nodes
    }


def logit(probability: float) -> float:
    """Returns log(p / (1 - p)) with p clipped to [1e-4, 1 - 1e-4]."""
    clipped = min(1 - _MIN_PROBABILITY, max(_MIN_PROBABILITY, probability))
    return math.log(clipped / (1 - clipped))
