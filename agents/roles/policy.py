"""The policy: generates the next steps of a thought.

It continues its own token ids, with or without a thought factor, by one step or through
to the answer. It does not depend on trees: it takes a path of steps and returns chains
of steps.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from agents.answers import (
    ends_in_think_block,
    final_answer,
    marked_answer,
    whole_reply,
    without_think_blocks,
)
from agents.engines.base import Completion, GenerateRequest, Generator
from agents.engines.metered import Refusal, generate_within
from agents.prompts import Mistake, Prompts
from agents.roles.segmentation import cut_steps, is_unfinished
from agents.types import Author, Content, Hidden, Meter, Question, Sampling, Step, ThoughtFactor

ROLE = "policy"
_THINK = "<think>"


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


@dataclass(frozen=True, slots=True)
class _ChainSpec:
    """Parameters of a request that determine, with a completion, its chain of steps."""

    question: Question
    path: Sequence[Step]
    horizon: Literal["step", "answer"]
    opening: tuple[int, ...]
    """Token ids forced by the thought factor; part of the first step."""
    factor: str | None
    takes_open_answer: bool
    """See `Prompts.takes_open_answer`."""
    is_reply: bool
    """Whether the whole completion is the answer, as for a reply to an open
    question."""
    opens_think_block: bool
    """Whether the chat template opens a think block, so that the path begins inside
    it."""
    thinks: bool
    """Whether a think block is open at the end of the path."""
    author: Author
    sampling: Sampling


class _Piece(NamedTuple):
    """A step of a completion."""

    cut: slice
    """Its range in the token ids of opening and completion."""
    text: str


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
        prompt, opening = self.prompts.context(
            question,
            path,
            rules=rules,
            mistakes=mistakes,
            opening=self._openings[factor] if factor is not None else "",
        )
        sampling = replace(
            settings.sampling,
            temperature=settings.sampling.temperature if temperature is None else temperature,
            max_tokens=settings.max_step_tokens
            if horizon == "step"
            else settings.max_answer_tokens,
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
            stop=(self.prompts.family.separator,) if horizon == "step" else (),
            stop_token_ids=(
                *(() if allow_backtracking else self._backtrack_ids),
                *self.prompts.role_tokens,
            ),
            seed=seed,
            adapter=adapter,
            logprobs=settings.logprobs,
        )
        generation = await generate_within(self.engine, request, meter=meter, role=ROLE)
        if isinstance(generation, str):
            return Proposal((), generation)
        completions, refusal = list(generation.completions), None
        if horizon == "step":
            refusal = await self._continue_steps(completions, request, meter)
        spec = _ChainSpec(
            question=question,
            path=path,
            horizon=horizon,
            opening=opening,
            factor=factor,
            takes_open_answer=(is_open := self.prompts.takes_open_answer(question)),
            is_reply=is_open and as_reply,
            opens_think_block=(opened := self.prompts.opens_think_block(question, rules)),
            thinks=_path_ends_in_think_block(path, opened),
            author=Author(ROLE, self.engine.info.model, generation.version, adapter),
            sampling=sampling,
        )
        chains = tuple(
            chain for completion in completions if (chain := self._chain(completion, spec))
        )
        return Proposal(chains, None if chains else refusal or "unparsed")

    def read_answer(self, question: Question, completion: Completion) -> str | None:
        """Returns the marked answer of a whole completion of `question`, parsed as in a
        search; None if there is none.
        """
        text = self.engine.tokenizer.decode(completion.token_ids)
        opened = [_THINK] if self.prompts.opens_think_block(question) else []
        found = marked_answer([*opened, text], is_cut=completion.finish_reason == "length")
        return None if found is None else found.value

    def read_reply(
        self, question: Question, path: Sequence[Step], *, rules: tuple[tuple[str, str], ...] = ()
    ) -> str | None:
        """Returns the part of a cut-off reply that the user may see; None if it is
        empty.
        """
        text = self.engine.tokenizer.decode(
            [token for step in path for token in step.content.reveal().token_ids]
        )
        return whole_reply(
            (_THINK if self.prompts.opens_think_block(question, rules) else "") + text
        )

    async def _continue_steps(
        self, completions: list[Completion], request: GenerateRequest, meter: Meter
    ) -> Refusal | None:
        """Continues, in place, steps that the engine stopped at a blank line inside
        them.

        Returns the reason if a request was refused. Each further block may have as many
        tokens as a step. Identical completions share one request.
        """
        most_tokens = max(self.settings.max_answer_tokens, request.max_tokens)
        refusal: Refusal | None = None
        last = dict(enumerate(completions))
        while True:
            waiting: dict[tuple[int, ...], list[int]] = {}
            for number in last:
                if self._is_unfinished(completions[number], most_tokens):
                    waiting.setdefault(completions[number].token_ids, []).append(number)
            if not waiting:
                return refusal
            requests = [
                replace(request, prompt=(*request.prompt, *ids), n=len(group))
                for ids, group in waiting.items()
            ]
            answers = await asyncio.gather(
                *(generate_within(self.engine, one, meter=meter, role=ROLE) for one in requests)
            )
            previous, last = last, {}
            for group, answer in zip(waiting.values(), answers, strict=True):
                if isinstance(answer, str):
                    refusal = answer
                    continue
                # strict=False: a small budget grants fewer
                for number, more in zip(group, answer.completions, strict=False):
                    completions[number] = _joined(completions[number], more)
                    # stop after two blank blocks in a row
                    if more.text.strip() or previous[number].text.strip():
                        last[number] = more

    def _is_unfinished(self, completion: Completion, most_tokens: int) -> bool:
        is_stopped = (
            isinstance(completion.stop_reason, str) and len(completion.token_ids) < most_tokens
        )
        return is_stopped and is_unfinished(
            completion.text, separator=self.prompts.family.separator
        )

    def _chain(self, completion: Completion, spec: _ChainSpec) -> tuple[Step, ...]:
        """Cuts a completion into steps, up to the one with the answer; returns none if
        the model ended without text.

        A role token that ended the completion is dropped.
        """
        if completion.stop_reason in self.prompts.role_tokens:
            ids, logs = completion.token_ids[:-1], completion.logprobs[:-1]
            completion = Completion(completion.text, ids, logs, completion.finish_reason)
        opening = spec.opening
        token_ids = (*opening, *completion.token_ids)
        logprobs = (*[math.nan] * len(opening), *completion.logprobs)
        backtracks = completion.stop_reason in self._backtrack_ids
        pieces = self._cut(completion, spec, token_ids, backtracks=backtracks)
        is_whole = bool(pieces) and pieces[-1].cut.stop == len(token_ids)
        # at the end-of-sequence token
        at_end = is_whole and completion.finish_reason == "stop" and completion.stop_reason is None
        answer = "" if is_whole and (backtracks or at_end) else None
        if at_end and spec.takes_open_answer:
            answer = self._open_answer(token_ids, spec)
        elif spec.horizon == "answer" or not spec.takes_open_answer:
            is_cut = is_whole and completion.finish_reason == "length"
            pieces, marked = self._up_to_answer(
                pieces, spec, token_ids, is_cut=is_cut, backtracks=backtracks
            )
            answer = answer if marked is None else marked
        if spec.is_reply and (answer is None or self.prompts.family.separator in answer):
            pieces = self._merge_reply(pieces, spec, token_ids)
        return tuple(
            Step(
                content=Hidden(
                    Content(
                        text=text,
                        token_ids=token_ids[cut],
                        logprobs=logprobs[cut],
                        forced=len(opening) if number == 0 else 0,
                    )
                ),
                finish_reason=completion.finish_reason if cut.stop == len(token_ids) else "stop",
                author=spec.author,
                sampling=spec.sampling,
                factor=spec.factor
                if number == 0 and spec.factor is not None
                else self._factor_of(token_ids[cut]),
                answer=answer if number == len(pieces) - 1 else None,
            )
            for number, (cut, text) in enumerate(pieces)
        )

    def _cut(
        self,
        completion: Completion,
        spec: _ChainSpec,
        token_ids: tuple[int, ...],
        *,
        backtracks: bool,
    ) -> list[_Piece]:
        """Cuts a completion into steps, up to the first one without text; only the last
        step of a thought may be empty.
        """
        tokenizer = self.engine.tokenizer
        end = len(token_ids)
        if backtracks:
            end = end - 1 if len(completion.token_ids) > 1 else 0
        cuts = cut_steps(token_ids[:end], tokenizer, separator=self.prompts.family.separator)
        if backtracks:
            cuts.append(slice(end, len(token_ids)))
        pieces: list[_Piece] = []
        for cut in cuts:
            is_all = token_ids[cut] == completion.token_ids
            text = (completion.text if is_all else tokenizer.decode(token_ids[cut])).strip()
            if not text:
                is_end = (
                    cut.stop == len(token_ids)
                    and completion.finish_reason == "stop"
                    and not isinstance(completion.stop_reason, str)
                )
                ends_something = (
                    len(pieces) > 0 or backtracks or (spec.takes_open_answer and len(spec.path) > 0)
                )
                if not (is_end and ends_something):
                    break
            pieces.append(_Piece(cut, text))
        return pieces

    def _up_to_answer(
        self,
        pieces: list[_Piece],
        spec: _ChainSpec,
        token_ids: tuple[int, ...],
        *,
        is_cut: bool,
        backtracks: bool,
    ) -> tuple[list[_Piece], str | None]:
        """Returns the steps up to the one with the marked answer, and the answer.

        If an answer is marked several times, everything from the first to the last mark
        becomes one step: a step with a marked answer ends the thought, so no step may
        follow it.
        """
        found = marked_answer(
            [_THINK if spec.thinks else "", *(piece.text for piece in pieces)], is_cut=is_cut
        )
        last = len(pieces) - 1 - backtracks
        if found is not None:
            last = found.piece - 1
            pieces = pieces[: last + 1]
        thinks = spec.thinks
        for first, piece in enumerate(pieces[:last]):
            if marked_answer([_THINK if thinks else "", piece.text]) is not None:
                cut = slice(piece.cut.start, pieces[last].cut.stop)
                text = self.engine.tokenizer.decode(token_ids[cut]).strip()
                pieces = [*pieces[:first], _Piece(cut, text), *pieces[last + 1 :]]
                break
            thinks = ends_in_think_block(piece.text, opened=thinks)
        return pieces, None if found is None else found.value

    def _open_answer(self, token_ids: Sequence[int], spec: _ChainSpec) -> str:
        """Returns the open answer of a finished thought; "" if there is none. Decodes
        the whole thought, so that code keeps its whitespace.
        """
        before = [token for step in spec.path for token in step.content.reveal().token_ids]
        text = self.engine.tokenizer.decode([*before, *token_ids])
        text = (_THINK if spec.opens_think_block else "") + text
        return (whole_reply(text) if spec.is_reply else final_answer(text, marked=False)) or ""

    def _merge_reply(
        self, pieces: list[_Piece], spec: _ChainSpec, token_ids: tuple[int, ...]
    ) -> list[_Piece]:
        """Merges all steps after the last think block into one: the user sees their
        text unchanged, so none of it is thought.
        """
        first, thinks = 0, spec.thinks
        for number, piece in enumerate(pieces, start=1):
            if not without_think_blocks((_THINK if thinks else "") + piece.text).strip():
                first = number
            thinks = ends_in_think_block(piece.text, opened=thinks)
        if first >= len(pieces):
            return pieces
        cut = slice(pieces[first].cut.start, pieces[-1].cut.stop)
        return [*pieces[:first], _Piece(cut, self.engine.tokenizer.decode(token_ids[cut]).strip())]

    def _factor_of(self, token_ids: tuple[int, ...]) -> str | None:
        """Returns the factor whose opening the model generated itself; None if there is
        none.
        """
        return next((name for name, mark in self._marks if token_ids[: len(mark)] == mark), None)


def _path_ends_in_think_block(path: Sequence[Step], opened: bool) -> bool:
    """Returns whether a think block is open at the end of the path; `opened`: whether
    one is open at its start.
    """
    for step in path:
        opened = ends_in_think_block(step.content.reveal().text, opened=opened)
    return opened


def _joined(first: Completion, more: Completion) -> Completion:
    return Completion(
        first.text + more.text,
        first.token_ids + more.token_ids,
        first.logprobs + more.logprobs,
        more.finish_reason,
        more.stop_reason,
    )


def _single_token(engine: Generator, text: str) -> int:
    ids = engine.tokenizer.encode(text)
    if len(ids) != 1:
        raise ValueError(
            f"policy.backtrack_tokens: {text!r} is {len(ids)} tokens of {engine.info.model}; name "
            "single tokens of the model, or none"
        )
    return ids[0]
