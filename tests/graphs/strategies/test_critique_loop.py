"""Golden trees and laws of the suggestion-critique loop."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from agents.critics.calibration import PlattScaling
from agents.types import Budget, Meter, Verdict
from graphs.strategies import CritiqueLoop
from graphs.tree import ROOT, Event, Expanded, Expansion, Failed, Judged, ReasoningTree
from graphs.tree.tree import MOST_FAILURES
from tests.graphs.strategies.make import make
from tests.graphs.strategies.trees import (
    expanded,
    expansions,
    judged,
    reflected,
    step,
    tree_of,
    unread,
)
from tests.seeds import seeds

METER = Meter(Budget())
RNG = random.Random(0)


def sampled(**options: Any) -> CritiqueLoop:
    """Returns a loop that samples the first step of a node, too."""
    return make(CritiqueLoop, first_temperature=None, **options)


def test_begins_at_the_question() -> None:
    loop = sampled(num_children=3, first_factor="propose")
    assert loop.select(tree_of([]), METER, RNG) == [Expansion(ROOT, n=3, factor="propose")]


def test_goes_on_from_the_best_children_that_stand() -> None:
    loop = sampled(num_children=3, beam_width=2, max_children=3)
    tree = tree_of(
        [
            expanded(ROOT, step("a"), step("b"), step("c")),
            judged(1, 1.0),
            judged(2, -1.0),
            judged(3, 2.0),
        ]
    )
    assert [expansion.node for expansion in expansions(loop.select(tree, METER, RNG))] == [3, 1]


def test_ranks_by_the_policys_logprob_where_it_is_told_to() -> None:
    tree = tree_of(
        [
            expanded(ROOT, step("a", logprob=-0.1), step("b", logprob=-5.0)),
            judged(1, 1.0),
            judged(2, 1.5),
        ]
    )
    assert expansions(sampled(max_children=2).select(tree, METER, RNG))[0].node == 2
    assert (
        expansions(sampled(max_children=2, logprob_weight=0.5).select(tree, METER, RNG))[0].node
        == 1
    )


def test_asks_again_where_nothing_stands_and_only_as_often_as_allowed() -> None:
    loop = sampled(num_children=2, max_children=3, max_backtracks=0)
    events: list[Event] = [expanded(ROOT, step("a"), step("b")), judged(1, -1.0), judged(2, -2.0)]
    assert loop.select(tree_of(events), METER, RNG) == [Expansion(ROOT, n=1)]
    events += [expanded(ROOT, step("c")), judged(3, -3.0)]
    assert loop.select(tree_of(events), METER, RNG) == [Expansion(1, n=2)], (
        "all tries used up: the least bad step is taken"
    )


def test_takes_a_given_up_step_only_where_there_is_no_other() -> None:
    loop = sampled(max_children=2)
    events: list[Event] = [
        expanded(ROOT, step("a")),
        judged(1, 1.0),
        expanded(1, step("b")),
        judged(2, -1.0),
        reflected(2, "backtrack", 0),
    ]
    events += [expanded(ROOT, step("c")), judged(3, -2.0)]
    assert [
        expansion.node for expansion in expansions(loop.select(tree_of(events), METER, RNG))
    ] == [3]
    assert (
        expansions(loop.select(tree_of([*events, Failed(3, "context_length")]), METER, RNG))[0].node
        == 1
    )
    assert (
        expansions(loop.select(tree_of([*events, Failed(3, "unparsed")]), METER, RNG))[0].node == 3
    ), "what could not be read is tried again"
    assert (
        expansions(
            loop.select(tree_of([*events, *[Failed(3, "unparsed")] * MOST_FAILURES]), METER, RNG)
        )[0].node
        == 1
    )


def test_writes_through_to_an_answer_when_the_budget_ends() -> None:
    loop = sampled(reserve_tokens=30)
    tree = tree_of([expanded(ROOT, step("a")), judged(1, 1.0)])
    assert loop.select(tree, Meter(Budget(max_tokens=31)), RNG) == [Expansion(1, n=1)]
    assert loop.select(tree, Meter(Budget(max_tokens=30)), RNG) == [
        Expansion(1, horizon="answer", temperature=0.0, allow_backtracking=True)
    ]
    tree.apply([expanded(1, step("b", answer="4"))])
    assert loop.select(tree, Meter(Budget(max_tokens=20)), RNG) == [] and loop.choose(tree) == 2


@pytest.mark.parametrize("budget", [Budget(max_calls=4), Budget(max_nodes=2)])
def test_writes_through_when_calls_or_nodes_do_not_pay_for_a_round(budget: Budget) -> None:
    tree = tree_of([expanded(ROOT, step("a"), step("b")), judged(1, 1.0)])
    meter = Meter(budget)
    meter.nodes = 1
    loop = sampled(num_children=2)
    assert loop.select(tree, meter, RNG) == [
        Expansion(1, horizon="answer", temperature=0.0, allow_backtracking=True)
    ]


def test_writes_through_at_the_depth_cap_and_only_once() -> None:
    loop = sampled(max_depth=1)
    events: list[Event] = [expanded(ROOT, step("a")), judged(1, 1.0)]
    through = Expansion(1, horizon="answer", temperature=0.0, allow_backtracking=True)
    assert loop.select(tree_of(events), METER, RNG) == [through]
    events += [Expanded(1, ((step("just stops", answer=""),),), "answer")]
    tree = tree_of(events)
    assert loop.select(tree, METER, RNG) == [] and loop.choose(tree) is None


def test_an_end_without_an_answer_does_not_stand() -> None:
    loop = sampled(max_children=2)
    tree = tree_of([expanded(ROOT, step("I give up", answer="")), judged(1, 3.0)])
    assert loop.select(tree, METER, RNG) == [Expansion(ROOT, n=1)]


def test_no_step_is_reflected_on_after_max_backtracks() -> None:
    events: list[Event] = [
        expanded(ROOT, step("a")),
        judged(1, 1.0),
        expanded(1, step("b")),
        judged(2, -1.0),
        reflected(2, "backtrack", 0),
    ]
    events += [expanded(ROOT, step("c")), judged(3, -2.0)]
    assert sampled(max_backtracks=2).to_reflect(tree_of(events), [3]) == [3]
    assert sampled(max_backtracks=1).to_reflect(tree_of(events), [3]) == []


def test_the_first_step_of_a_node_is_greedy_and_others_are_sampled() -> None:
    loop = make(CritiqueLoop, num_children=3, max_children=4, first_factor="propose")
    greedy = Expansion(ROOT, n=1, factor="propose", temperature=0.0)
    assert loop.select(tree_of([]), METER, RNG) == [
        greedy,
        Expansion(ROOT, n=2, factor="propose"),
    ]
    tree = tree_of([expanded(ROOT, step("a"), step("b"), step("c")), judged(1, -1.0)])
    tree.apply([judged(2, -1.0), judged(3, -1.0)])
    assert loop.select(tree, METER, RNG) == [Expansion(ROOT, n=1, factor="propose")]
    assert make(CritiqueLoop, first_factor="propose").select(tree_of([]), METER, RNG) == [greedy]


@pytest.mark.parametrize("evidence", [-9.0, -0.1, 0.0, 3.0])
def test_an_uncalibrated_verdict_alone_rejects_no_step(evidence: float) -> None:
    loop = make(CritiqueLoop)
    verdict = Verdict(0.5, "token_critic", log_likelihood_ratio=evidence, is_calibrated=False)
    tree = tree_of([expanded(ROOT, step("a")), Judged(1, verdict)])
    assert loop.to_reflect(tree, [1]) == []
    assert [one.node for one in expansions(loop.select(tree, METER, RNG))] == [1]


def test_uncalibrated_verdicts_rank_the_children_of_a_node() -> None:
    loop = sampled(num_children=3, max_children=3)
    tree = tree_of([expanded(ROOT, step("a"), step("b"), step("c"))])
    for node, evidence in ((1, -3.0), (2, -1.0), (3, -2.0)):
        verdict = Verdict(0.5, "token_critic", log_likelihood_ratio=evidence, is_calibrated=False)
        tree.apply([Judged(node, verdict)])
    assert [one.node for one in expansions(loop.select(tree, METER, RNG))] == [2]


def test_weak_evidence_against_a_probable_step_rejects_nothing() -> None:
    loop = make(CritiqueLoop)
    scaling = PlattScaling(prior=0.8)
    assert scaling.wrong_below(0.5) == pytest.approx(-math.log(4))
    for evidence, node in ((-1.3, 1), (-1.5, ROOT)):
        verdict = Verdict(
            0.5,
            "token_critic",
            log_likelihood_ratio=evidence,
            wrong_below=scaling.wrong_below(0.5),
        )
        tree = tree_of([expanded(ROOT, step("a")), Judged(1, verdict)])
        assert [one.node for one in expansions(loop.select(tree, METER, RNG))] == [node]
    assert PlattScaling(prior=0.2).wrong_below(0.5) == 0.0
    assert PlattScaling().wrong_below(0.2) == pytest.approx(-math.log(4))


def test_shows_the_latest_mistakes_before_another_try() -> None:
    loop = sampled(show_mistakes=1, retry_factor="correct")
    tree = tree_of(
        [expanded(ROOT, step("a")), judged(1, -1.0), expanded(ROOT, step("b")), judged(2, -1.0)]
    )
    assert loop.select(tree, METER, RNG) == [Expansion(ROOT, n=1, factor="correct", mistakes=(2,))]


def test_an_unjudged_step_is_never_continued() -> None:
    loop = sampled(max_children=4)
    tree = tree_of([expanded(ROOT, step("unjudged"), step("ended", answer="")), judged(2, 5.0)])
    assert loop.select(tree, METER, RNG) == [Expansion(ROOT, n=1)]


def test_a_step_cut_at_its_limit_is_judged_and_continued_like_any_other() -> None:
    loop = sampled(max_children=4)
    events: list[Event] = [expanded(ROOT, step("cut", cut=True)), judged(1, 5.0)]
    assert loop.select(tree_of(events), METER, RNG)[0] == Expansion(1, n=1)
    ended = Expanded(1, ((step("rest"), step("cut", cut=True)),), "answer")
    assert tree_of([*events, ended]).closed.tolist() == [False, False, False, True]


def test_a_step_with_an_unreadable_verdict_is_kept_if_none_is_right() -> None:
    loop = sampled(num_children=3, beam_width=2, max_children=3)
    events: list[Event] = [
        expanded(ROOT, step("a"), step("b"), step("c")),
        judged(1, -1.0),
        unread(2),
    ]
    assert [
        expansion.node
        for expansion in expansions(loop.select(tree_of([*events, judged(3, -1.0)]), METER, RNG))
    ] == [2]
    assert [
        expansion.node
        for expansion in expansions(loop.select(tree_of([*events, judged(3, 0.1)]), METER, RNG))
    ] == [3]
    backtracked = [*events, judged(3, -1.0), reflected(2, "backtrack", 0)]
    assert expansions(loop.select(tree_of(backtracked), METER, RNG))[0].node in (1, 3), (
        "all tries used up: the least bad step"
    )


def test_an_unreadable_critic_costs_one_try_a_level_and_no_reflection() -> None:
    loop = sampled(max_children=8)
    events: list[Event] = [expanded(ROOT, step("a")), unread(1)]
    assert (
        loop.select(tree_of(events), METER, RNG) == [Expansion(1, n=1)]
        and loop.to_reflect(tree_of(events), [1]) == []
    )
    events += [expanded(1, step("b", answer="4")), unread(2)]
    assert loop.select(tree_of(events), METER, RNG) == [] and loop.choose(tree_of(events)) == 2


def test_an_unjudged_step_is_never_shown_as_a_mistake() -> None:
    loop = sampled(num_children=2, show_mistakes=4, retry_factor="correct")
    tree = tree_of(
        [
            expanded(ROOT, step("a"), step("b", answer="")),
            unread(1),
            reflected(1, "backtrack", 0),
            unread(2),
        ]
    )
    assert loop.select(tree, METER, RNG) == [Expansion(ROOT, n=2)]


def test_stops_at_an_answer_that_stands() -> None:
    loop = sampled()
    tree = tree_of([expanded(ROOT, step("a", answer="4")), judged(1, 1.0)])
    assert loop.select(tree, METER, RNG) == []
    assert loop.choose(tree) == 1


def test_an_answer_that_was_rejected_sends_the_search_on() -> None:
    loop = sampled(max_children=2)
    tree = tree_of([expanded(ROOT, step("a", answer="4")), judged(1, -1.0)])
    assert loop.select(tree, METER, RNG) == [Expansion(ROOT, n=1)]
    assert loop.choose(tree) == 1, (
        "where the budget ends now, a rejected answer is better than none"
    )


def test_reflects_on_the_least_bad_wrong_child_of_a_stuck_node() -> None:
    loop = sampled()
    tree = tree_of([expanded(ROOT, step("a"), step("b")), judged(1, -3.0), judged(2, -1.0)])
    assert loop.to_reflect(tree, [1, 2]) == [2]
    standing = tree_of([expanded(ROOT, step("a"), step("b")), judged(1, -3.0), judged(2, 1.0)])
    assert loop.to_reflect(standing, [1, 2]) == []


def test_backtracking_gives_a_kept_step_up() -> None:
    events: list[Event] = [
        expanded(ROOT, step("a")),
        judged(1, 1.0),
        expanded(1, step("b")),
        judged(2, -1.0),
    ]
    loop = sampled()
    assert loop.select(tree_of(events), METER, RNG) == [Expansion(1, n=1)]
    events.append(reflected(2, "backtrack", target=0))
    assert loop.select(tree_of(events), METER, RNG) == [Expansion(ROOT, n=1)]


def test_terminate_ends_the_search() -> None:
    tree = tree_of([expanded(ROOT, step("a")), judged(1, -1.0), reflected(1, "terminate")])
    assert sampled().select(tree, METER, RNG) == []


def test_a_node_that_failed_is_not_tried_again() -> None:
    assert sampled().select(tree_of([Failed(ROOT, "context_length")]), METER, RNG) == []


@seeds(30, first=6)
def test_always_comes_to_an_end(seed: int) -> None:
    """Whatever critic and reflector say, the loop ends within the number of tries that
    its settings allow.
    """
    rng = random.Random(seed)
    loop = make(
        CritiqueLoop,
        num_children=rng.randint(1, 3),
        beam_width=rng.randint(1, 3),
        max_children=rng.randint(3, 5),
        max_backtracks=2,
        max_depth=5,
    )
    tree = ReasoningTree(tree_of([]).question)
    rounds = 0
    while selected := expansions(loop.select(tree, METER, RNG)):
        rounds += 1
        assert rounds < 500
        begin = len(tree)
        for expansion in selected:
            first = len(tree)
            depth = int(tree.depth[expansion.node]) + 1
            steps = [
                step(f"{first + i}", answer="x" if depth >= 4 or rng.random() < 0.1 else None)
                for i in range(expansion.n)
            ]
            tree.apply([expanded(expansion.node, *steps)])
            tree.apply([judged(node, rng.gauss(0.0, 1.0)) for node in range(first, len(tree))])
        for node in loop.to_reflect(tree, range(begin, len(tree))):
            tree.apply(
                [
                    reflected(
                        node,
                        rng.choice(["reflect", "continue", "backtrack"]),
                        rng.randint(0, int(tree.depth[node]) - 1),
                    )
                ]
            )
    assert all(len(children) <= loop.config.max_children for children in tree.children)
