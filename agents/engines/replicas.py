"""HTTP to one or more copies of a server: the least busy copy gets the request, a failed one is passed over.

Retried, and logged: connection errors, 429 and 503, with backoff; a dead copy's requests go to another copy at once. Everything else is an
error at the first try, because a second would give the same answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from agents.nouns import EngineError, EngineUnavailableError

logger = logging.getLogger(__name__)

_BUSY = (429, 503)
_GATEWAY = (502, 504)  # a proxy whose server is gone
_FIRST_BACKOFF_S = 0.25
_LONGEST_BACKOFF_S = 8.0
_REST_S = 30.0  # how long a dead copy is passed over


class AllReplicasDeadError(Exception):
    """No copy of the server can be reached any more; the text says what each of them did."""


@dataclass(slots=True)
class Replica:
    """One copy of the server."""

    root: str
    """Its address without /v1."""
    in_flight: int = 0
    rests_until: float = 0.0
    """Time of the event loop's clock, in seconds, until which it gets requests only if all others failed, too."""


class Replicas:
    """A session over several copies of one server."""

    def __init__(
        self,
        addresses: list[str],
        *,
        api_key: str | None,
        timeout_s: float,
        max_retries: int,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self.all = [Replica(address.rstrip("/").removesuffix("/v1")) for address in addresses]
        self._max_retries = max_retries
        self._timeout_s = timeout_s
        self._sleep = sleep
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            connector=aiohttp.TCPConnector(limit=0),  # the engine has its own limit
        )

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Sends a request to the least busy replica and returns its answer.

        Raises:
            AllReplicasDeadError: every attempt failed to reach a server.
            EngineError, ValueError: see `call`.
        """
        wait_s = _FIRST_BACKOFF_S
        clock = asyncio.get_running_loop().time
        for attempts_left in reversed(range(self._max_retries + 1)):
            now = clock()
            replica = min(self.all, key=lambda replica: (replica.rests_until > now, replica.in_flight))
            replica.in_flight += 1
            try:
                answer = await self.call(replica, "POST", path, body)
            except TryAgainError as problem:
                if problem.is_dead:
                    replica.rests_until = clock() + _REST_S
                if attempts_left == 0:
                    tried = f"{problem}, the last of {self._max_retries + 1} attempts"
                    raise (
                        AllReplicasDeadError(tried) if problem.is_dead else EngineError(f"{tried}; lower engine.max_in_flight")
                    ) from problem
                logger.warning("%s; %d attempts left", problem, attempts_left)
                if not problem.is_dead or all(other.rests_until > now for other in self.all):
                    await self._sleep(wait_s)
                    wait_s = min(2 * wait_s, _LONGEST_BACKOFF_S)
            else:
                replica.rests_until = 0.0
                return answer
            finally:
                replica.in_flight -= 1
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def call(self, replica: Replica, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Sends one request to one replica, once, and returns the JSON answer (None where there is none).

        Raises:
            ValueError: HTTP 400 or 422: the server refuses the request, in its words.
            EngineUnavailableError: HTTP 401, 403, 404.
            EngineError: no answer within the timeout, or another status.
        """
        url = replica.root + path
        try:
            async with self._session.request(method, url, json=body) as response:
                if response.status < 300:
                    answer = await response.json(content_type=None) if response.content_length != 0 else None
                    if _was_aborted(answer):
                        raise TryAgainError(f"{url} aborted the request, as a server does that is being stopped", is_dead=True)
                    return answer
                text = (await response.text())[:500]
                status = response.status
        except TimeoutError as error:
            raise EngineError(
                f"{url} gave no answer in {self._timeout_s:g} s; raise engine.timeout_s or lower engine.max_in_flight"
            ) from error
        except aiohttp.ClientConnectionError as error:
            raise TryAgainError(f"{url} cannot be reached ({error})", is_dead=True) from error
        except aiohttp.ClientError as error:  # cut off in the middle of an answer
            raise TryAgainError(f"{url} broke off ({error})", is_dead=True) from error
        if status in _BUSY:
            raise TryAgainError(f"{url} is busy (HTTP {status}: {text})", is_dead=False)
        if status in _GATEWAY or (status == 500 and not await self.is_healthy(replica)):
            raise TryAgainError(f"{url} is dead (HTTP {status}: {text})", is_dead=True)
        if status in (400, 422):
            raise ValueError(f"{url} refuses the request: {text}")
        if status in (401, 403):
            raise EngineUnavailableError(f"{url} wants another api key (HTTP {status}: {text}); set engine.api_key_env")
        if status == 404:
            raise EngineUnavailableError(f"{url} does not exist (HTTP 404: {text}); check engine.base_url and engine.model")
        raise EngineError(f"{url} failed (HTTP {status}): {text}")

    async def is_healthy(self, replica: Replica) -> bool:
        """Whether the server says that it works."""
        try:
            async with self._session.get(replica.root + "/health", timeout=aiohttp.ClientTimeout(total=5)) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def close(self) -> None:
        """Closes all connections."""
        await self._session.close()


def _was_aborted(answer: Any) -> bool:
    """Whether a completion was ended by the server's own will: what it holds until then is no sample."""
    choices = answer.get("choices", ()) if isinstance(answer, dict) else ()
    return any(choice.get("finish_reason") == "abort" for choice in choices)


class TryAgainError(Exception):
    """A failure that another attempt may mend. `is_dead`: the server cannot be reached, it is not just busy."""

    def __init__(self, message: str, *, is_dead: bool) -> None:
        super().__init__(message)
        self.is_dead = is_dead
