"""The policy reasoner: writes the next steps of a thought.

It continues its own token ids, under a thought factor or freely, one step at a time or through to the answer. It knows nothing of trees:
a path of steps goes in, chains of steps come out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from agents.answers import extract_answer
from agents.engines.base import Completion, GenerateRequest, Generation, Generator
from agents.metered import Refusal, generate_within
from agents.nouns import Author, Content, Hidden, Meter, Question, Sampling, Step, ThoughtFactor
from agents.prompts import Mistake, Prompts
from agents.segmentation import cut_steps

ROLE = "policy"


@dataclass(frozen=True, slots=True)
class Proposal:
    """What came of a request: chains of steps, or the reason why there are none."""

    chains: tuple[tuple[Step, ...], ...]
    failure: Refusal | Literal["unparsed"] | None = None


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """How the policy samples; the meaning of each is that of the config group `policy`."""

    factors: tuple[ThoughtFactor, ...]
    doubts: tuple[str, ...]
    temperature: float
    top_p: float
    max_step_tokens: int
    max_answer_tokens: int
    logprobs: bool = True
    """Whether steps hold log-probabilities; otherwise they are NaN."""


@dataclass(frozen=True, slots=True)
class _Start:
    """What stands before a completion and belongs to its first step."""

    opening: tuple[int, ...]
    """Forced by the thought factor."""
    blank: tuple[int, ...] = ()
    """An empty line that the policy wrote itself, and its logprobs."""
    blank_logprobs: tuple[float, ...] = ()


class Policy:
    """Writes steps with one engine.

    Raises:
        ValueError: one of `settings.doubts` is not a single token of the engine's model.
    """

    def __init__(self, engine: Generator, prompts: Prompts, settings: PolicySettings) -> None:
        self.engine = engine
        self.prompts = prompts
        self.settings = settings
        self._openings = {factor.name: factor.opening for factor in settings.factors}
        self._doubts = tuple(_single_token(engine, doubt) for doubt in settings.doubts)
        self._marks = [(factor.name, tuple(engine.tokenizer.encode(factor.opening))) for factor in settings.factors if factor.opening]

    async def propose(
        self,
        question: Question,
        path: Sequence[Step],
        *,
        meter: Meter,
        n: int = 1,
        horizon: Literal["step", "answer"] = "step",
        through_doubt: bool = True,
        factor: str | None = None,
        temperature: float | None = None,
        adapter: str | None = None,
        mistakes: Sequence[Mistake] = (),
        rules: tuple[tuple[str, str], ...] = (),
        seed: int | None = None,
    ) -> Proposal:
        """Returns up to `n` continuations of `path`; fewer, or shorter ones, when budget or context allow no more.

        Without `through_doubt` a chain ends where the policy begins to take a step back, with an empty step that has no answer.

        Raises:
            ValueError: `factor` is not one of policy.factors, or `adapter` none of the engine's.
            EngineDiedError: see `Generator`.
        """
        if factor is not None and factor not in self._openings:
            raise ValueError(f"thought factor {factor!r} is not in policy.factors ({', '.join(self._openings) or 'empty'})")
        settings = self.settings
        prompt, opening = self.prompts.context(
            question, path, rules=rules, mistakes=mistakes, opening=self._openings[factor] if factor is not None else ""
        )
        sampling = Sampling(
            temperature=settings.temperature if temperature is None else temperature,
            top_p=settings.top_p,
            max_tokens=settings.max_step_tokens if horizon == "step" else settings.max_answer_tokens,
            seed=seed,
        )
        request = GenerateRequest(
            prompt=prompt,
            n=n,
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            stop=(self.prompts.family.separator,) if horizon == "step" else (),
            stop_token_ids=() if through_doubt else self._doubts,
            seed=seed,
            adapter=adapter,
            logprobs=settings.logprobs,
        )
        generation = await generate_within(self.engine, request, meter=meter, role=ROLE)
        start = _Start(opening)
        if not isinstance(generation, str) and horizon == "step" and (blank := self._blank_line(generation)):
            start = _Start(opening, blank.token_ids, blank.logprobs)
            request = replace(request, prompt=(*prompt, *blank.token_ids))
            generation = await generate_within(self.engine, request, meter=meter, role=ROLE)
        if isinstance(generation, str):
            return Proposal((), generation)
        author = Author(ROLE, self.engine.info.model, generation.version, adapter)
        chains = tuple(
            chain for completion in generation.completions if (chain := self._chain(completion, start, factor, author, sampling))
        )
        return Proposal(chains, None if chains else "unparsed")

    def _chain(self, completion: Completion, start: _Start, factor: str | None, author: Author, sampling: Sampling) -> tuple[Step, ...]:
        """Cuts a completion into steps; empty when the model ended without a word."""
        token_ids = (*start.opening, *start.blank, *completion.token_ids)
        logprobs = (*[math.nan] * len(start.opening), *start.blank_logprobs, *completion.logprobs)
        in_doubt = completion.stop_reason in self._doubts
        spoken = len(token_ids)
        if in_doubt:
            spoken = spoken - 1 if len(completion.token_ids) > 1 else 0
        cuts = cut_steps(token_ids[:spoken], self.engine.tokenizer, separator=self.prompts.family.separator)
        if in_doubt:
            cuts.append(slice(spoken, len(token_ids)))
        chain: list[Step] = []
        for index, cut in enumerate(cuts):
            forced = len(start.opening) if index == 0 else 0
            ids = token_ids[cut]
            text = (completion.text if ids == completion.token_ids else self.engine.tokenizer.decode(ids)).strip()
            last = index == len(cuts) - 1
            answer = extract_answer(text)
            at_end = completion.finish_reason == "stop" and completion.stop_reason is None  # of the sequence
            ended = last and (in_doubt or at_end)
            if not text and not (ended and (chain or in_doubt)):
                return tuple(chain)
            chain.append(
                Step(
                    content=Hidden(Content(text=text, token_ids=ids, logprobs=logprobs[cut], forced=forced)),
                    finish_reason=completion.finish_reason if last else "stop",
                    author=author,
                    sampling=sampling,
                    factor=factor if index == 0 and factor is not None else self._factor_of(ids),
                    answer=answer if answer is not None else "" if ended else None,
                )
            )
            if answer is not None:
                break
        return tuple(chain)

    def _blank_line(self, generation: Generation) -> Completion | None:
        """Returns the first completion where all are an empty line: some models begin so, and the engine takes it for a step's end."""
        if all(isinstance(one.stop_reason, str) and not one.text.strip() for one in generation.completions):
            return generation.completions[0]
        return None

    def _factor_of(self, token_ids: tuple[int, ...]) -> str | None:
        """Returns the factor that the model chose itself, seen by the opening that it wrote."""
        return next((name for name, mark in self._marks if token_ids[: len(mark)] == mark), None)


def _single_token(engine: Generator, text: str) -> int:
    ids = engine.tokenizer.encode(text)
    if len(ids) != 1:
        raise ValueError(f"policy.doubts: {text!r} is {len(ids)} tokens of {engine.info.model}; name single tokens of the model, or none")
    return ids[0]
