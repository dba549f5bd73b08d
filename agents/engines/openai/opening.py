"""Opens an engine on a server: with token ids where the server takes them and the
model's tokenizer is at hand, otherwise with text.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal

from agents.engines.base import EngineInfo
from agents.engines.openai.chat import PATH, ChatEngine
from agents.engines.openai.chat_replies import ChatExpected, ChatReply, read_chat
from agents.engines.openai.connection import DEFAULT_URL, Connection, connect
from agents.engines.openai.engine import OpenAIEngine
from agents.engines.openai.probe import ChatProbe, Dialect
from agents.engines.openai.replicas import Replica, TooLongError, TryAgainError
from agents.engines.openai.text_tokenizer import TextTokenizer
from agents.engines.tokenizer import HFTokenizer
from agents.engines.weights import count_parameters, recommended_sampling
from agents.types import Capabilities, EngineError, EngineUnavailableError

logger = logging.getLogger(__name__)

Api = Literal["auto", "completions", "chat"]

ASSUMED_CONTEXT = 4096
"""Context length of a chat server that reports none, in tokens."""

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


class Server:
    """Opens the engine of `engine=openai`."""

    @classmethod
    async def open(
        cls,
        *,
        base_url: str | Sequence[str] = DEFAULT_URL,
        api: Api = "auto",
        model: str | None = None,
        tokenizer: str | None = None,
        adapters: Sequence[str] = (),
        context_length: int | None = None,
        api_key_env: str | None = None,
        max_in_flight: int = 256,
        timeout_s: float = 600.0,
        retry_s: float = 300.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> OpenAIEngine | ChatEngine:
        """Connects to a running server.

        Args:
            api: completions: token ids through /v1/completions. chat: text through
                /v1/chat/completions. auto: the first if the server and a tokenizer
                allow it, else the second.
            tokenizer, context_length, max_in_flight: see `OpenAIEngine.open`.
            base_url, model, adapters, api_key_env, timeout_s, retry_s, sleep: see
                `connect`.

        Raises:
            EngineUnavailableError: see `connect`; or the server offers neither.
            ValueError: see `connect`.
        """
        connection = await connect(
            base_url=base_url,
            model=model,
            adapters=adapters,
            api_key_env=api_key_env,
            timeout_s=timeout_s,
            retry_s=retry_s,
            sleep=sleep,
        )
        try:
            lacks: EngineError | None = None
            if api != "chat":
                try:
                    own = await _tokenizer_of(connection, tokenizer, is_needed=api == "completions")
                    if own is not None:
                        return await OpenAIEngine.on(connection, own, context_length, max_in_flight)
                except EngineError as error:
                    if api == "completions":
                        raise
                    lacks = error
            return await _open_chat(connection, context_length, max_in_flight, lacks)
        except BaseException:
            await connection.replicas.close()
            raise


async def _tokenizer_of(
    connection: Connection, named: str | None, *, is_needed: bool
) -> HFTokenizer | None:
    """Returns the model's tokenizer: the one of `engine.tokenizer`, or of the model
    that the server names; None if that is neither a folder here nor a hub id.
    """
    source = named or connection.root
    is_found = connection.folder is not None or (
        connection.root != connection.model and _HUB_ID.fullmatch(connection.root)
    )
    if named is None and not is_found and not is_needed:
        return None
    try:
        return await asyncio.to_thread(HFTokenizer, source)
    except EngineUnavailableError:
        if named is not None or is_needed:
            raise
        return None


async def _open_chat(
    connection: Connection,
    context_length: int | None,
    max_in_flight: int,
    lacks: EngineError | None,
) -> ChatEngine:
    """Returns an engine that exchanges text; `lacks`: why it cannot be token ids."""
    found = [await _probe(connection, replica, lacks) for replica in connection.replicas.all]
    for replica, other in zip(connection.replicas.all, found, strict=True):
        if other != found[0]:
            raise EngineUnavailableError(
                f"{connection.name} and {replica.name} offer different features "
                f"({found[0][0]}; {other[0]}); start them alike, or name one in engine.base_url"
            )
    capabilities, dialect = found[0]
    length = context_length or connection.reported_length
    if length is None:
        length = ASSUMED_CONTEXT
        logger.warning(
            "%s does not report its context length; %d tokens are assumed (engine.context_length)",
            connection.name,
            length,
        )

    def build(context: int) -> ChatEngine:
        folder = connection.folder
        info = EngineInfo(
            kind="openai",
            model=connection.model,
            model_hash=connection.model_hash,
            tokenizer_hash=TextTokenizer.hash,
            context_length=context,
            parameters=count_parameters(folder) if folder is not None else 0,
            logprobs_mode="processed" if dialect.is_processed else "raw",
            adapters=dict(connection.adapters),
            sampling=recommended_sampling(folder),
            capabilities=capabilities,
        )
        return ChatEngine(connection.replicas, info, dialect, max_in_flight=max_in_flight)

    return await asyncio.to_thread(build, length)


async def _probe(
    connection: Connection, replica: Replica, lacks: EngineError | None
) -> tuple[Capabilities, Dialect]:
    """Returns what a replica offers.

    Raises:
        EngineUnavailableError: it answers no chat request, or is lost meanwhile.
    """
    refusals: list[Exception] = []

    async def ask(fields: Mapping[str, Any], expected: ChatExpected) -> ChatReply | None:
        body = {"model": connection.model, **fields}
        try:
            return await connection.replicas.ask(
                replica, "POST", PATH, lambda reply: read_chat(reply, expected), body
            )
        except TryAgainError as error:
            if error.failure in ("unreachable", "silent"):
                raise EngineUnavailableError(f"{replica.name} cannot be used: {error}") from error
            refusals.append(error)
        except TooLongError as error:
            refusals.append(error)
        except EngineUnavailableError:
            if lacks is not None:
                raise lacks from None
            raise
        except EngineError as error:
            refusals.append(error)
        return None

    found = await ChatProbe(ask).find()
    if found is None:
        raise EngineUnavailableError(
            f"{replica.name} cannot be used: its {PATH} refuses a plain question ({refusals[-1]})"
        )
    return found
