"""The policy: generates the next steps of a thought.

It continues its own token ids, with or without a thought factor, by one step or through
to the answer. It does not depend on trees: it takes a path of steps and returns chains
of steps. `drafts` sends the requests, `chains` reads the samples.

A step that is cut at max_step_tokens is a step like any other: it is judged as it
stands, and a sample below it continues its sentence. So a verdict, a branch or a
backtrack is possible every max_step_tokens tokens, however long a paragraph is, and a
cut costs nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from agents.answers import ends_in_think_block, marked_answer, think_tags, whole_reply
from agents.engines.base import Completion, GenerateRequest, Generator
from agents.engines.metered import Refusal
from agents.prompts import Mistake, Prompts
from agents.roles.chains import (
    ChainReader,
    ChainSpec,
    cut_steps_at_end,
    path_ends_in_think_block,
)
from agents.roles.drafts import ROLE, Plan, Writer
from agents.roles.segmentation import StepBoundary, step_rule
from agents.roles.thought_format import find_format
from agents.safety.think_delimiters import THINK
from agents.types import (
    Author,
    Meter,
    Question,
    Sampling,
    Step,
    ThinkSettings,
    ThoughtFactor,
)

__all__ = ["ROLE", "Policy", "PolicySettings", "Proposal"]


@dataclass(frozen=True, slots=True)
class Proposal:
    """Result of `Policy.propose`: chains of steps, or the reason why there are none."""

    chains: tuple[tuple[Step, ...], ...]
    failure: Refusal | Literal["unparsed"] | None = None


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """How the policy samples; see the config group `policy` for each field."""

    factors: tuple[ThoughtFactor, ...]
    backtrack_tokens: tuple[str, ...]
    max_step_tokens: int
    max_answer_tokens: int
    sampling: Sampling = field(default_factory=Sampling)
    """Sampling parameters; its max_tokens and seed are not used."""
    logprobs: bool = True
    """Whether steps contain log-probabilities; otherwise they are NaN."""
    step_boundary: StepBoundary = "blank_line"
    min_step_characters: int = 100
    max_step_characters: int = 600
    think: ThinkSettings = ThinkSettings()  # noqa: RUF009


_ANY_QUESTION = Question(text="?")
"""The chat template opens a thought for every question or for none."""


class Policy:
    """Generates steps with one engine.

    Raises:
        ValueError: one of `settings.backtrack_tokens` is not a single token of the
            engine's model.
    """

    def __init__(self, engine: Generator, prompts: Prompts, settings: PolicySettings) -> None:
        self.engine = engine
        self.prompts = prompts
        self.settings = settings
        self._openings = {factor.name: factor.opening for factor in settings.factors}
        self._backtrack_ids = tuple(
            _single_token(engine, text) for text in settings.backtrack_tokens
        )
        self._marks = [
            (factor.name, tuple(engine.tokenizer.encode(factor.opening)))
            for factor in settings.factors
            if factor.opening
        ]

    async def propose(
        self,
        question: Question,
        path: Sequence[Step],
        *,
        meter: Meter,
        n: int = 1,
        horizon: Literal["step", "answer"] = "step",
        allow_backtracking: bool = True,
        factor: str | None = None,
        temperature: float | None = None,
        adapter: str | None = None,
        mistakes: Sequence[Mistake] = (),
        rules: tuple[tuple[str, str], ...] = (),
        seed: int | None = None,
        as_reply: bool = False,
    ) -> Proposal:
        """Returns up to `n` continuations of `path`; fewer or shorter ones if budget or
        context allow no more.

        Without `allow_backtracking`, a chain ends at the first backtrack token, with an
        empty step that has no answer. An open answer (see `Prompts.takes_open_answer`)
        is the last text that the model wrote; with `as_reply`, if no answer is marked,
        it is all of the completion that the user may see, in one step.

        Raises:
            ValueError: `factor` is not in policy.factors, or the engine does not serve
                `adapter`.
            EngineDiedError: see `Generator`.
        """
        if factor is not None and factor not in self._openings:
            raise ValueError(
                f"thought factor {factor!r} is not in policy.factors "
                f"({', '.join(self._openings) or 'empty'})"
            )
        settings = self.settings
        opened = self.prompts.opens_think_block(question, rules)
        state = self._state(path, opened, meter.budget.thinking_tokens)
        opening_text = state.opening
        if state.continues_step:
            factor = path[-1].factor
        elif factor is not None and not state.closes_thought:
            opening_text += self._openings[factor]
        prompt, opening = self.prompts.context(
            question, path, rules=rules, mistakes=mistakes, opening=opening_text
        )
        max_tokens = settings.max_answer_tokens
        if horizon == "step":
            max_tokens = min(settings.max_step_tokens, state.thought_tokens or sys.maxsize)
        sampling = replace(
            settings.sampling,
            temperature=settings.sampling.temperature if temperature is None else temperature,
            max_tokens=max_tokens,
            seed=seed,
        )
        request = GenerateRequest(
            prompt=prompt,
            n=n,
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            min_p=sampling.min_p,
            repetition_penalty=sampling.repetition_penalty,
            stop_token_ids=(
                *(() if allow_backtracking else self._backtrack_ids),
                *self.prompts.role_tokens,
            ),
            seed=seed,
            adapter=adapter,
            logprobs=settings.logprobs,
        )
        is_open = self.prompts.takes_open_answer(question)
        plan = Plan(
            opening,
            carried=state.carried,
            is_thinking=state.is_thinking,
            thought_tokens=state.thought_tokens,
            max_answer_tokens=settings.max_answer_tokens,
        )
        write = self._writer.write_steps if horizon == "step" else self._writer.write_answers
        drafts, version, refusal = await write(request, plan, meter=meter)
        spec = ChainSpec(
            plan,
            path,
            horizon,
            factor=factor,
            takes_open_answer=is_open,
            is_reply=is_open and as_reply,
            opens_think_block=opened,
            author=Author(ROLE, self.engine.info.model, version, adapter),
            sampling=sampling,
        )
        chains = tuple(chain for draft in drafts if (chain := self._reader.chain(draft, spec)))
        return Proposal(chains, None if chains else refusal or "unparsed")

    def read_answer(self, question: Question, completion: Completion) -> str | None:
        """Returns the marked answer of a whole completion of `question`, parsed as in a
        search; None if there is none.
        """
        text = self._reader.decode(completion.token_ids)
        opened = [THINK.start] if self.prompts.opens_think_block(question) else []
        found = marked_answer([*opened, text], is_cut=completion.finish_reason == "length")
        return None if found is None else found.value

    def read_reply(
        self, question: Question, path: Sequence[Step], *, rules: tuple[tuple[str, str], ...] = ()
    ) -> str | None:
        """Returns the part of a cut-off reply that the user may see; None if it is
        empty.
        """
        ids = [token for step in path for token in step.content.reveal().token_ids]
        opened = self.prompts.opens_think_block(question, rules)
        return whole_reply((THINK.start if opened else "") + self._reader.decode(ids))

    @cached_property
    def _writer(self) -> Writer:
        settings = self.settings
        rule = step_rule(
            settings.step_boundary,
            separator=self.prompts.family.separator,
            max_tokens=settings.max_step_tokens,
            min_characters=settings.min_step_characters,
            max_characters=settings.max_step_characters,
        )
        prompt = self.prompts.policy(_ANY_QUESTION)
        return Writer(self.engine, rule, find_format(self.engine.tokenizer, settings.think, prompt))

    @cached_property
    def _reader(self) -> ChainReader:
        return ChainReader(
            self.prompts,
            self._writer,
            backtrack_ids=self._backtrack_ids,
            factor_of=self._factor_of,
        )

    def _state(self, path: Sequence[Step], opened: bool, thinking_tokens: int | None) -> _State:
        """Returns what the path determines about the next sample."""
        thought_format, decode = self._writer.format, self._reader.decode
        is_thinking = path_ends_in_think_block(path, opened, decode)
        count = cut_steps_at_end(path)
        carried = tuple(
            token for step in path[len(path) - count :] for token in step.content.reveal().token_ids
        )
        state = _State(continues_step=count > 0, carried=carried, is_thinking=is_thinking)
        if thought_format is None:
            return state
        if thinking_tokens is not None and (is_thinking or not path):
            left = max(0, thinking_tokens - _thought_tokens(path, opened))
            if is_thinking and left == 0:
                return _State(thought_format.closing, closes_thought=True, is_thinking=True)
            state = replace(state, thought_tokens=left)
        if self.settings.think.forced and not (path or opened):
            state = replace(state, opening=thought_format.delimiters.opening)
        return state

    def _factor_of(self, token_ids: tuple[int, ...]) -> str | None:
        """Returns the factor whose opening the model generated itself; None if there is
        none.
        """
        return next((name for name, mark in self._marks if token_ids[: len(mark)] == mark), None)


@dataclass(frozen=True, slots=True)
class _State:
    """What a path determines about the samples below it."""

    opening: str = ""
    """Text that the controller inserts: the end of a thought that has used its tokens
    up, or the start of a forced one."""
    closes_thought: bool = False
    """Whether `opening` is the end of a thought."""
    continues_step: bool = False
    """Whether the sample continues a cut step. It then has the factor of that step,
    whose sentence another opening would split."""
    carried: tuple[int, ...] = ()
    """Token ids of the cut steps that the sample continues."""
    is_thinking: bool = False
    """Whether a thought is open before `opening`."""
    thought_tokens: int | None = None
    """Tokens that the thought may still have; None: no cap, or no thought."""


def _thought_tokens(path: Sequence[Step], opened: bool) -> int:
    """Returns the number of sampled tokens of the path's thoughts. A step belongs to a
    thought if one is open before it or it has one of the delimiters.
    """
    tokens = 0
    for step in path:
        content = step.content.reveal()
        is_thought = opened or any(True for _ in think_tags(content.text))
        tokens += (len(content.token_ids) - content.forced) if is_thought else 0
        opened = ends_in_think_block(content.text, opened=opened)
    return tokens


def _single_token(engine: Generator, text: str) -> int:
    ids = engine.tokenizer.encode(text)
    if len(ids) != 1:
        raise ValueError(
            f"policy.backtrack_tokens: {text!r} is {len(ids)} tokens of {engine.info.model}; name "
            "single tokens of the model, or none"
        )
    return ids[0]
