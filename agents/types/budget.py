"""One object that says what a question may cost, and one that watches it.

Tokens of *every* role count. A request is sized by `Meter.reserve` before it is sent,
so the caps of tokens and calls are never exceeded; nodes and seconds are looked at
between rounds. A strategy that runs out returns its best answer so far.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from agents.types.usage import Usage, UsageByRole


@dataclass(frozen=True, slots=True)
class Budget:
    """Caps for one question. None: no cap of that kind."""

    max_tokens: int | None = None
    """Generated tokens of all roles together."""
    max_calls: int | None = None
    """Engine requests of all roles together."""
    max_nodes: int | None = None
    """Nodes of the reasoning tree, the root not counted; checked between rounds, so one
    round may run over it."""
    max_depth: int | None = None
    """Steps along one path that a search looks at one by one; from there on a thought
    is written through."""
    max_seconds: float | None = None
    """Wall-clock seconds since the question was begun; checked between requests, so one
    request may run over it."""


@dataclass(slots=True)
class Meter:
    """Counts what a question has spent and says what is left. One per question; not
    shared between threads.
    """

    budget: Budget
    clock: Callable[[], float] = time.monotonic
    spent: UsageByRole = field(default_factory=UsageByRole)
    nodes: int = 0
    held_back: int = 0
    """Generated tokens that no request may take, until this is set to 0 for the one
    that they are kept for."""
    reserved_tokens: int = 0
    reserved_calls: int = 0
    _start: float = field(init=False)

    def __post_init__(self) -> None:
        self._start = self.clock()

    @property
    def seconds(self) -> float:
        """Seconds since the question was begun."""
        return self.clock() - self._start

    @property
    def priority(self) -> int:
        """Rank of the question's requests where requests wait: its beginning, in
        microseconds, so that what was begun is finished first.
        """
        return int(self._start * 1e6)

    @property
    def tokens_left(self) -> int | None:
        """Generated tokens that may still be asked for; None without a cap."""
        cap = self.budget.max_tokens
        return (
            None
            if cap is None
            else max(0, cap - self.spent.total.generated_tokens - self.reserved_tokens)
        )

    @property
    def calls_left(self) -> int | None:
        """Requests that may still be sent; None without a cap."""
        cap = self.budget.max_calls
        return None if cap is None else max(0, cap - self.spent.total.calls - self.reserved_calls)

    @property
    def nodes_left(self) -> int | None:
        """Nodes that may still be added to the tree; None without a cap."""
        return None if self.budget.max_nodes is None else max(0, self.budget.max_nodes - self.nodes)

    @property
    def exhausted(self) -> bool:
        """Whether no role may ask for anything more. A full tree is not meant: what is
        in it may still be judged and told.
        """
        over_time = self.budget.max_seconds is not None and self.seconds >= self.budget.max_seconds
        return over_time or 0 in (self.tokens_left, self.calls_left)

    def reserve(self, n: int, max_tokens: int) -> Reservation:
        """Takes room for a request of `n` samples of at most `max_tokens` each, as much
        as is left of it.

        First there are fewer samples, then the last one gets shorter: half a sample is
        worth nothing. The caller sends what was granted and then calls `settle` with
        what it cost. `Reservation.n == 0`: the budget is exhausted, send nothing.
        """
        if self.exhausted or n < 1 or max_tokens < 1:
            return Reservation(0, 0)
        left = self.tokens_left
        if left is not None:
            left -= self.held_back
            if left <= 0:
                return Reservation(0, 0)
            n = max(1, min(n, left // max_tokens))
            max_tokens = min(max_tokens, left)
        self.reserved_tokens += n * max_tokens
        self.reserved_calls += 1
        return Reservation(n, max_tokens)

    def settle(self, reservation: Reservation, role: str, usage: Usage) -> None:
        """Gives a reservation back and books what the request really cost. Pass
        `Usage()` for a request that failed.
        """
        self.reserved_tokens -= reservation.n * reservation.max_tokens
        self.reserved_calls -= 1
        self.spent.add(role, usage)


@dataclass(frozen=True, slots=True)
class Reservation:
    """What `Meter.reserve` granted."""

    n: int
    max_tokens: int
