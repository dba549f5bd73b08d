"""Finds out what a chat server offers, by short requests and the behaviour of their
replies: a server that ignores a field accepts it all the same.

Most requests are greedy and ask one question, so their replies can be compared. A
refused request (HTTP 4xx, 5xx, or a malformed reply) means that the server lacks what
the request asked for; a lost connection ends the probe.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from agents.engines.openai.chat_replies import ChatExpected, ChatReply
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
_ODD = "Qx7 zebra: 1, 2,"
_TOKENS = 16
_ALTERNATIVES = (20, 5)  # most servers allow 20 top_logprobs, some 5
_STRONG = 10.0  # a repetition penalty that changes a reply of numbers
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
        await self._find_sampling()
        await self._find_system_messages(first)
        await self._find_several()
        await self._find_seed()
        # a thought in a field of its own cannot be sent back, so it cannot be continued, and
        # the first tokens are not those of the content
        if not self._found.reasoning and len(self._greedy) > 1:
            await self._find_logprobs()
            await self._find_stop()
            await self._find_continuation()
        return self._found, self._dialect

    def _note(self, **found: Any) -> None:
        self._found = replace(self._found, **found)

    async def _reply(
        self, *, question: str = _COUNTING, temperature: float = 0.0, n: int = 1, **fields: Any
    ) -> ChatReply | None:
        body = {
            "messages": [{"role": "user", "content": question}],
            self._dialect.limit: _TOKENS,
            "temperature": temperature,
            **self._dialect.extras,
            **fields,
        }
        if n > 1:
            body["n"] = n
        expected = ChatExpected(n, _TOKENS, logprobs=bool(fields.get("logprobs")))
        return await self._ask(body, expected)

    async def _text(self, **fields: Any) -> str | None:
        """Returns the content of a reply; None: the request was refused."""
        reply = await self._reply(**fields)
        return None if reply is None else reply.choices[0].content

    async def _find_sampling(self) -> None:
        """Keeps the neutral options that the server takes: all, or one by one."""
        fields = dict(NEUTRAL)
        if await self._reply(**fields) is None:
            fields = {
                name: value
                for name, value in NEUTRAL.items()
                if await self._reply(**{name: value}) is not None
            }
        self._dialect = replace(self._dialect, extras=fields)
        # an option that is taken may be ignored all the same
        strict = {"top_k": 1, "min_p": 1.0}
        obeyed = [
            name
            for name, value in strict.items()
            if name in fields
            and await self._text(temperature=_HOT, **{name: value}) == self._greedy
        ]
        penalty = "repetition_penalty"
        if penalty in fields and await self._text(**{penalty: _STRONG}) not in (None, self._greedy):
            obeyed.append(penalty)
        self._note(sampling=tuple(obeyed))

    async def _find_system_messages(self, alone: ChatReply) -> None:
        """Some templates refuse a system message, some drop it."""
        system = {"role": "system", "content": "You answer questions about numbers."}
        reply = await self._reply(messages=[system, {"role": "user", "content": _COUNTING}])
        is_dropped = (
            reply is not None
            and reply.usage is not None
            and alone.usage is not None
            and reply.usage.prompt_tokens <= alone.usage.prompt_tokens
        )
        self._note(system_messages=reply is not None and not is_dropped)

    async def _find_several(self) -> None:
        reply = await self._reply(temperature=1.0, n=2)
        self._note(several=reply is not None)

    async def _find_seed(self) -> None:
        """A seed works if it repeats a sample that another seed does not give."""
        texts = [
            await self._text(question=_FREE, temperature=_HOT, seed=seed) for seed in (1, 1, 2)
        ]
        self._note(seed=None not in texts and texts[0] == texts[1] != texts[2])

    async def _find_stop(self) -> None:
        """Compares a stopped reply with the whole one."""
        stop = self._greedy[len(self._greedy) // 2]
        extra = {"include_stop_str_in_output": True}
        reply = await self._reply(stop=[stop], **extra)
        if reply is None:
            extra = {}
            reply = await self._reply(stop=[stop])
        if reply is None:
            return
        before, stopped = self._greedy.partition(stop)[0], reply.choices[0]
        if stopped.content == before + stop:
            self._note(stop="kept")
        elif stopped.content == before and stopped.stop == stop:
            self._note(stop="named")
        if self._found.stop != "cut_here":
            self._dialect = replace(self._dialect, extras={**self._dialect.extras, **extra})

    async def _find_continuation(self) -> None:
        """Continues the first half of the greedy reply, which must give the rest."""
        beginning = _first_half(self._greedy)
        rest = self._greedy[len(beginning) :]
        for way in CONTINUING:
            reply = await self._continued(way, beginning)
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

    async def _continued(self, way: Continuation, beginning: str) -> ChatReply | None:
        fields, of_message = CONTINUING[way]
        question = {"role": "user", "content": _COUNTING}
        turn = {"role": "assistant", "content": beginning, **of_message}
        return await self._reply(messages=[question, turn], **fields)

    async def _begins_anew(self, way: Continuation) -> bool:
        """Whether the reply does not repeat a beginning that no model writes."""
        reply = await self._continued(way, _ODD)
        return reply is None or not reply.choices[0].content.startswith(_ODD)

    async def _keeps_whitespace(self, way: Continuation, beginning: str) -> bool:
        """Whether the prompt has more tokens if the beginning ends with blank lines."""
        replies = [await self._continued(way, beginning + end) for end in ("", "\n\n")]
        counts = [
            0 if reply is None or reply.usage is None else reply.usage.prompt_tokens
            for reply in replies
        ]
        return counts[0] < counts[1]


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
