"""HTTP to one or more replicas of a server: each request goes to the least busy
replica, failed replicas are skipped for a while, and failures are retried.

HTTP 408, 425, 429 and 5xx, timeouts and lost connections are retried until `retry_s`
seconds after the first failure. A failed request goes to another live replica at once;
after all replicas have failed, it waits with exponential backoff and jitter, at least
as long as a Retry-After header demands. A malformed reply may come from a proxy whose
server is starting, so it is retried, too, but at most `_MOST_MALFORMED` times in a row:
waiting seldom repairs it. All other failures raise at the first attempt, because
another would give the same result. One warning per `_WARN_EVERY_S` reports that
requests are being retried.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import logging
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, TypeVar

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from agents.engines.openai.redaction import mask
from agents.engines.openai.replies import MOST_BYTES, AbortedError, MalformedError, Reply
from agents.types import BadReplyError, EngineError, EngineUnavailableError, Hidden

logger = logging.getLogger(__name__)

T = TypeVar("T")
Failure = Literal["unreachable", "busy", "failing", "silent", "malformed"]
"""Why another attempt may succeed. unreachable: the connection failed, or a proxy's
server is gone. busy: HTTP 408, 425, 429, 503. failing: another 5xx. silent: no reply
within the timeout. malformed: a reply that cannot be read."""

_BUSY = (408, 425, 429, 503)
_GATEWAY = (502, 504)  # a proxy whose server is gone
_WRONG_ADDRESS = (301, 302, 303, 307, 308, 404, 405)
_FIRST_BACKOFF_S = 0.25
_LONGEST_BACKOFF_S = 8.0
_SKIP_S = 30.0  # time for which a dead replica is skipped
_MOST_MALFORMED = 3
_WARN_EVERY_S = 60.0
_KEEPALIVE_S = 2.0
"""Time for which an idle connection is kept. Uvicorn closes connections after 5 s, and
a request that is sent at that moment is lost."""
_MOST_ERROR_BYTES = 1 << 16
_MOST_LOCATION = 100  # characters
_SHORTEST_SECRET = 4  # characters; masking a shorter one would garble every error

_ADVICE: Mapping[Failure, str] = {
    "unreachable": "",
    "busy": "; lower engine.max_in_flight, or raise engine.retry_s",
    "failing": "; see the server's log",
    "silent": "; raise engine.timeout_s, or lower engine.max_in_flight",
    "malformed": "; see the server's log, and whether engine.base_url is the address of a proxy",
}


class AllReplicasDeadError(Exception):
    """No replica can be reached any more; the text describes the last failure."""


class TooLongError(EngineError):
    """The server refuses a request as too long.

    `context_length`: the context length in the refusal, in tokens; 0: not reported.
    """

    def __init__(self, server: str, context_length: int) -> None:
        super().__init__(f"the request is too long for {server}")
        self.server = server
        self.context_length = context_length


class TryAgainError(Exception):
    """A failure that may not recur at another attempt. `wait_s`: minimum wait before it
    that the server demands, in seconds.
    """

    def __init__(self, message: str, failure: Failure, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.failure = failure
        self.wait_s = wait_s

    @property
    def as_engine_error(self) -> EngineError:
        """The error to raise if there is no other attempt."""
        return (BadReplyError if self.failure == "malformed" else EngineError)(
            f"{self}{_ADVICE[self.failure]}"
        )


@dataclass(slots=True, eq=False)
class Replica:
    """One replica of the server."""

    root: str
    """Its address without /v1."""
    name: str
    """The address without a password, for errors."""
    in_flight: int = 0
    skipped_until: float = 0.0
    """Clock time, in seconds, until which it gets a request only after all other
    replicas have failed."""
    is_dead: bool = False
    """Whether the last attempt could not reach it."""


@dataclass(slots=True)
class _Series:
    """The attempts at one request."""

    attempts: int = 0
    malformed: int = 0
    """Malformed replies in a row."""
    failed_since: float | None = None
    backoff_s: float = _FIRST_BACKOFF_S


class Replicas:
    """An HTTP session over the replicas of one server."""

    def __init__(
        self,
        addresses: Sequence[str],
        *,
        api_key: Hidden[str] | None,
        timeout_s: float,
        retry_s: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rng: random.Random | None = None,
    ) -> None:
        """Opens the session without sending a request.

        Args:
            addresses: of the replicas, with or without /v1.
            api_key: sent with every request; never shown.
            timeout_s: timeout of one attempt, in seconds.
            retry_s: time during which a failed request is retried, in seconds since its
                first failure.
            clock: returns seconds. Tests replace it, as well as `sleep` and `rng`,
                which draws the jitter.

        Raises:
            ValueError: an address is not a valid URL, or the key cannot be sent in a
                header.
        """
        if api_key is not None and not re.fullmatch(r"[!-~]+", api_key.reveal()):
            raise ValueError(
                "the variable that engine.api_key_env names contains a character that is not "
                "allowed in an HTTP header; export it again"
            )
        self.all = [_replica(address) for address in addresses]
        passwords = [URL(replica.root).password or "" for replica in self.all]
        if api_key is not None and any(passwords):
            raise ValueError(
                "engine.base_url contains a password and engine.api_key_env is set; a request "
                "can carry only one of the two, remove one"
            )
        known = [*([] if api_key is None else [api_key.reveal()]), *passwords]
        self._secrets = [secret for secret in known if len(secret) >= _SHORTEST_SECRET]
        self._timeout_s, self._retry_s = timeout_s, retry_s
        self._clock, self._sleep, self._rng = clock, sleep, rng or random.Random()
        self._warned_at: float | None = None
        self._session = aiohttp.ClientSession(
            headers={} if api_key is None else {"Authorization": f"Bearer {api_key.reveal()}"},
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            # the engine has its own limit
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def post(
        self,
        path: str,
        body: Mapping[str, Any],
        read: Callable[[Reply], T],
        *,
        most_bytes: int = MOST_BYTES,
    ) -> T:
        """Sends a request to the least busy replica, retries it if that may help, and
        returns the reply as parsed by `read`.

        Raises:
            AllReplicasDeadError: no replica could be reached for `retry_s`.
            BadReplyError: too many replies in a row were malformed.
            TooLongError, EngineError: see `call`; or the last failure, after `retry_s`.
        """
        series = _Series()
        untried = list(self.all)
        while True:
            now = self._clock()
            replica = min(untried, key=lambda one: self._sort_key(one, now))
            replica.in_flight += 1
            try:
                answer = await self.call(replica, "POST", path, read, body, most_bytes=most_bytes)
            except TryAgainError as caught:
                problem = caught.with_traceback(None)
            else:
                replica.is_dead, replica.skipped_until = False, 0.0
                return answer
            finally:
                replica.in_flight -= 1
            now = self._clock()
            untried.remove(replica)
            self._record_failure(replica, problem, now, series)
            left = self._remaining_s(series, problem, now)
            if any(other.skipped_until <= now for other in untried):
                continue
            await self._pause(
                series, self._seconds_until_available(now) if problem.wait_s else 0.0, left
            )
            untried = list(self.all)

    async def ask(
        self,
        replica: Replica,
        method: str,
        path: str,
        read: Callable[[Reply], T],
        body: Mapping[str, Any] | None = None,
    ) -> T:
        """Sends one request to one replica, retries it while the replica is busy, and
        returns the reply as parsed by `read`.

        Used at opening, where a wrong address must be reported at once.

        Raises:
            TryAgainError: the replica cannot be reached, or fails otherwise.
            TooLongError, EngineError: see `call`.
        """
        series = _Series()
        while True:
            try:
                return await self.call(replica, method, path, read, body)
            except TryAgainError as caught:
                if caught.failure != "busy":
                    raise
                problem = caught.with_traceback(None)
            await self._pause(
                series, problem.wait_s, self._remaining_s(series, problem, self._clock())
            )

    async def call(
        self,
        replica: Replica,
        method: str,
        path: str,
        read: Callable[[Reply], T],
        body: Mapping[str, Any] | None = None,
        *,
        most_bytes: int = MOST_BYTES,
    ) -> T:
        """Sends one request to one replica, once, and returns the reply as parsed by
        `read`.

        Raises:
            TryAgainError: another attempt may succeed.
            TooLongError: HTTP 400, 413 or 422, because the request exceeds the server's
                context.
            EngineUnavailableError: HTTP 401, 403, 404, 405 or a redirection.
            EngineError: another status.
        """
        shown = replica.name + path.partition("?")[0]
        reply = await self._exchange(replica.root + path, shown, method, body, most_bytes)
        if isinstance(reply, TryAgainError):
            raise reply
        if not 200 <= reply.status < 300:
            self._refuse(reply, replica, shown)
        problem = ""
        try:
            return read(reply)
        except MalformedError as error:
            problem = str(error)
        except AbortedError:
            pass
        if not problem:
            raise TryAgainError(
                f"{shown} aborted the request; the server may be shutting down",
                "unreachable",
            )
        kind = (
            reply.content_type
            if re.fullmatch(r"[\w/+.-]{1,60}", reply.content_type)
            else "an odd content type"
        )
        what = f"HTTP {reply.status}, {kind}: {reply.excerpt(self._secrets)}"
        raise TryAgainError(f"{shown} sent no valid reply: {problem} ({what})", "malformed")

    async def close(self) -> None:
        """Closes all connections."""
        await self._session.close()

    async def _exchange(
        self, url: str, shown: str, method: str, body: Mapping[str, Any] | None, most_bytes: int
    ) -> Reply | TryAgainError:
        """Returns the reply, or the failure.

        The failure is returned, not raised: aiohttp's errors contain headers and parts
        of the body, and must not become the context of our errors.
        """
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if data is not None else {}
        try:
            async with self._session.request(
                method, URL(url), data=data, headers=headers, allow_redirects=False
            ) as response:
                is_error = not 200 <= response.status < 300
                content = await _read_at_most(
                    response, _MOST_ERROR_BYTES if is_error else most_bytes
                )
                if content is None and not is_error:
                    return TryAgainError(
                        f"{shown} sent more than {most_bytes} bytes, the maximum for this request",
                        "malformed",
                    )
                return Reply(
                    response.status,
                    response.content_type,
                    response.charset,
                    Hidden(content or b""),
                    _retry_after_s(response.headers),
                    mask(
                        response.headers.get("Location", "")[:_MOST_LOCATION], secrets=self._secrets
                    ),
                )
        except TimeoutError:
            return TryAgainError(f"{shown} gave no reply in {self._timeout_s:g} s", "silent")
        except aiohttp.ClientConnectorError as error:
            return TryAgainError(
                f"{shown} cannot be reached ({mask(error.strerror or type(error).__name__)})",
                "unreachable",
            )
        except aiohttp.ClientPayloadError as error:
            if (
                isinstance(error.__cause__, HttpProcessingError)
                and error.__cause__.code == 400
                and "encoding" in repr(error.__cause__)
            ):
                return TryAgainError(f"{shown} sent a reply that cannot be decoded", "malformed")
            return TryAgainError(f"{shown} broke off in the middle of a reply", "unreachable")
        except (aiohttp.ClientConnectionError, OSError) as error:
            return TryAgainError(f"{shown} broke off ({type(error).__name__})", "unreachable")
        except (aiohttp.ClientError, HttpProcessingError, ValueError) as error:
            return TryAgainError(
                f"{shown} does not speak HTTP ({type(error).__name__})", "malformed"
            )

    def _refuse(self, reply: Reply, replica: Replica, shown: str) -> NoReturn:
        """Raises the error for a reply without a success status."""
        status, text = reply.status, f"HTTP {reply.status}: {reply.excerpt(self._secrets)}"
        if status in _BUSY:
            raise TryAgainError(f"{shown} is busy ({text})", "busy", reply.retry_after_s)
        if status in _GATEWAY:
            raise TryAgainError(f"{shown} is gone ({text})", "unreachable", reply.retry_after_s)
        if 500 <= status < 600:
            raise TryAgainError(f"{shown} failed ({text})", "failing", reply.retry_after_s)
        if (context_length := reply.named_context) is not None:
            raise TooLongError(replica.name, context_length)
        if status in (401, 403):
            raise EngineUnavailableError(
                f"{shown} refuses the API key ({text}); set engine.api_key_env"
            )
        if status in _WRONG_ADDRESS:
            where = f", which points to {reply.location}" if reply.location else ""
            raise EngineUnavailableError(
                f"{shown} does not exist ({text}{where}); check engine.base_url and engine.model"
            )
        raise EngineError(
            f"{shown} refuses the request ({text}); the server must take what it took when the "
            "engine opened"
        )

    def _sort_key(self, replica: Replica, now: float) -> tuple[float, int]:
        """Returns a sort key: the replica with the smallest one gets the next request.
        Replicas that are not skipped come first.
        """
        return max(replica.skipped_until - now, 0.0), replica.in_flight

    def _record_failure(
        self, replica: Replica, problem: TryAgainError, now: float, series: _Series
    ) -> None:
        """Records a failure; for a while the other replicas are tried first."""
        replica.is_dead = problem.failure == "unreachable"
        replica.skipped_until = now + max(
            problem.wait_s, _SKIP_S if replica.is_dead else series.backoff_s
        )

    def _remaining_s(self, series: _Series, problem: TryAgainError, now: float) -> float:
        """Counts a failed attempt, and returns the remaining seconds in which the
        request may be retried.

        Raises:
            AllReplicasDeadError, EngineError: it may not be retried.
        """
        series.attempts += 1
        series.malformed = series.malformed + 1 if problem.failure == "malformed" else 0
        series.failed_since = now if series.failed_since is None else series.failed_since
        left = series.failed_since + self._retry_s - now
        if left > 0 and series.malformed < _MOST_MALFORMED:
            self._warn(problem, now)
            return left
        elapsed = now - series.failed_since
        tried = (
            f" (attempt {series.attempts}, {elapsed:.0f} s after the first failure)"
            if series.attempts > 1
            else ""
        )
        if all(replica.is_dead for replica in self.all):
            raise AllReplicasDeadError(f"{problem}{tried}")
        raise TryAgainError(f"{problem}{tried}", problem.failure).as_engine_error

    async def _pause(self, series: _Series, asked_s: float, left_s: float) -> None:
        """Waits before the next attempt: the backoff, or longer if the server demands
        it, but not beyond the end of the retries.
        """
        wait_s = max(series.backoff_s * self._rng.uniform(0.5, 1.0), asked_s)
        series.backoff_s = min(2 * series.backoff_s, _LONGEST_BACKOFF_S)
        await self._sleep(min(wait_s, left_s))

    def _seconds_until_available(self, now: float) -> float:
        """Returns the seconds until the first replica may be tried again."""
        return max(0.0, min(replica.skipped_until for replica in self.all) - now)

    def _warn(self, problem: TryAgainError, now: float) -> None:
        if self._warned_at is None or now - self._warned_at >= _WARN_EVERY_S:
            self._warned_at = now
            logger.warning("%s; retried for up to %g s (engine.retry_s)", problem, self._retry_s)


async def _read_at_most(response: aiohttp.ClientResponse, most_bytes: int) -> bytes | None:
    """Returns the body. If it exceeds `most_bytes`: its beginning for an error status,
    else None.
    """
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > most_bytes:
            response.close()
            return b"".join(chunks)[:most_bytes] if not 200 <= response.status < 300 else None
    return b"".join(chunks)


def _replica(address: str) -> Replica:
    try:
        url = URL(address)
        is_one = (
            url.scheme in ("http", "https")
            and bool(url.host)
            and not (url.query_string or url.fragment)
        )
    except ValueError:
        is_one = False
    if not is_one:
        raise ValueError(
            f"engine.base_url ({mask(address)}) is not a server address; set it to one such as "
            "http://127.0.0.1:8000/v1"
        )
    root, name = (
        spelled.rstrip("/").removesuffix("/v1") for spelled in (address, str(url.with_user(None)))
    )
    return Replica(root, name)


def _retry_after_s(headers: Mapping[str, str]) -> float:
    """Returns the wait that the Retry-After header demands, in seconds; 0 without one.
    The header contains seconds, or a date by the server's clock.
    """
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value):
        return float(value)
    try:
        until = email.utils.parsedate_to_datetime(value).timestamp()
        now = (
            email.utils.parsedate_to_datetime(headers["Date"]).timestamp()
            if "Date" in headers
            else time.time()
        )
    except (ValueError, TypeError, OverflowError, IndexError):
        return 0.0
    return max(0.0, until - now)
