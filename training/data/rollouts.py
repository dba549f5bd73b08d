"""Rollouts: whole thoughts of the policy alone from the serving engine, with the exact
outcome reward.

A rollout uses neither graph nor critic: it is one completion from the prompt to the end
of sequence, or to a token that calls another role, where a search stops a completion,
too. That token stays in the completion with its log-probability: the policy sampled it,
so GRPO learns from it. GRPO uses groups of rollouts, the evaluation one greedy rollout
per question; both extract the answer in the same way, so the reward matches the
evaluation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from agents.engines.base import Completion, GenerateRequest
from agents.roles.policy import Policy
from agents.types import Question

Check = Callable[[Question, str | None], Awaitable[bool | None]]
"""Returns whether an answer is right; None if unknown. Example:
`graphs.reasoner.resources.Resources.is_correct`."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One thought of the policy alone."""

    prompt: tuple[int, ...]
    """Token ids of the prompt."""
    completion: Completion
    answer: str | None
    """The answer marked in the completion, extracted as in search; None without one."""
    correct: bool | None
    """Result of the exact checker; None if unknown."""


async def roll_out(
    policy: Policy,
    check: Check,
    questions: Sequence[Question],
    *,
    n: int,
    temperature: float,
    max_tokens: int,
    seed: int | None = None,
    concurrency: int = 64,
    on_done: Callable[[], None] | None = None,
) -> list[list[Rollout]]:
    """Returns `n` rollouts of each question, in order; a thought is truncated at the
    context length.

    Raises:
        ContextLengthError: a prompt alone fills the context.
        EngineError: the engine failed.
    """
    room = asyncio.Semaphore(concurrency)
    engine = policy.engine

    async def ask(number: int, question: Question) -> list[Rollout]:
        prompt = policy.prompts.policy(question)
        request = GenerateRequest(
            prompt=prompt,
            n=n,
            max_tokens=max(1, min(max_tokens, engine.info.context_length - len(prompt))),
            temperature=temperature,
            stop_token_ids=policy.prompts.role_tokens,
            seed=None if seed is None or temperature == 0 else seed * 1_000_003 + number,
        )
        async with room:
            generation = await engine.generate(request)
        answers = [policy.read_answer(question, found) for found in generation.completions]
        right = await asyncio.gather(*(check(question, answer) for answer in answers))
        if on_done is not None:
            on_done()
        return [
            Rollout(prompt, *found)
            for found in zip(generation.completions, answers, right, strict=True)
        ]

    return await asyncio.gather(
        *(ask(number, question) for number, question in enumerate(questions))
    )
