"""What the policy alone writes: whole thoughts from the serving engine, each with its
exact outcome reward.

No graph, no critic: one generation from the prompt to the end of the sequence, or to a
token that asks another role, behind which a search does not go on either. That token
stays in the completion with its log-probability: the policy sampled it, so GRPO learns
from it. GRPO takes groups of rollouts, evaluation one greedy rollout per question; both
read the answer in the same way, so that what is rewarded is what is measured.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from agents.engines.base import Completion, GenerateRequest
from agents.roles.policy import Policy
from agents.types import Question

Check = Callable[[Question, str | None], Awaitable[bool | None]]
"""Says whether an answer is right; None where it cannot be known.
`graphs.reasoner.resources.Resources.is_correct` is one."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One thought of the policy alone."""

    prompt: tuple[int, ...]
    """Token ids before it."""
    completion: Completion
    answer: str | None
    """The answer that the completion marks, as in search; None without one."""
    correct: bool | None
    """What the exact checker says; None where it does not know."""


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
    """Returns `n` rollouts of each question, in order; a thought that reaches the
    context length ends there.

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
