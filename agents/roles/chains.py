"""Reads samples as chains of steps: where each step ends, which one marks the answer.

A sample through to the answer is cut by the rule of the steps, at the end of its
thought, and before tokens that the controller inserted. So no step contains thought and
answer, inserted tokens lead their step, and steps that are generated one by one are the
same. Only steps beyond max_step_tokens differ: a whole sample does not cut them.

A sample below a cut step continues it, in the middle of a sentence if need be. The cut
step is read again with it: "Answer: 5" and "7" mark 57.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from agents.answers import (
    ends_in_think_block,
    final_answer,
    marked_answer,
    whole_reply,
    without_think_blocks,
)
from agents.engines.base import Completion
from agents.prompts import Prompts
from agents.roles.drafts import Draft, Plan, Writer
from agents.roles.segmentation import FixedLength, cut_steps
from agents.safety.think_delimiters import THINK
from agents.types import Author, Content, FinishReason, Hidden, Sampling, Step


@dataclass(frozen=True, slots=True)
class ChainSpec:
    """What determines, with a sample, its chain of steps."""

    plan: Plan
    path: Sequence[Step]
    horizon: Literal["step", "answer"]
    factor: str | None
    takes_open_answer: bool
    """See `Prompts.takes_open_answer`."""
    is_reply: bool
    """Whether the whole sample is the answer, as for a reply to an open question."""
    opens_think_block: bool
    """Whether the chat template opens a think block, so that the path begins inside
    it."""
    author: Author
    sampling: Sampling


class _Piece(NamedTuple):
    """A step of a sample."""

    cut: slice
    """Its range in the token ids of opening and sample."""
    text: str
    is_cut: bool
    """Whether the step ends where the rule of the steps has no boundary."""


class ChainReader:
    """Reads the samples of one model."""

    def __init__(
        self,
        prompts: Prompts,
        writer: Writer,
        *,
        backtrack_ids: Sequence[int],
        factor_of: Callable[[tuple[int, ...]], str | None],
    ) -> None:
        """Takes the model's prompts and the writer of the samples.

        Args:
            prompts: the policy's prompts.
            writer: knows rule and format of the steps.
            backtrack_ids: tokens that abort a sample.
            factor_of: returns the factor whose opening the model generated itself.
        """
        self.prompts = prompts
        self.writer = writer
        self._backtrack_ids = backtrack_ids
        self._factor_of = factor_of

    def decode(self, token_ids: Sequence[int]) -> str:
        """Returns the text of token ids, with the delimiters of thoughts."""
        if self.writer.format is None:
            return self.prompts.tokenizer.decode(token_ids)
        return self.writer.format.decode(token_ids)

    def chain(self, draft: Draft, spec: ChainSpec) -> tuple[Step, ...]:
        """Cuts a sample into steps, up to the one with the answer; returns none if the
        model ended without text.

        A role token that ended the sample is dropped.
        """
        completion = draft.completion
        if completion.stop_reason in self.prompts.role_tokens:
            ids, logs = completion.token_ids[:-1], completion.logprobs[:-1]
            completion = Completion(completion.text, ids, logs, completion.finish_reason)
            draft = replace(draft, completion=completion)
        opening = spec.plan.opening
        token_ids = (*opening, *completion.token_ids)
        logprobs = (*[math.nan] * len(opening), *completion.logprobs)
        inserts = [slice(0, len(opening)), *(_moved(each, len(opening)) for each in draft.inserts)]
        backtracks = completion.stop_reason in self._backtrack_ids
        pieces = self._cut(draft, spec, token_ids, inserts, backtracks=backtracks)
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
        steps: list[Step] = []
        is_inside = len(spec.plan.carried) > 0
        for number, piece in enumerate(pieces):
            cut = piece.cut
            reason = self._finish_reason(piece, completion, len(token_ids))
            text = piece.text
            if is_inside or reason == "length":
                text = self.decode(token_ids[cut])
                text = text if is_inside else text.lstrip()
                text = text if reason == "length" else text.rstrip()
            forced = sum(each.stop - each.start for each in inserts if each.start == cut.start)
            is_first = number == 0 and spec.factor is not None
            steps.append(
                Step(
                    Hidden(Content(text, token_ids[cut], logprobs[cut], forced)),
                    reason,
                    spec.author,
                    spec.sampling,
                    factor=spec.factor if is_first else self._factor_of(token_ids[cut]),
                    answer=answer if number == len(pieces) - 1 else None,
                )
            )
            is_inside = piece.is_cut and isinstance(self.writer.rule, FixedLength)
        return tuple(steps)

    def _finish_reason(self, piece: _Piece, completion: Completion, end: int) -> FinishReason:
        if piece.cut.stop == end:
            return completion.finish_reason
        return "length" if piece.is_cut else "stop"

    def _cut(
        self,
        draft: Draft,
        spec: ChainSpec,
        token_ids: tuple[int, ...],
        inserts: list[slice],
        *,
        backtracks: bool,
    ) -> list[_Piece]:
        """Cuts a sample into steps, up to the first one without text; only the last
        step of a thought may be empty.
        """
        completion = draft.completion
        end = len(token_ids)
        if backtracks:
            end = end - 1 if len(completion.token_ids) > 1 else 0
        cuts = self._slices(token_ids[:end], spec, inserts)
        if backtracks:
            cuts.append((slice(end, len(token_ids)), False))
        pieces: list[_Piece] = []
        for cut, is_cut in cuts:
            is_all = token_ids[cut] == completion.token_ids and self.writer.format is None
            text = completion.text if is_all else self.decode(token_ids[cut])
            if not text.strip():
                is_end = (
                    cut.stop == len(token_ids)
                    and completion.finish_reason == "stop"
                    and not isinstance(completion.stop_reason, str)
                )
                ends_something = (
                    len(pieces) > 0
                    or backtracks
                    or len(spec.plan.carried) > 0
                    or (spec.takes_open_answer and len(spec.path) > 0)
                )
                is_blank_allowed = isinstance(self.writer.rule, FixedLength)
                if not (is_blank_allowed or (is_end and ends_something)):
                    break
            pieces.append(_Piece(cut, text.strip(), is_cut))
        return pieces

    def _slices(
        self, token_ids: tuple[int, ...], spec: ChainSpec, inserts: list[slice]
    ) -> list[tuple[slice, bool]]:
        """Returns the range of each step, and whether it is cut where the rule has no
        boundary.
        """
        rule, tokenizer = self.writer.rule, self.prompts.tokenizer
        forced = {each.start: each.stop - each.start for each in inserts}
        borders = {start for start in forced if 0 < start < len(token_ids)}
        if self.writer.format is not None:
            inserted = {place for each in inserts for place in range(each.start + 1, each.stop + 1)}
            borders |= set(self.writer.format.ends(token_ids)) - inserted
        carried = () if isinstance(rule, FixedLength) else spec.plan.carried
        slices: list[tuple[slice, bool]] = []
        start = 0
        for border in sorted({*borders, len(token_ids)}):
            shift = len(carried) if start == 0 else 0
            part = (*carried[:shift], *token_ids[:border])
            cuts = cut_steps(
                part, tokenizer, rule, start=start, forced=0 if shift else forced.get(start, 0)
            )
            for cut in cuts:
                begin, end = max(start, cut.start - shift), cut.stop - shift
                if end <= begin:
                    continue
                is_fixed = isinstance(rule, FixedLength) and end < border
                is_closed_there = end == border and border in forced
                is_cut = is_fixed or (is_closed_there and not self._is_boundary(part, cut))
                slices.append((slice(begin, end), is_cut))
            start = border
        return slices

    def _is_boundary(self, token_ids: tuple[int, ...], cut: slice) -> bool:
        rule = self.writer.rule
        if isinstance(rule, FixedLength):
            return False
        end = rule.first_end(token_ids, self.prompts.tokenizer, start=cut.start)
        return bool(end == cut.stop)

    def _up_to_answer(
        self,
        pieces: list[_Piece],
        spec: ChainSpec,
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
        thinks, units = self._units(pieces, spec, token_ids)
        texts = [unit.text for unit in units]
        found = marked_answer([THINK.start if thinks else "", *texts], is_cut=is_cut)
        last = len(pieces) - 1 - backtracks
        if found is not None:
            last = self._last_piece(pieces, units[: found.piece], found.value, thinks, token_ids)
            pieces = pieces[: last + 1]
        for unit in units:
            if unit.stop > last:
                break
            if marked_answer([THINK.start if thinks else "", unit.text]) is not None:
                cut = slice(pieces[unit.start].cut.start, pieces[last].cut.stop)
                text = self.decode(token_ids[cut]).strip()
                merged = _Piece(cut, text, pieces[last].is_cut)
                pieces = [*pieces[: unit.start], merged, *pieces[last + 1 :]]
                break
            thinks = ends_in_think_block(unit.text, opened=thinks)
        return pieces, None if found is None else found.value

    def _units(
        self, pieces: list[_Piece], spec: ChainSpec, token_ids: tuple[int, ...]
    ) -> tuple[bool, list[_Unit]]:
        """Returns the texts in which marks are searched, and whether a think block is
        open before them. Pieces of fixed length form one unit, and so do the cut steps
        of the path and the first piece.
        """
        carried, thinks = spec.plan.carried, spec.plan.is_thinking
        if carried:
            count = cut_steps_at_end(spec.path)
            before = spec.path[: len(spec.path) - count]
            thinks = path_ends_in_think_block(before, spec.opens_think_block, self.decode)
        units: list[_Unit] = []
        first = 0
        for number, piece in enumerate(pieces):
            is_joined = piece.is_cut and isinstance(self.writer.rule, FixedLength)
            if is_joined and number + 1 < len(pieces):
                continue
            cut = slice(pieces[first].cut.start, piece.cut.stop)
            if first == 0 and carried:
                text = self.decode([*carried, *token_ids[cut]]).strip()
            else:
                text = piece.text if first == number else self.decode(token_ids[cut]).strip()
            units.append(_Unit(first, number + 1, text))
            first = number + 1
        return thinks, units

    def _last_piece(
        self,
        pieces: list[_Piece],
        units: list[_Unit],
        value: str,
        thinks: bool,
        token_ids: tuple[int, ...],
    ) -> int:
        """Returns the first piece of the last of `units` up to which the answer is
        already read as `value`.
        """
        *before, unit = units
        texts = [each.text for each in before]
        for number in range(unit.start, unit.stop - 1):
            cut = slice(pieces[unit.start].cut.start, pieces[number].cut.stop)
            text = self.decode(token_ids[cut]).strip()
            found = marked_answer([THINK.start if thinks else "", *texts, text], is_cut=True)
            if found is not None and found.value == value:
                return number
        return unit.stop - 1

    def _open_answer(self, token_ids: Sequence[int], spec: ChainSpec) -> str:
        """Returns the open answer of a finished thought; "" if there is none. Decodes
        the whole thought, so that code keeps its whitespace.
        """
        before = [token for step in spec.path for token in step.content.reveal().token_ids]
        text = self.decode([*before, *token_ids])
        text = (THINK.start if spec.opens_think_block else "") + text
        return (whole_reply(text) if spec.is_reply else final_answer(text, marked=False)) or ""

    def _merge_reply(
        self, pieces: list[_Piece], spec: ChainSpec, token_ids: tuple[int, ...]
    ) -> list[_Piece]:
        """Merges all steps after the last think block into one: the user sees their
        text unchanged, so none of it is thought.
        """
        first, thinks = 0, spec.plan.is_thinking
        for number, piece in enumerate(pieces, start=1):
            tag = THINK.start if thinks else ""
            if not without_think_blocks(tag + piece.text).strip():
                first = number
            thinks = ends_in_think_block(piece.text, opened=thinks)
        if first >= len(pieces):
            return pieces
        cut = slice(pieces[first].cut.start, pieces[-1].cut.stop)
        text = self.decode(token_ids[cut]).strip()
        return [*pieces[:first], _Piece(cut, text, pieces[-1].is_cut)]


class _Unit(NamedTuple):
    """Pieces `start` to `stop` - 1, whose text is read together."""

    start: int
    stop: int
    text: str


def cut_steps_at_end(path: Sequence[Step]) -> int:
    """Returns the number of steps at the end of a path that were cut, so that the next
    step continues them.
    """
    count = 0
    for step in reversed(path):
        if step.finish_reason != "length":
            break
        count += 1
    return count


def path_ends_in_think_block(
    path: Sequence[Step], opened: bool, decode: Callable[[Sequence[int]], str]
) -> bool:
    """Returns whether a think block is open at the end of the path.

    Args:
        path: the steps; those that were cut are decoded with the next one, since a tag
            may lie across the cut.
        opened: whether a block is open at its start.
        decode: returns the text of token ids.
    """
    run: list[int] = []
    for step in path:
        content = step.content.reveal()
        is_cut = step.finish_reason == "length"
        if run or is_cut:
            run += content.token_ids
        if not is_cut:
            text = decode(run) if run else content.text
            opened, run = ends_in_think_block(text, opened=opened), []
    return ends_in_think_block(decode(run), opened=opened) if run else opened


def _moved(cut: slice, by: int) -> slice:
    return slice(cut.start + by, cut.stop + by)
