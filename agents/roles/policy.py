"""The policy reasoner: writes the next steps of a thought.

It continues its own token ids, under a thought factor or freely, one step at a time or
through to the answer. It knows nothing of trees: a path of steps goes in, chains of
steps come out.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from agents.roles.segmentation import cut_steps, goes_on
from agents.types import Author, Content, Hidden, Meter, Question, Sampling, Step, ThoughtFactor

ROLE = "policy"
_THINK = "<think>"


@dataclass(frozen=True, slots=True)
class Proposal:
    """What came of a request: chains of steps, or the reason why there are none."""

    chains: tuple[tuple[Step, ...], ...]
    failure: Refusal | Literal["unparsed"] | None = None


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """How the policy samples; the meaning of each is that of the config group
    `policy`.
    """

    factors: tuple[ThoughtFactor, ...]
    backtrack_tokens: tuple[str, ...]
    temperature: float
    top_p: float
    max_step_tokens: int
    max_answer_tokens: int
    logprobs: bool = True
    """Whether steps hold log-probabilities; otherwise they are NaN."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was asked for: all that a chain of steps depends on besides the
    completion.
    """

    question: Question
    path: Sequence[Step]
    horizon: Literal["step", "answer"]
    opening: tuple[int, ...]
    """Forced by the thought factor; belongs to the first step."""
    factor: str | None
    takes_open_answer: bool
    """See `Prompts.takes_open_answer`."""
    is_reply: bool
    """Whether the completion is the reply to an open question: its answer is the whole
    of it."""
    opens_think_block: bool
    """Whether the chat template opened a think block, and so the path begins in one."""
    thinks: bool
    """Whether a think block is open behind the path."""
    author: Author
    sampling: Sampling


class _Piece(NamedTuple):
    """A step of a completion."""

    cut: slice
    """Its token ids, among those of the opening and the completion."""
    text: str


class Policy:
    """Writes steps with one engine.

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
            _single_token(engine, doubt) for doubt in settings.backtrack_tokens
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
        """Returns up to `n` continuations of `path`; fewer, or shorter ones, when
        budget or context allow no more.

        Without `allow_backtracking` a chain ends where the policy begins to take a step
        back, with an empty step that has no answer. With `as_reply` an open answer (see
        `Prompts.takes_open_answer`) is all that the user may see of a completion, in
        one step, unless it is marked; else it is what the model wrote last.

        Raises:
            ValueError: `factor` is not one of policy.factors, or `adapter` none of the
                engine's.
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
        sampling = Sampling(
            temperature=settings.temperature if temperature is None else temperature,
            top_p=settings.top_p,
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
            refusal = await self._write_on(completions, request, meter)
        asked = _Asked(
            question=question,
            path=path,
            horizon=horizon,
            opening=opening,
            factor=factor,
            takes_open_answer=(is_open := self.prompts.takes_open_answer(question)),
            is_reply=is_open and as_reply,
            opens_think_block=(opened := self.prompts.opens_think_block(question, rules)),
            thinks=_thinks_behind(path, opened),
            author=Author(ROLE, self.engine.info.model, generation.version, adapter),
            sampling=sampling,
        )
        chains = tuple(
            chain for completion in completions if (chain := self._chain(completion, asked))
        )
        return Proposal(chains, None if chains else refusal or "unparsed")

    def read_answer(self, question: Question, completion: Completion) -> str | None:
        """Returns the answer that a whole completion of `question` marks, as a search
        reads it.
        """
        text = self.engine.tokenizer.decode(completion.token_ids)
        opened = [_THINK] if self.prompts.opens_think_block(question) else []
        found = marked_answer([*opened, text], is_cut=completion.finish_reason == "length")
        return None if found is None else found.value

    def read_reply(
        self, question: Question, path: Sequence[Step], *, rules: tuple[tuple[str, str], ...] = ()
    ) -> str | None:
        """Returns what the user may see of a reply that was cut off, None where that is
        nothing.
        """
        text = self.engine.tokenizer.decode(
            [token for step in path for token in step.content.reveal().token_ids]
        )
        return whole_reply(
            (_THINK if self.prompts.opens_think_block(question, rules) else "") + text
        )

    async def _write_on(
        self, completions: list[Completion], request: GenerateRequest, meter: Meter
    ) -> Refusal | None:
        """Continues, in place, steps that the engine stopped at a blank line inside
        them.

        Returns why it could not.

        Each further block may have as many tokens as a step. Completions that say the
        same go on in one request.
        """
        most_tokens = max(self.settings.max_answer_tokens, request.max_tokens)
        refusal: Refusal | None = None
        last = dict(enumerate(completions))
        while True:
            waiting: dict[tuple[int, ...], list[int]] = {}
            for number in last:
                if self._goes_on(completions[number], most_tokens):
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
                # a short budget grants fewer
                for number, more in zip(group, answer.completions, strict=False):
                    completions[number] = _joined(completions[number], more)
                    # two empty lines in a row lead nowhere
                    if more.text.strip() or previous[number].text.strip():
                        last[number] = more

    def _goes_on(self, completion: Completion, most_tokens: int) -> bool:
        is_stopped = (
            isinstance(completion.stop_reason, str) and len(completion.token_ids) < most_tokens
        )
        return is_stopped and goes_on(completion.text, separator=self.prompts.family.separator)

    def _chain(self, completion: Completion, asked: _Asked) -> tuple[Step, ...]:
        """Cuts a completion into steps, up to the one with the answer; empty when the
        model ended without a word.

        A role token ends the sequence and is dropped.
        """
        if completion.stop_reason in self.prompts.role_tokens:
            ids, logs = completion.token_ids[:-1], completion.logprobs[:-1]
            completion = Completion(completion.text, ids, logs, completion.finish_reason)
        opening = asked.opening
        token_ids = (*opening, *completion.token_ids)
        logprobs = (*[math.nan] * len(opening), *completion.logprobs)
        in_doubt = completion.stop_reason in self._backtrack_ids
        pieces = self._cut(completion, asked, token_ids, in_doubt=in_doubt)
        is_whole = bool(pieces) and pieces[-1].cut.stop == len(token_ids)
        # of the sequence
        at_end = is_whole and completion.finish_reason == "stop" and completion.stop_reason is None
        answer = "" if is_whole and (in_doubt or at_end) else None
        if at_end and asked.takes_open_answer:
            answer = self._open_answer(token_ids, asked)
        elif asked.horizon == "answer" or not asked.takes_open_answer:
            is_cut = is_whole and completion.finish_reason == "length"
            pieces, marked = self._up_to_answer(
                pieces, asked, token_ids, is_cut=is_cut, in_doubt=in_doubt
            )
            answer = answer if marked is None else marked
        if asked.is_reply and (answer is None or self.prompts.family.separator in answer):
            pieces = self._as_one(pieces, asked, token_ids)
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
                author=asked.author,
                sampling=asked.sampling,
                factor=asked.factor
                if number == 0 and asked.factor is not None
                else self._factor_of(token_ids[cut]),
                answer=answer if number == len(pieces) - 1 else None,
            )
            for number, (cut, text) in enumerate(pieces)
        )

    def _cut(
        self, completion: Completion, asked: _Asked, token_ids: tuple[int, ...], *, in_doubt: bool
    ) -> list[_Piece]:
        """Cuts a completion into steps, as far as they have words; only the end of a
        thought may be a step without.
        """
        tokenizer = self.engine.tokenizer
        spoken = len(token_ids)
        if in_doubt:
            spoken = spoken - 1 if len(completion.token_ids) > 1 else 0
        cuts = cut_steps(token_ids[:spoken], tokenizer, separator=self.prompts.family.separator)
        if in_doubt:
            cuts.append(slice(spoken, len(token_ids)))
        pieces: list[_Piece] = []
        for cut in cuts:
            is_said = token_ids[cut] == completion.token_ids
            text = (completion.text if is_said else tokenizer.decode(token_ids[cut])).strip()
            if not text:
                is_end = (
                    cut.stop == len(token_ids)
                    and completion.finish_reason == "stop"
                    and not isinstance(completion.stop_reason, str)
                )
                ends_something = (
                    len(pieces) > 0 or in_doubt or (asked.takes_open_answer and len(asked.path) > 0)
                )
                if not (is_end and ends_something):
                    break
            pieces.append(_Piece(cut, text))
        return pieces

    def _up_to_answer(
        self,
        pieces: list[_Piece],
        asked: _Asked,
        token_ids: tuple[int, ...],
        *,
        is_cut: bool,
        in_doubt: bool,
    ) -> tuple[list[_Piece], str | None]:
        """Returns the steps up to the one with the marked answer, and the answer.

        Where an answer is marked again or replaced, all that was written since the
        first mark is one step: a step that marks an answer ends the thought, so none is
        followed by another.
        """
        found = marked_answer(
            [_THINK if asked.thinks else "", *(piece.text for piece in pieces)], is_cut=is_cut
        )
        last = len(pieces) - 1 - in_doubt
        if found is not None:
            last = found.piece - 1
            pieces = pieces[: last + 1]
        thinks = asked.thinks
        for first, piece in enumerate(pieces[:last]):
            if marked_answer([_THINK if thinks else "", piece.text]) is not None:
                cut = slice(piece.cut.start, pieces[last].cut.stop)
                text = self.engine.tokenizer.decode(token_ids[cut]).strip()
                pieces = [*pieces[:first], _Piece(cut, text), *pieces[last + 1 :]]
                break
            thinks = ends_in_think_block(piece.text, opened=thinks)
        return pieces, None if found is None else found.value

    def _open_answer(self, token_ids: Sequence[int], asked: _Asked) -> str:
        """Returns the answer of a thought that the model ended; "" for none. Decodes
        all of it, so that code keeps its blanks.
        """
        before = [token for step in asked.path for token in step.content.reveal().token_ids]
        text = self.engine.tokenizer.decode([*before, *token_ids])
        text = (_THINK if asked.opens_think_block else "") + text
        return (whole_reply(text) if asked.is_reply else final_answer(text, marked=False)) or ""

    def _as_one(
        self, pieces: list[_Piece], asked: _Asked, token_ids: tuple[int, ...]
    ) -> list[_Piece]:
        """Returns the steps with all that follows the last think block as one: a user
        reads it as it stands, so none of it is thought.
        """
        first, thinks = 0, asked.thinks
        for number, piece in enumerate(pieces, start=1):
            if not without_think_blocks((_THINK if thinks else "") + piece.text).strip():
                first = number
            thinks = ends_in_think_block(piece.text, opened=thinks)
        if first >= len(pieces):
            return pieces
        cut = slice(pieces[first].cut.start, pieces[-1].cut.stop)
        return [*pieces[:first], _Piece(cut, self.engine.tokenizer.decode(token_ids[cut]).strip())]

    def _factor_of(self, token_ids: tuple[int, ...]) -> str | None:
        """Returns the factor that the model chose itself, seen by the opening that it
        wrote.
        """
        return next((name for name, mark in self._marks if token_ids[: len(mark)] == mark), None)


def _thinks_behind(path: Sequence[Step], opened: bool) -> bool:
    """Returns whether a think block is open behind the path; `opened`: one is open
    before it.
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
            "single "
            "tokens of the model, or none"
        )
    return ids[0]
