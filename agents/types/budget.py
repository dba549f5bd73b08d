"""The cost limits of a question, and the meter that enforces them.

Tokens of *every* role count. `Meter.reserve` sizes each request before it is sent, so
the caps on tokens and calls are never exceeded; nodes and seconds are checked between
rounds. A strategy that runs out of budget returns its best answer so far.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from agents.types.usage import Usage, UsageByRole


@dataclass(frozen=True, slots=True)
class Budget:
    """Caps for one question. None: no cap."""

    max_tokens: int | None = None
    """Generated tokens of all roles together."""
    max_calls: int | None = None
    """Engine requests of all roles together."""
    max_nodes: int | None = None
    """Nodes of the reasoning tree without the root. Checked between rounds, so one
    round may exceed it."""
    max_depth: int | None = None
    """Depth to which a search expands step by step; below it the policy samples the
    rest of the thought in one piece."""
    thinking_tokens: int | None = None
    """Tokens of one thought, for a model that thinks between delimiters: after as many
    the policy closes the thought, and the answer follows."""
    max_seconds: float | None = None
    """Wall-clock seconds since the question started. Checked between requests, so one
    request may exceed it."""


@dataclass(slots=True)
class Meter:
    """Counts what a question has spent and what is left. One per question; not shared
    between threads.
    """

    budget: Budget
    clock: Callable[[], float] = time.monotonic
    spent: UsageByRole = field(default_factory=UsageByRole)
    nodes: int = 0
    held_back: int = 0
    """Generated tokens kept for a later request; set to 0 before that request reserves
    them."""
    reserved_tokens: int = 0
    reserved_calls: int = 0
    _start: float = field(init=False)

    def __post_init__(self) -> None:
        self._start = self.clock()

    @property
    def seconds(self) -> float:
        """Seconds since the question started."""
        return self.clock() - self._start

    @property
    def priority(self) -> int:
        """Priority of the question's requests in an engine's queue: its start time in
        microseconds, so that older questions finish first.
        """
        return int(self._start * 1e6)

    @property
    def tokens_left(self) -> int | None:
        """Tokens that may still be generated; None without a cap."""
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
        """Whether no role may send another request. A tree with max_nodes nodes is not
        exhausted: its nodes may still be judged and summarized.
        """
        over_time = self.budget.max_seconds is not None and self.seconds >= self.budget.max_seconds
        return over_time or 0 in (self.tokens_left, self.calls_left)

    def reserve(self, n: int, max_tokens: int) -> Reservation:
        """Reserves budget for a request of `n` samples of at most `max_tokens` each, or
        for the part that is left.

        Reduces the number of samples first and shortens only a single last sample,
        because a truncated sample is worthless. The caller sends the granted request
        and then calls `settle` with its cost. `Reservation.n == 0`: the budget is
        exhausted, send nothing.
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
        """Releases a reservation and adds the request's actual cost. Pass `Usage()` for
        a request that failed.
        """
        self.reserved_tokens -= reservation.n * reservation.max_tokens
        self.reserved_calls -= 1
        self.spent.add(role, usage)


@dataclass(frozen=True, slots=True)
class Reservation:
    """The samples and tokens that `Meter.reserve` granted."""

    n: int
    max_tokens: int
