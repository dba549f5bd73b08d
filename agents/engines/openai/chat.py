"""Engine over HTTP for servers that exchange text: /v1/chat/completions of vLLM,
llama.cpp, Ollama, LM Studio, TGI, SGLang, LiteLLM and hosted APIs.

Above the engine everything is token ids, here those of a `TextTokenizer`, which spell
the text. The ids of a prompt are turned back into messages and the beginning of the
assistant's turn, and the reply becomes ids again, so a continuation is exact in text.
`info.capabilities` holds what the server offers (agents.engines.openai.probe):

- Without n > 1, n requests with different seeds are sent at once.
- A stop string is sent only if a reply shows that it ended it. Otherwise the engine
  cuts the reply itself: exact, but the tokens behind the cut are paid for.
- White space that a chat template drops at the end of the assistant's turn is removed
  from the start of the reply, where the model writes it again.
- The log-probability of a server's token is that of the id in which the token ends.
- A thought in a reasoning field becomes `<think>...</think>` before the content.

The number of ids only estimates the number of the server's tokens. `max_tokens`,
budgets and usage are in the server's tokens, and the server decides whether a prompt
fits into its context.
"""

from __future__ import annotations

import asyncio
import bisect
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from agents.engines.base import (
    Completion,
    EngineInfo,
    GenerateRequest,
    Generation,
    NextTokenScores,
    check_request,
    check_score,
    spread_seed,
)
from agents.engines.gate import Gate
from agents.engines.openai.chat_replies import (
    ChatChoice,
    ChatExpected,
    ChatReply,
    ChatToken,
    read_chat,
)
from agents.engines.openai.connection import run_together
from agents.engines.openai.probe import CONTINUING, Dialect
from agents.engines.openai.replicas import AllReplicasDeadError, Replicas, TooLongError
from agents.engines.openai.replies import MalformedError, Reply
from agents.engines.openai.text_tokenizer import Conversation, TextTokenizer
from agents.types import Capabilities, ContextLengthError, EngineError, Usage

PATH = "/v1/chat/completions"
_THINK_TAG = re.compile(r"<(/?think)", re.IGNORECASE)
_SAMPLING = ("top_k", "min_p", "repetition_penalty")
_MOST_STOPS = 4  # OpenAI, TGI; with more, the engine cuts the reply
_SEED_BITS = 31  # llama.cpp and others take no larger seed
_SAMPLES_OF_A_SEED = 1 << 20


class ChatEngine:
    """Generator over chat requests. `OpenAIEngine.open` creates it."""

    def __init__(
        self, replicas: Replicas, info: EngineInfo, dialect: Dialect, *, max_in_flight: int
    ) -> None:
        assert info.capabilities is not None
        self.info = info
        self.capabilities: Capabilities = info.capabilities
        self.tokenizer = TextTokenizer(takes_system_messages=self.capabilities.system_messages)
        self._replicas = replicas
        self._dialect = dialect
        self._gate = Gate(f"the server of {info.model}", limit=max_in_flight)
        self._slots = asyncio.Semaphore(max_in_flight)

    @property
    def in_flight(self) -> int:
        """Number of requests that have not ended, including those that wait."""
        return self._gate.in_flight

    async def generate(self, request: GenerateRequest) -> Generation:
        """Returns `request.n` completions."""
        check_request(request, self.info, self.tokenizer.vocabulary_size)
        if set(request.stop_token_ids) - {self.tokenizer.eos_token_id}:
            raise ValueError(
                f"{self.info.model} is asked for text and cannot stop at token ids; set "
                "policy.backtrack_tokens=[]"
            )
        return await self._gate.run(lambda: self._generate(request), priority=request.priority)

    async def score(
        self, prompt: Sequence[int], candidates: Sequence[int], *, priority: int = 0
    ) -> NextTokenScores:
        """Returns the log-probability of each candidate as the text of the next token.

        A candidate outside the server's alternatives has the log-probability of the
        last of them, which is an upper bound; all have -inf if none is among them.
        """
        check_score(prompt, candidates, self.info, self.tokenizer.vocabulary_size)
        return await self._gate.run(lambda: self._score(prompt, candidates), priority=priority)

    async def close(self) -> None:
        """Closes the connections; the server keeps running."""
        await self._gate.close()
        await self._replicas.close()

    async def _generate(self, request: GenerateRequest) -> Generation:
        offered = self.capabilities
        conversation = self.tokenizer.read_conversation(request.prompt)
        stop = request.stop if self._sends_stop(conversation, request.stop) else ()
        body = {
            self._dialect.limit: request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            **{name: getattr(request, name) for name in _SAMPLING if name in self._dialect.extras},
            **({"stop": list(stop)} if stop else {}),
            **({"logprobs": True} if request.logprobs and offered.logprobs else {}),
        }
        expected = ChatExpected(
            request.n if offered.several else 1,
            request.max_tokens,
            logprobs="logprobs" in body,
            usage=offered.usage,
        )
        replies = await run_together(
            self._send(
                conversation,
                len(request.prompt),
                body | _sampling_of(seed, expected.n),
                expected,
                model=request.adapter,
            )
            for seed in self._seeds_of(request)
        )
        completions = tuple(
            self._completion(choice, request, conversation)
            for reply in replies
            for choice in reply.choices
        )
        return Generation(completions, self._usage(request.prompt, completions, replies, request))

    async def _score(self, prompt: Sequence[int], candidates: Sequence[int]) -> NextTokenScores:
        number = self.capabilities.top_logprobs
        if not number:
            raise EngineError(
                f"{self.info.model} reports no log-probabilities of alternatives; set "
                "critic=chat_working"
            )
        body = {
            self._dialect.limit: 1,
            "temperature": 0.0,
            "logprobs": True,
            "top_logprobs": number,
        }
        expected = ChatExpected(logprobs=True, usage=self.capabilities.usage)
        conversation = self.tokenizer.read_conversation(prompt)
        reply = await self._send(conversation, len(prompt), body, expected)
        tokens = reply.choices[0].tokens or ()
        found = dict(tokens[0].top) if tokens else {}
        texts = [self.tokenizer.decode([candidate]) for candidate in candidates]
        known = [found.get(text) for text in texts]
        least = min(found.values(), default=-math.inf)
        missing = -math.inf if all(one is None for one in known) else least
        request = GenerateRequest(tuple(prompt), max_tokens=1)
        usage = self._usage(prompt, (Completion("", (0,), (0.0,)),), [reply], request)
        return NextTokenScores(tuple(missing if one is None else one for one in known), usage)

    async def _send(
        self,
        conversation: Conversation,
        prompt_tokens: int,
        body: Mapping[str, Any],
        expected: ChatExpected,
        *,
        model: str | None = None,
    ) -> ChatReply:
        """Sends a request to the model or to the adapter `model`; `prompt_tokens` is an
        estimate for errors.
        """
        messages: list[Mapping[str, Any]] = list(conversation.messages)
        fields: Mapping[str, Any] = {}
        if beginning := conversation.beginning:
            if not self.capabilities.can_continue:
                raise EngineError(
                    f"{self.info.model} cannot continue a thought; choose search=greedy, "
                    "best_of_n or self_consistency"
                )
            fields, of_message = CONTINUING[self.capabilities.continuation]
            messages.append({"role": "assistant", "content": beginning, **of_message})
        request = {
            "model": model or self.info.model,
            "messages": messages,
            **self._dialect.extras,
            **fields,
            **({"chat_template_kwargs": options} if (options := conversation.options) else {}),
            **body,
        }

        def read(reply: Reply) -> ChatReply:
            found = read_chat(reply, expected)
            return found if not self.capabilities.echoes else _without_echo(found, beginning)

        try:
            async with self._slots:
                return await self._replicas.post(
                    PATH, request, read, most_bytes=expected.most_bytes
                )
        except AllReplicasDeadError as error:
            raise self._gate.shut(f"died: {error}") from error
        except TooLongError as error:
            raise ContextLengthError(
                prompt_tokens=prompt_tokens,
                max_tokens=expected.max_tokens,
                context_length=error.context_length,
                server=error.server,
            ) from None

    def _seeds_of(self, request: GenerateRequest) -> list[int | None]:
        """Returns the seeds of the requests to send: one, or one for each sample."""
        number = 1 if self.capabilities.several else request.n
        if request.seed is None or not self._dialect.takes_seed:
            return [None] * number
        if self.capabilities.several:
            return [request.seed]
        return [request.seed * _SAMPLES_OF_A_SEED + sample for sample in range(number)]

    def _sends_stop(self, conversation: Conversation, stop: Sequence[str]) -> bool:
        """Whether the server may end a reply at a stop string: not where the model
        repeats white space, which can be one.
        """
        beginning = conversation.beginning
        repeats = beginning != beginning.rstrip() and not self.capabilities.keeps_whitespace
        is_shown = self.capabilities.stop != "cut_here"
        return is_shown and not repeats and len(stop) <= _MOST_STOPS

    def _completion(
        self, choice: ChatChoice, request: GenerateRequest, conversation: Conversation
    ) -> Completion:
        """Returns a reply as a completion: cut at the first stop string, with the ids
        of its text and, after a natural end, the end-of-sequence token.
        """
        repeated = 0
        if not self.capabilities.keeps_whitespace:
            repeated = _repeated_whitespace(conversation.beginning, choice.content)
        content, finish_reason = choice.content[repeated:], choice.finish_reason
        if choice.stop in request.stop and not content.endswith(choice.stop):
            content += choice.stop
        ends = [(content.find(stop) + len(stop), stop) for stop in request.stop if stop in content]
        stop_reason: str | None = None
        if ends:
            end, stop_reason = min(ends, key=lambda found: found[0])
            content, finish_reason = content[:end], "stop"
        is_end = finish_reason == "stop" and stop_reason is None
        ids = (*self.tokenizer.encode(content), *[self.tokenizer.eos_token_id] * is_end)
        logprobs = (math.nan,) * len(ids)
        # the tokens of a thought come first, so those of the content cannot be found
        if request.logprobs and choice.tokens is not None and not choice.thought:
            skipped = len(choice.content[:repeated].encode())
            logprobs = logprobs_of_ids(self.tokenizer, ids, choice.tokens, skipped)
        thought = _as_think_block(choice)
        before = self.tokenizer.encode(thought)
        return Completion(
            thought + content,
            (*before, *ids),
            (*[math.nan] * len(before), *logprobs),
            finish_reason,
            stop_reason,
        )

    def _usage(
        self,
        prompt: Sequence[int],
        completions: Sequence[Completion],
        replies: Sequence[ChatReply],
        request: GenerateRequest,
    ) -> Usage:
        """Returns the server's count, or else an estimate. Several requests for one
        generation count as one call.
        """
        if self.capabilities.usage:
            counts = [(len(reply.choices), reply.usage) for reply in replies if reply.usage]
            return Usage(
                sum(n * usage.prompt_tokens for n, usage in counts),
                sum(n * usage.cached_tokens for n, usage in counts),
                sum(usage.generated_tokens for _, usage in counts),
                1,
            )
        generated = (min(len(one.token_ids), request.max_tokens) for one in completions)
        return Usage(len(prompt) * len(completions), 0, sum(generated), 1)


def _sampling_of(seed: int | None, n: int) -> dict[str, int]:
    """Returns the fields of a request that differ between its samples."""
    return ({"n": n} if n > 1 else {}) | (
        {} if seed is None else {"seed": spread_seed(seed) % (1 << _SEED_BITS)}
    )


def _without_echo(reply: ChatReply, beginning: str) -> ChatReply:
    """Returns the reply of a server that repeats the beginning of the turn.

    Raises:
        MalformedError: it was not repeated.
    """
    for choice in reply.choices:
        if not choice.content.startswith(beginning):
            raise MalformedError(
                "it does not repeat the beginning of the turn, as the server did when the engine "
                "opened"
            )
    return replace(
        reply,
        choices=tuple(
            replace(choice, content=choice.content.removeprefix(beginning))
            for choice in reply.choices
        ),
    )


def _repeated_whitespace(beginning: str, content: str) -> int:
    """Returns the number of characters at the start of `content` with which the model
    wrote the white space at the end of `beginning` again.
    """
    end = beginning[len(beginning.rstrip()) :]
    return next(
        (length for length in range(len(end), 0, -1) if content.startswith(end[:length])), 0
    )


def _as_think_block(choice: ChatChoice) -> str:
    """Returns the thought of a reasoning field as a think block, closed if there is
    content or the reply has ended. Tags inside the thought do not close it.
    """
    if not choice.thought:
        return ""
    thought = _THINK_TAG.sub(r"< \1", choice.thought)
    is_closed = bool(choice.content) or choice.finish_reason == "stop"
    return f"<think>\n{thought}" + "\n</think>\n\n" * is_closed


def logprobs_of_ids(
    tokenizer: TextTokenizer, ids: Sequence[int], tokens: Sequence[ChatToken], skipped: int
) -> tuple[float, ...]:
    """Returns the log-probability of each id: the sum over the server's tokens that end
    in it. `skipped`: bytes of the reply before the first id.
    """
    ends, size = [], 0
    for one in ids:
        size += len(tokenizer.bytes_of(one))
        ends.append(size)
    logprobs = [0.0] * len(ids)
    place = -skipped
    for token in tokens:
        place += len(token.raw)
        if place <= 0:
            continue
        number = bisect.bisect_left(ends, place)
        if number == len(ids):  # behind the text: the end of the sequence, if not cut off
            if ids and ids[-1] == tokenizer.eos_token_id:
                logprobs[-1] += token.logprob
            break
        logprobs[number] += token.logprob
    return tuple(logprobs)
