"""A budget is never exceeded, whatever is asked for and in whatever order requests come
back.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from agents.types import ROLES, Budget, Meter, Reservation, Usage, UsageByRole


@dataclass
class Clock:
    """A clock that is set by hand."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


class MeterMachine(RuleBasedStateMachine):
    """Requests are reserved, sent, and settled in any order, for any part of what was
    granted.
    """

    granted = Bundle("granted")

    def __init__(self) -> None:
        super().__init__()
        self.meter = Meter(Budget())
        self.in_flight: list[Reservation] = []
        self.expected: dict[str, Usage] = {}

    @initialize(max_tokens=st.none() | st.integers(0, 60), max_calls=st.none() | st.integers(0, 4))
    def begin(self, max_tokens: int | None, max_calls: int | None) -> None:
        self.meter = Meter(Budget(max_tokens=max_tokens, max_calls=max_calls), clock=Clock())

    @rule(target=granted, n=st.integers(1, 9), max_tokens=st.integers(1, 30))
    def reserve(self, n: int, max_tokens: int) -> object:
        exhausted, tokens_left = self.meter.exhausted, self.meter.tokens_left
        reservation = self.meter.reserve(n, max_tokens)
        assert reservation.n <= n and reservation.max_tokens <= max_tokens
        assert (reservation.n == 0) == exhausted
        if reservation.n == 0:
            return multiple()
        assert reservation.max_tokens >= 1
        if tokens_left is None or tokens_left >= n * max_tokens:
            assert reservation == Reservation(n, max_tokens), "there was room for all of it"
        if reservation.n < n:
            assert reservation.n == 1 or reservation.max_tokens == max_tokens, (
                "there are fewer samples before one gets shorter"
            )
        self.in_flight.append(reservation)
        return reservation

    @rule(
        reservation=consumes(granted),
        role=st.sampled_from(ROLES),
        share=st.floats(0, 1),
        failed=st.booleans(),
    )
    def settle(self, reservation: Reservation, role: str, share: float, failed: bool) -> None:
        spent = (
            Usage()
            if failed
            else Usage(5, 2, int(reservation.n * reservation.max_tokens * share), 1)
        )
        self.meter.settle(reservation, role, spent)
        self.in_flight.remove(reservation)
        self.expected[role] = self.expected.get(role, Usage()) + spent

    @invariant()
    def no_cap_is_exceeded(self) -> None:
        budget, total = self.meter.budget, self.meter.spent.total
        on_the_way = sum(reservation.n * reservation.max_tokens for reservation in self.in_flight)
        assert self.meter.reserved_tokens == on_the_way and self.meter.reserved_calls == len(
            self.in_flight
        )
        assert budget.max_tokens is None or total.generated_tokens + on_the_way <= budget.max_tokens
        assert budget.max_calls is None or total.calls + len(self.in_flight) <= budget.max_calls
        if budget.max_tokens is not None:
            assert self.meter.tokens_left == budget.max_tokens - total.generated_tokens - on_the_way
        if budget.max_calls is not None:
            assert self.meter.calls_left == budget.max_calls - total.calls - len(self.in_flight)
        assert self.meter.spent.roles == self.expected


TestMeter = MeterMachine.TestCase
TestMeter.settings = settings(max_examples=60, stateful_step_count=25)


@given(st.lists(st.tuples(st.sampled_from(ROLES), st.builds(Usage, *[st.integers(0, 99)] * 4))))
def test_usage_by_role_adds_up_to_the_total_in_any_order(parts: list[tuple[str, Usage]]) -> None:
    forwards, backwards = UsageByRole(), UsageByRole()
    for role, usage in parts:
        forwards.add(role, usage)
    for role, usage in reversed(parts):
        backwards.add(role, usage)
    assert forwards.roles == backwards.roles
    assert forwards.total == sum((usage for _, usage in parts), Usage())


@pytest.mark.parametrize(
    ("budget", "exhausted"),
    [
        (Budget(), False),
        (Budget(max_tokens=0), True),
        (Budget(max_calls=0), True),
        (Budget(max_nodes=3), False),
        (Budget(max_seconds=10.0), True),
        (Budget(max_seconds=10.1), False),
    ],
)
def test_each_cap_exhausts_the_budget(budget: Budget, exhausted: bool) -> None:
    clock = Clock(100.0)
    meter = Meter(budget, clock=clock)
    meter.nodes = 3
    clock.now += 10.0
    assert meter.exhausted == exhausted
    assert (meter.reserve(1, 1).n == 0) == exhausted


def test_what_is_held_back_is_granted_only_when_it_is_let_go() -> None:
    meter = Meter(Budget(max_tokens=70), held_back=64)
    assert meter.reserve(2, 48) == Reservation(1, 6)
    assert meter.reserve(1, 4) == Reservation(0, 0)
    meter.held_back = 0
    assert meter.reserve(1, 80) == Reservation(1, 64)


def test_a_full_tree_may_still_be_judged() -> None:
    meter = Meter(Budget(max_nodes=3))
    meter.nodes = 3
    assert meter.nodes_left == 0
    assert meter.reserve(1, 4) == Reservation(1, 4)


def test_seconds_count_from_the_beginning_of_the_question() -> None:
    clock = Clock(5.0)
    meter = Meter(Budget(), clock=clock)
    clock.now = 7.5
    assert meter.seconds == 2.5
