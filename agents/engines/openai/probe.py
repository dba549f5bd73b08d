"""Finds out what a chat server offers, by short requests and the behaviour of their
replies: a server that ignores a field accepts it all the same.

Most requests are greedy and ask one question, so their replies can be compared. A
refused request (HTTP 4xx, 5xx, or a malformed reply) means that the server lacks what
the request asked for; a lost connection ends the probe.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from agents.engines.openai.chat_replies import ChatExpected, ChatReply
from agents.engines.openai.connection import run_together
from agents.types import Capabilities
from agents.types.capabilities import Continuation

NEUTRAL: Mapping[str, Any] = {
    "top_k": 0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}
"""Sampling options beyond temperature and top_p, with the values that have no effect. A
request carries those that the server takes, because it would use defaults of its own
otherwise."""
CONTINUING: Mapping[Continuation, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "flag": ({"continue_final_message": True, "add_generation_prompt": False}, {}),
    "trailing": ({}, {}),
    "prefix": ({}, {"prefix": True}),
}
"""Fields of the request, and of the assistant's message, by which a server continues
that message."""

_COUNTING = "Count from 1 to 20, with commas between the numbers."
_FREE = "Write one sentence about anything."
_SYSTEM = "You answer questions about numbers. "
_WHITESPACE = "\n \n" * 6  # more than one token of any vocabulary
_ODD = "Qx7 zebra: 1, 2,"
_TOKENS = 16
_ALTERNATIVES = (20, 5)  # most servers allow 20 top_logprobs, some 5
_STRICT: Mapping[str, Any] = {"top_k": 1, "min_p": 1.0}
"""Values that make every sample greedy."""
_STRONG = 10.0  # a repetition penalty that changes a reply of numbers
_MOST_ERROR = 0.25  # nats by which one log-probability differs between two batches
_HOT = 2.0  # temperature at which two samples differ

Ask = Callable[[Mapping[str, Any], ChatExpected], Awaitable[ChatReply | None]]
"""Sends the fields of a request beside the model, and returns the reply; None: the
server refuses them."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How requests to a server are written."""

    limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """Name of the field that limits a completion."""
    extras: Mapping[str, Any] = field(default_factory=dict)
    """Fields that every request carries."""
    takes_seed: bool = True
    """Whether a request may have a seed."""
    is_processed: bool = True
    """Whether log-probabilities are those after temperature."""


class ChatProbe:
    """The requests by which `find` fills in a `Capabilities`."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._found = Capabilities()
        self._dialect = Dialect()
        self._greedy = ""
        """The reply to the question at temperature 0."""
        self._with_stop: Mapping[str, Any] = {}
        """Fields of requests with stop strings."""

    async def find(self) -> tuple[Capabilities, Dialect] | None:
        """Returns what the server offers, and how it is asked; None: it answers no chat
        request.
        """
        first = None
        for limit in ("max_tokens", "max_completion_tokens"):
            self._dialect = Dialect(limit=limit)
            if (first := await self._reply()) is not None:
                break
        if first is None:
            return None
        choice = first.choices[0]
        self._greedy = choice.content
        self._note(usage=first.usage is not None, reasoning=bool(choice.thought))
        await self._find_neutral()
        await self._find_seed()  # alone: in a batch the low bits of the logits differ
        parts = [self._find_sampling(), self._find_system_messages(), self._find_several()]
        # a thought in a field of its own cannot be sent back, and the first tokens are
        # not those of the content
        if not self._found.reasoning and len(self._greedy) > 1:
            parts += [self._find_logprobs(), self._find_stop(), self._find_continuation()]
        await run_together(parts)
        extras = {**self._dialect.extras, **self._with_stop}
        return self._found, replace(self._dialect, extras=extras)

    def _note(self, **found: Any) -> None:
        self._found = replace(self._found, **found)

    async def _reply(
        self, *, tokens: int = _TOKENS, temperature: float = 0.0, n: int = 1, **fields: Any
    ) -> ChatReply | None:
        """Sends the question, or the messages among `fields`."""
        body = {
            "messages": [{"role": "user", "content": _COUNTING}],
            self._dialect.limit: tokens,
            "temperature": temperature,
            **self._dialect.extras,
            **fields,
        }
        if n > 1:
            body["n"] = n
        expected = ChatExpected(n, tokens, logprobs=bool(fields.get("logprobs")))
        return await self._ask(body, expected)

    async def _is_greedy(self, **fields: Any) -> bool | None:
        """Whether a short reply is the beginning of the greedy one; None: the request
        was refused.
        """
        reply = await self._reply(tokens=_TOKENS // 2, **fields)
        if reply is None:
            return None
        text = reply.choices[0].content
        return bool(text) and self._greedy.startswith(text)

    async def _find_neutral(self) -> None:
        """Keeps the neutral options that the server takes: all, or one by one."""
        fields = dict(NEUTRAL)
        if await self._reply(tokens=1, **fields) is None:
            fields = {
                name: value
                for name, value in NEUTRAL.items()
                if await self._reply(tokens=1, **{name: value}) is not None
            }
        self._dialect = replace(self._dialect, extras=fields)

    async def _find_sampling(self) -> None:
        """An option that is taken may be ignored all the same."""
        taken = self._dialect.extras
        obeyed = [
            name
            for name, value in _STRICT.items()
            if name in taken and await self._is_greedy(temperature=_HOT, **{name: value})
        ]
        penalty = "repetition_penalty"
        if penalty in taken and await self._is_greedy(**{penalty: _STRONG}) is False:
            obeyed.append(penalty)
        self._note(sampling=tuple(obeyed))

    async def _find_logprobs(self) -> None:
        """Log-probabilities are usable if their tokens spell the content."""
        for number in _ALTERNATIVES:
            reply = await self._reply(tokens=2, logprobs=True, top_logprobs=number)
            if reply is not None and _spells(reply):
                tops = [token.top for token in reply.choices[0].tokens or ()]
                self._note(logprobs=True, top_logprobs=min(number, len(tops[0])))
                self._dialect = replace(self._dialect, is_processed=await self._is_processed(reply))
                return
        reply = await self._reply(tokens=2, logprobs=True)
        self._note(logprobs=reply is not None and _spells(reply))

    async def _is_processed(self, cold: ChatReply) -> bool:
        """Whether log-probabilities depend on the temperature."""
        number = self._found.top_logprobs
        hot = await self._reply(tokens=1, temperature=_HOT, logprobs=True, top_logprobs=number)
        if hot is None or not hot.choices[0].tokens:
            return False
        before, after = [dict((reply.choices[0].tokens or ())[0].top) for reply in (cold, hot)]
        changes = [abs(before[text] - after[text]) for text in before if text in after]
        return max(changes, default=0.0) > _MOST_ERROR

    async def _find_system_messages(self) -> None:
        """Some templates refuse a system message, some drop it: then its length does
        not change the number of the prompt's tokens.
        """
        counts = [
            await self._prompt_tokens(
                [
                    {"role": "system", "content": _SYSTEM * times},
                    {"role": "user", "content": _COUNTING},
                ]
            )
            for times in (1, 4)
        ]
        is_counted = self._found.usage
        self._note(system_messages=None not in counts and (not is_counted or _grows(counts)))

    async def _prompt_tokens(self, messages: list[dict[str, Any]], **fields: Any) -> int | None:
        """Returns the number of the prompt's tokens, 0 if the server does not count
        them; None: the request was refused.
        """
        reply = await self._reply(tokens=1, messages=messages, **fields)
        if reply is None:
            return None
        return 0 if reply.usage is None else reply.usage.prompt_tokens

    async def _find_several(self) -> None:
        reply = await self._reply(tokens=1, temperature=1.0, n=2)
        self._note(several=reply is not None)

    async def _find_seed(self) -> None:
        """A seed works if it repeats a sample that another seed does not give."""
        messages = [{"role": "user", "content": _FREE}]
        texts = []
        for seed in (1, 1, 2):
            reply = await self._reply(
                tokens=_TOKENS // 2, temperature=_HOT, seed=seed, messages=messages
            )
            texts.append(None if reply is None else reply.choices[0])
        self._dialect = replace(self._dialect, takes_seed=None not in texts)
        self._note(seed=None not in texts and texts[0] == texts[1] != texts[2])

    async def _find_stop(self) -> None:
        """Compares a stopped reply with the whole one."""
        stop = self._greedy[len(self._greedy) // 2]
        extra: dict[str, Any] = {"include_stop_str_in_output": True}
        reply = await self._reply(stop=[stop], **extra)
        if reply is None:
            extra.clear()
            reply = await self._reply(stop=[stop])
        if reply is None:
            return
        before, stopped = self._greedy.partition(stop)[0], reply.choices[0]
        if stopped.content == before + stop:
            self._note(stop="kept")
        elif stopped.content == before and stopped.stop == stop:
            self._note(stop="named")
        if self._found.stop != "cut_here":
            self._with_stop = extra

    async def _find_continuation(self) -> None:
        """Continues the first half of the greedy reply, which must give the rest."""
        beginning = _first_half(self._greedy)
        rest = self._greedy[len(beginning) :]
        for way in CONTINUING:
            reply = await self._continued(way, beginning, _TOKENS // 2)
            if reply is None:
                continue
            text = reply.choices[0].content
            echoes = text.startswith(beginning)
            if not _agree(text.removeprefix(beginning), rest):
                continue
            # a new turn may begin like the greedy reply, but not like this
            if echoes and await self._begins_anew(way):
                continue
            self._note(continuation=way, echoes=echoes)
            self._note(keeps_whitespace=await self._keeps_whitespace(way, beginning))
            return

    async def _continued(self, way: Continuation, beginning: str, tokens: int) -> ChatReply | None:
        messages, fields = _to_continue(way, beginning)
        return await self._reply(tokens=tokens, messages=messages, **fields)

    async def _begins_anew(self, way: Continuation) -> bool:
        """Whether the reply does not repeat a beginning that no model writes."""
        reply = await self._continued(way, _ODD, 1)
        return reply is None or not reply.choices[0].content.startswith(_ODD)

    async def _keeps_whitespace(self, way: Continuation, beginning: str) -> bool:
        """Whether the prompt has more tokens if the beginning ends with white space."""
        counts = []
        for end in ("", _WHITESPACE):
            messages, fields = _to_continue(way, beginning + end)
            counts.append(await self._prompt_tokens(messages, **fields))
        return _grows(counts)


def _to_continue(way: Continuation, beginning: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Returns the messages and the fields that continue the beginning of a reply to the
    question.
    """
    fields, of_message = CONTINUING[way]
    turn = {"role": "assistant", "content": beginning, **of_message}
    return [{"role": "user", "content": _COUNTING}, turn], dict(fields)


def _grows(counts: Sequence[int | None]) -> bool:
    before, after = counts
    return before is not None and after is not None and before < after


def _spells(reply: ChatReply) -> bool:
    """Whether the tokens of the log-probabilities spell the content, but for an end of
    sequence behind it.
    """
    choice = reply.choices[0]
    spelled = b"".join(token.raw for token in choice.tokens or ())
    return bool(spelled) and spelled.startswith(choice.content.rstrip("\ufffd").encode())


def _first_half(text: str) -> str:
    """Returns about half of a text, cut before white space if there is any: a token
    begins there in most vocabularies.
    """
    half = len(text) // 2
    for distance in range(half):
        for place in (half - distance, half + distance):
            if text[place].isspace() and text[:place].strip():
                return text[:place]
    return text[:half]


def _agree(continued: str, rest: str) -> bool:
    """Whether two greedy texts are one; the shorter of them may be cut."""
    shorter = min(len(continued), len(rest))
    return shorter > 0 and continued[:shorter] == rest[:shorter]
