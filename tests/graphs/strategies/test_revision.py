"""Sequential revision: where attempts are written again, what they are shown, and when
it ends.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import pytest

from agents.types import Budget, Meter, Step
from configs import ConfigError, compose
from graphs.strategies import SequentialRevision
from graphs.strategies.build import build_strategy
from graphs.strategies.selection import Selector
from graphs.tree import ROOT, Event, Expanded, Expansion, ReasoningTree
from tests.graphs.strategies.make import make
from tests.graphs.strategies.trees import judged, step, tree_of, unread
from tests.graphs.strategies.world import World, simulate
from tests.seeds import seeds

METER = Meter(Budget())
RNG = random.Random(0)
GOOD, BAD = 2.0, -2.0
REVISION = make(SequentialRevision, num_samples=8, num_chains=1)


def attempts(parent: int, *texts: str) -> Expanded:
    """Returns an event that writes one attempt per text below `parent`: a step per
    letter, the last one an answer.
    """
    chains = tuple(
        tuple(step(letter, answer=letter if letter == text[-1] else None) for letter in text)
        for text in texts
    )
    return Expanded(parent, chains, "answer")


def verdicts(evidence: dict[int, float]) -> list[Event]:
    return [judged(node, value) for node, value in evidence.items()]


def asked(strategy: SequentialRevision, *events: Event) -> list[Expansion]:
    return strategy.select(tree_of(events), METER, RNG)


def test_first_attempts_are_written_side_by_side() -> None:
    chains = make(SequentialRevision, num_samples=8, num_chains=3)
    assert asked(chains) == [Expansion(ROOT, n=3, horizon="answer")]
    assert asked(chains, attempts(ROOT, "abc")) == [Expansion(ROOT, n=2, horizon="answer")], (
        "the budget granted one"
    )


def test_a_revision_begins_before_the_first_wrong_step_which_it_is_shown() -> None:
    events = [attempts(ROOT, "abcd"), *verdicts({1: GOOD, 2: GOOD, 3: BAD, 4: BAD})]
    assert asked(REVISION, *events) == [Expansion(2, horizon="answer", mistakes=(3,))]


def test_an_attempt_without_a_wrong_step_ends_its_chain() -> None:
    assert asked(REVISION, attempts(ROOT, "abc"), *verdicts({1: GOOD, 2: GOOD, 3: GOOD})) == []
    two = make(SequentialRevision, num_samples=8, num_chains=2)
    events = [attempts(ROOT, "abc", "xyz"), *verdicts({1: GOOD, 2: GOOD, 3: GOOD, 4: BAD})]
    assert asked(two, *events) == [Expansion(ROOT, horizon="answer", mistakes=(4,))]


def test_an_attempt_whose_verdicts_cannot_be_read_is_not_revised() -> None:
    events: list[Event] = [attempts(ROOT, "abc"), judged(1, GOOD), unread(2)]
    assert asked(REVISION, *events, unread(3)) == []
    assert asked(REVISION, *events, judged(3, BAD)) == [
        Expansion(2, horizon="answer", mistakes=(3,))
    ]


def test_a_chain_goes_on_where_its_last_attempt_failed() -> None:
    first = [attempts(ROOT, "abc"), *verdicts({1: GOOD, 2: BAD})]
    second = [attempts(1, "de"), *verdicts({4: GOOD, 5: BAD})]
    third = [attempts(4, "f"), *verdicts({6: GOOD})]
    assert asked(REVISION, *first) == [Expansion(1, horizon="answer", mistakes=(2,))]
    assert asked(REVISION, *first, *second) == [Expansion(4, horizon="answer", mistakes=(5,))]
    assert asked(REVISION, *first, *second, *third) == []


def test_the_latest_mistakes_are_shown_as_many_as_may_be() -> None:
    events = [
        attempts(ROOT, "ax"),
        *verdicts({1: BAD}),
        attempts(ROOT, "bx"),
        *verdicts({3: BAD}),
        attempts(ROOT, "cx"),
        *verdicts({5: BAD}),
    ]
    for show_mistakes, shown in ((0, ()), (1, (5,)), (2, (3, 5)), (4, (1, 3, 5))):
        strategy = make(
            SequentialRevision, num_samples=8, num_chains=1, show_mistakes=show_mistakes
        )
        assert asked(strategy, *events) == [Expansion(ROOT, horizon="answer", mistakes=shown)]


def test_equal_attempts_are_as_many_chains() -> None:
    strategy = make(SequentialRevision, num_samples=8, num_chains=3)
    events = [attempts(ROOT, "ab", "ab", "cd"), *verdicts({1: BAD, 3: GOOD, 4: BAD})]
    assert asked(strategy, *events) == [
        Expansion(ROOT, n=2, horizon="answer", mistakes=(1,)),
        Expansion(3, horizon="answer", mistakes=(4,)),
    ]


def test_a_revision_that_says_the_same_again_is_revised_again() -> None:
    events = [attempts(ROOT, "ab"), *verdicts({1: GOOD, 2: BAD}), attempts(1, "b")]
    assert asked(REVISION, *events) == [Expansion(1, horizon="answer", mistakes=(2,))]


def test_a_cut_step_is_sampled_again_and_not_shown() -> None:
    cut = Expanded(
        ROOT, ((step("a"), step("b", cut=True)), (step("c"), step("d", answer=""))), "answer"
    )
    strategy = make(SequentialRevision, num_samples=8, num_chains=2)
    assert asked(strategy, cut, *verdicts({1: GOOD, 3: GOOD, 4: GOOD})) == [
        Expansion(1, horizon="answer"),
        Expansion(3, horizon="answer"),
    ]


def test_the_answer_is_chosen_among_all_attempts() -> None:
    events = [
        attempts(ROOT, "ab"),
        *verdicts({1: GOOD, 2: -0.1}),
        attempts(1, "c"),
        *verdicts({3: -3.0}),
    ]
    tree = tree_of(events)
    assert (
        make(SequentialRevision, num_samples=2, num_chains=1, selector=Selector("best")).choose(
            tree
        )
        == 2
    ), "the revision made it worse"


@pytest.mark.parametrize("num_chains", [1, 2, 5])
@seeds(6, first=2)
def test_every_chain_is_followed_as_if_it_were_written_down(num_chains: int, seed: int) -> None:
    """Against bookkeeping: where each chain waits, brought up to date by every
    sample.
    """
    search = simulate(
        make(SequentialRevision, num_samples=20, num_chains=num_chains),
        World(seed, flip_rate=0.3),
        seed=seed,
    )
    written = (event for event in search.events if isinstance(event, Expanded))
    waiting = Counter({ROOT: num_chains})
    done = 0
    for requests in search.requests:
        served = Counter({request.node: request.n for request in requests})
        assert served <= waiting and served.total() == min(waiting.total(), 20 - done)
        waiting -= served
        done += served.total()
        for _ in requests:
            event = next(written)
            waiting.update(
                node
                for chain in event.chains
                if (node := _fails_at(search.tree, event.parent, chain)) is not None
            )
    assert done == search.samples and (done == 20 or not waiting.total())


def _fails_at(tree: ReasoningTree, node: int, chain: Sequence[Step]) -> int | None:
    """Returns the node before the first wrong step of a sample that was written below
    `node`; None where all are right.
    """
    for one in chain:
        child = next(
            child for child in tree.children[node] if tree.step(child).content == one.content
        )
        if tree.is_wrong(child):
            return node
        node = child
    return None


def test_options_and_refusals() -> None:
    assert isinstance(build_strategy(compose(["search=sequential_revision"])), SequentialRevision)
    for words, parts in (
        (
            ["search.num_chains=9", "search.num_samples=8"],
            ["search.num_chains (9) must be at most search.num_samples (8)"],
        ),
        (
            ["critic=none"],
            [
                "search.strategy (sequential_revision) needs a critic",
                "choose critic=working or critic=token, or choose",
            ],
        ),
        (["policy.temperature=0"], ["search.num_chains (4) equal copies"]),
        (
            ["policy.temperature=0", "search.num_chains=1", "search.show_mistakes=0"],
            ["search.num_samples (16) equal copies"],
        ),
    ):
        with pytest.raises(ConfigError) as caught:
            compose(["search=sequential_revision", *words])
        assert all(part in str(caught.value) for part in parts), str(caught.value)
