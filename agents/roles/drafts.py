"""Samples of the policy, each written by one request or by several.

A further request continues the token ids of a sample that

- the engine stopped where the rule of the steps has no boundary: inside a code block,
  after a heading, at an abbreviation;
- has thought for `budget.thinking_tokens`: the controller closes the thought with the
  model's own delimiter (inserted tokens are marked as forced), and the answer follows.

Equal samples share a request. What a rule needed to recognise a boundary is dropped
behind it; it was charged.

Closing a thought by a second request works with every engine and is exact in token ids.
vLLM's `thinking_token_budget` saves the request but needs a reasoning parser per model
and has leaked thought into the answer near the budget (vllm-project/vllm#43210).

Source: budget forcing, s1 (arXiv:2501.19393), without its extension of short thoughts.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from agents.answers import ends_in_think_block
from agents.engines.base import Completion, GenerateRequest, Generator
from agents.engines.metered import Refusal, generate_within
from agents.roles.segmentation import FixedLength, StepRule
from agents.roles.thought_format import ThoughtFormat
from agents.types import Meter

ROLE = "policy"
ENDED_BY_RULE = ""
"""Stop reason of a sample that the rule of the steps ended."""

MOST_LINE_ENDS = 6
"""Line ends in a row after which a step that would go on ends: the model writes nothing
but blank lines."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A sample as it was written so far."""

    completion: Completion
    """Sampled and inserted tokens."""
    inserts: tuple[slice, ...] = ()
    """Ranges of the inserted tokens in `completion.token_ids`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What determines, with a sample, whether another request continues it."""

    opening: tuple[int, ...]
    """Forced token ids before the sample; part of its first step."""
    carried: tuple[int, ...]
    """Token ids of the cut steps at the end of the path, which the sample continues."""
    is_thinking: bool
    """Whether a think block is open before the sample."""
    thought_tokens: int | None
    """Tokens that the thought may still have; None: no cap."""
    max_answer_tokens: int


class _Next(NamedTuple):
    """A further request of a sample."""

    token_ids: tuple[int, ...]
    """The sample so far."""
    insert: tuple[int, ...]
    max_tokens: int


class Writer:
    """Writes samples with one engine."""

    def __init__(
        self, engine: Generator, rule: StepRule, thought_format: ThoughtFormat | None
    ) -> None:
        self.engine = engine
        self.rule = rule
        self.format = thought_format
        self._closing: tuple[int, ...] = ()
        self._end_ids: tuple[int, ...] = ()
        self._end_texts: tuple[str, ...] = ()
        if thought_format is not None:
            self._closing = tuple(engine.tokenizer.encode(thought_format.closing))
            token = thought_format.end_token
            self._end_ids = () if token is None else (token,)
            self._end_texts = (thought_format.delimiters.end,) if token is None else ()

    async def write_steps(
        self, request: GenerateRequest, plan: Plan, *, meter: Meter
    ) -> tuple[list[Draft], int, Refusal | None]:
        """Returns samples of one step, the version of the weights, and the reason if a
        request was refused. `request` is that of a first piece, without stops.
        """
        request = self._stopping_at_thoughts_end(
            replace(request, stop=(*request.stop, *self.rule.stops))
        )
        drafts, version, refusal = await self._first(request, meter)
        most_tokens = max(plan.max_answer_tokens, request.max_tokens)
        active: Sequence[int] = range(len(drafts))
        while active:
            wanted = {
                number: _Next(drafts[number].completion.token_ids, (), request.max_tokens)
                for number in active
                if self._goes_on(drafts[number].completion, plan, most_tokens)
            }
            active, refused = await self._round(drafts, wanted, request, meter)
            refusal = refused or refusal
        return [self._trimmed(draft, plan) for draft in drafts], version, refusal

    async def write_answers(
        self, request: GenerateRequest, plan: Plan, *, meter: Meter
    ) -> tuple[list[Draft], int, Refusal | None]:
        """Returns samples that run through to the answer; see `write_steps`. A thought
        leaves room for its answer in the budget and in the context.
        """
        if self.format is None or not plan.thought_tokens:
            return await self._first(request, meter)
        n, most, held = self._room_for_thoughts(request, plan.thought_tokens, meter)
        meter.held_back += held
        try:
            thought = self._stopping_at_thoughts_end(replace(request, n=n, max_tokens=most))
            drafts, version, refusal = await self._first(thought, meter)
        finally:
            meter.held_back -= held
        wanted = {
            number: following
            for number, draft in enumerate(drafts)
            if (following := self._after_thought(draft.completion, plan, most)) is not None
        }
        _, refused = await self._round(drafts, wanted, request, meter)
        return drafts, version, refused or refusal

    def _room_for_thoughts(
        self, request: GenerateRequest, most: int, meter: Meter
    ) -> tuple[int, int, int]:
        """Returns the number of samples and the tokens of each thought, at most `most`,
        and the tokens of the budget to hold back for the answers.
        """
        n, answer = request.n, request.max_tokens
        room = self.engine.info.context_length - len(request.prompt) - len(self._closing)
        most = max(1, min(most, room - min(answer, room // 2)))
        if meter.tokens_left is None:
            return n, most, 0
        left = max(0, meter.tokens_left - meter.held_back)
        n = max(1, min(n, left // (most + answer)))
        held = min(n * answer, left // 2)
        return n, max(1, min(most, left - held)), held

    def first_end(self, token_ids: Sequence[int], plan: Plan) -> int | None:
        """Returns the number of tokens of a sample that belong to its first step; None
        if the step goes on.
        """
        forced = len(plan.opening)
        if self.format is not None and (ends := self.format.ends(token_ids)):
            token_ids = token_ids[: ends[0]]
        else:
            ends = []
        carried = () if isinstance(self.rule, FixedLength) else plan.carried
        before = len(carried) + forced
        end = self.rule.first_end(
            (*carried, *plan.opening, *token_ids),
            self.engine.tokenizer,
            forced=0 if carried else forced,
        )
        if end is not None and end > before:
            return end - before
        return ends[0] if ends else None

    def _stopping_at_thoughts_end(self, request: GenerateRequest) -> GenerateRequest:
        return replace(
            request,
            stop=(*request.stop, *self._end_texts),
            stop_token_ids=(*request.stop_token_ids, *self._end_ids),
        )

    async def _first(
        self, request: GenerateRequest, meter: Meter
    ) -> tuple[list[Draft], int, Refusal | None]:
        generation = await generate_within(self.engine, request, meter=meter, role=ROLE)
        if isinstance(generation, str):
            return [], 0, generation
        return (
            [Draft(completion) for completion in generation.completions],
            generation.version,
            None,
        )

    async def _round(
        self,
        drafts: list[Draft],
        wanted: dict[int, _Next],
        request: GenerateRequest,
        meter: Meter,
    ) -> tuple[Sequence[int], Refusal | None]:
        """Sends the next request of each draft, in place of which the longer draft is
        put. Returns the numbers of the longer drafts, and the reason if a request was
        refused.
        """
        groups: dict[_Next, list[int]] = {}
        for number, following in wanted.items():
            groups.setdefault(following, []).append(number)
        answers = await asyncio.gather(
            *(
                generate_within(
                    self.engine,
                    replace(
                        request,
                        prompt=(*request.prompt, *following.token_ids, *following.insert),
                        n=len(numbers),
                        max_tokens=following.max_tokens,
                    ),
                    meter=meter,
                    role=ROLE,
                )
                for following, numbers in groups.items()
            )
        )
        longer: list[int] = []
        refusal: Refusal | None = None
        for (following, numbers), answer in zip(groups.items(), answers, strict=True):
            if isinstance(answer, str):
                refusal = answer
                continue
            # strict=False: a small budget grants fewer
            for number, more in zip(numbers, answer.completions, strict=False):
                longer.append(number)
                drafts[number] = self._joined(drafts[number], following.insert, more)
        return longer, refusal

    def _goes_on(self, completion: Completion, plan: Plan, most_tokens: int) -> bool:
        """Whether the engine stopped a step where there is no boundary, and the step is
        more than line ends.
        """
        blank = completion.text[len(completion.text.rstrip()) :]
        return (
            isinstance(completion.stop_reason, str)
            and blank.count("\n") < MOST_LINE_ENDS
            and len(completion.token_ids) < most_tokens
            and self.first_end(completion.token_ids, plan) is None
        )

    def _trimmed(self, draft: Draft, plan: Plan) -> Draft:
        """Returns a draft without what follows its first step."""
        completion = draft.completion
        end = self.first_end(completion.token_ids, plan)
        if end is None:
            return draft
        if end == len(completion.token_ids):
            if completion.stop_reason not in self._end_ids:
                return draft
            return Draft(replace(completion, stop_reason=ENDED_BY_RULE))
        ids = completion.token_ids[:end]
        text = self.engine.tokenizer.decode(ids)
        return Draft(Completion(text, ids, completion.logprobs[:end], "stop", ENDED_BY_RULE))

    def _after_thought(self, completion: Completion, plan: Plan, most: int) -> _Next | None:
        """Returns the request that follows a thought of at most `most` tokens: for the
        answer, after the inserted end of a thought that used them up, or for the rest
        of an answer without a thought. None if the sample has ended, or a cap cut it.
        """
        ids = completion.token_ids
        if completion.finish_reason == "stop":
            is_end = completion.stop_reason in (*self._end_ids, *self._end_texts)
            return _Next(ids, (), plan.max_answer_tokens) if is_end else None
        if len(ids) < most or self.format is None:
            return None
        text = self.format.decode([*plan.opening, *ids])
        if ends_in_think_block(text, opened=plan.is_thinking):
            return _Next(ids, self._closing, plan.max_answer_tokens)
        has_thought = plan.is_thinking or ends_in_think_block(text, opened=True) is False
        left = plan.max_answer_tokens - (0 if has_thought else len(ids))
        return _Next(ids, (), left) if left > 0 else None

    def _joined(self, draft: Draft, insert: tuple[int, ...], more: Completion) -> Draft:
        first = draft.completion
        size = len(first.token_ids)
        middle = self.engine.tokenizer.decode(insert) if insert else ""
        return Draft(
            Completion(
                first.text + middle + more.text,
                first.token_ids + insert + more.token_ids,
                first.logprobs + (math.nan,) * len(insert) + more.logprobs,
                more.finish_reason,
                more.stop_reason,
            ),
            (*draft.inserts, slice(size, size + len(insert))) if insert else draft.inserts,
        )
