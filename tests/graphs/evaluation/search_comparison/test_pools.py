"""Votes, best-of-N, coverage and cost of k samples, against counting over all subsets;
the first k samples, and other critics on them.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from statistics import mean

import numpy as np
import pytest

from agents.critics import OracleCritic
from agents.types import Usage
from graphs.evaluation.scaling import pool_of
from graphs.evaluation.search_comparison.choices import Ranking
from graphs.evaluation.search_comparison.cost import cost_of, pool_costs
from graphs.evaluation.search_comparison.pools import (
    best_of,
    coverage,
    first_samples,
    log_weights,
    path_logprobs,
    rejudged,
    votes,
)
from graphs.strategies.selection import Selector
from graphs.tree import Event, ReasoningTree
from graphs.tree.truth import truth_of
from tests.graphs.evaluation.search_comparison.trees import (
    LOST,
    LUCKY,
    SOUND,
    SUM,
    WRONG_END,
    problem_of,
    samples,
    trace_of,
)
from tests.graphs.strategies.trees import judged

CUT = ("19 + 8 = 27", "27 * 8")
POOL = [SOUND, LUCKY, WRONG_END, SOUND, LOST, LOST, CUT]
KS = list(range(1, len(POOL) + 1))


def tree_with_verdicts() -> tuple[ReasoningTree, list[Event]]:
    size = len(ReasoningTree.replay(SUM, [samples(*POOL)]))
    events: list[Event] = [
        samples(*POOL),
        *(judged(node, 1.5 - 0.4 * node) for node in range(1, size)),
    ]
    return ReasoningTree.replay(SUM, events), events


def subsets(k: int) -> list[ReasoningTree]:
    """Returns the tree of every subset of k samples, each step with the verdict that it
    has in the whole pool.
    """
    whole, _ = tree_with_verdicts()
    verdicts = {
        tuple(step.content.reveal().text for step in whole.path_steps(node)): whole.verdicts[node]
        for node in range(1, len(whole))
    }
    trees = []
    for chosen in combinations(POOL, k):
        tree = ReasoningTree.replay(SUM, [samples(*chosen)])
        for node in range(1, len(tree)):
            texts = tuple(step.content.reveal().text for step in tree.path_steps(node))
            tree.apply([replace(judged(node, 0.0), verdict=verdict) for verdict in verdicts[texts]])
        trees.append(tree)
    return trees


def share_right(k: int, selector: Selector) -> float:
    right = []
    for tree in subsets(k):
        leaf = selector.choose(tree, tree.answer_leaves())
        right.append(leaf is not None and bool(truth_of(tree, problem_of()).answered[leaf]))
    return mean(right)


@pytest.mark.parametrize("k", KS)
def test_best_of_n_is_what_all_subsets_come_to(k: int) -> None:
    tree, _ = tree_with_verdicts()
    ranking = Ranking("product", 0.5)
    pool = pool_of(tree, truth_of(tree, problem_of()).answered, log_weights(tree, ranking))
    assert best_of(pool, [k]) == [
        pytest.approx(share_right(k, Selector("best", ranking.aggregation, ranking.logprob_weight)))
    ]


@pytest.mark.parametrize("k", KS)
def test_a_weighted_vote_is_nearly_what_all_subsets_come_to(k: int) -> None:
    tree, _ = tree_with_verdicts()
    pool = pool_of(tree, truth_of(tree, problem_of()).answered, log_weights(tree, Ranking("min")))
    [value] = votes(pool, [k], np.random.default_rng(0))
    assert value == pytest.approx(
        share_right(k, Selector("weighted_vote", "min")), abs=4 * 0.5 / 200**0.5
    )


def test_samples_without_an_answer_count_and_do_not_vote() -> None:
    tree = ReasoningTree.replay(SUM, [samples(SOUND, CUT, CUT)])
    truth = truth_of(tree, problem_of())
    assert votes(pool_of(tree, truth.answered), [1, 3], np.random.default_rng(0)) == [
        pytest.approx(1 / 3, abs=0.15),
        1.0,
    ]
    assert best_of(pool_of(tree, truth.answered), [1, 3]) == [pytest.approx(1 / 3), 1.0]
    assert coverage(tree, truth.derived, [1, 2, 3]) == [
        pytest.approx(1 / 3),
        pytest.approx(2 / 3),
        1.0,
    ]


def test_log_probability_votes_look_at_no_verdict() -> None:
    tree, _ = tree_with_verdicts()
    assert path_logprobs(tree)[tree.ends[0]] == -3.0


def test_coverage_of_derivations_is_below_that_of_answers() -> None:
    tree, _ = tree_with_verdicts()
    truth = truth_of(tree, problem_of())
    assert coverage(tree, truth.derived, [1]) == [pytest.approx(2 / 7)] and coverage(
        tree, truth.answered, [1]
    ) == [pytest.approx(3 / 7)]


USAGE = {"policy": Usage(7 * 3, 4 * 3, 21, 1), "critic": Usage(150, 50, 26, 13)}


def test_the_whole_pool_costs_what_the_run_paid() -> None:
    tree, events = tree_with_verdicts()
    trace = replace(trace_of(events), usage=USAGE)
    [judged_cost] = pool_costs(trace, tree, [len(POOL)], judged=True)
    assert judged_cost == pytest.approx(cost_of(trace))
    [plain] = pool_costs(trace, tree, [len(POOL)], judged=False)
    assert plain == pytest.approx(cost_of(replace(trace, usage={"policy": USAGE["policy"]})))


@pytest.mark.parametrize("k", KS)
def test_verdicts_of_k_samples_are_those_of_their_distinct_steps(k: int) -> None:
    tree, events = tree_with_verdicts()
    trace = replace(trace_of(events), usage=USAGE)
    [cost] = pool_costs(trace, tree, [k], judged=True)
    verdicts = mean(len(subset) - 1 for subset in subsets(k))
    assert cost.generated_tokens == pytest.approx(21 * k / 7 + 26 * verdicts / (len(tree) - 1))


def test_a_shared_prompt_is_paid_once_any_other_with_every_sample() -> None:
    events: list[Event] = [samples(SOUND, LOST)]
    tree = ReasoningTree.replay(SUM, first_samples(events, 2))
    for uncached, each in ((3, 3), (6, 3)):
        trace = replace(trace_of(events), usage={"policy": Usage(6, 6 - uncached, 10, 1)})
        one, two = pool_costs(trace, tree, [1, 2], judged=False)
        per_token = 2 * trace.engine.parameters
        assert one.flops == per_token * (5 + each) and two.flops == per_token * (10 + uncached)


@pytest.mark.parametrize("k", range(1, len(POOL) + 1))
def test_the_first_samples_of_a_pool_are_the_pool_of_so_many(k: int) -> None:
    whole = ReasoningTree.replay(SUM, [samples(*POOL)])
    verdicts = [judged(node, float(node)) for node in range(1, len(whole))]
    few, own = (
        ReasoningTree.replay(SUM, first_samples([samples(*POOL), *verdicts], k)),
        ReasoningTree.replay(SUM, [samples(*POOL[:k])]),
    )
    assert (
        few.steps == own.steps and few.count.tolist() == own.count.tolist() and few.samples[0] == k
    )
    assert few.log_likelihood_ratio[1:].tolist() == [float(node) for node in range(1, len(few))]


def test_the_first_samples_of_several_requests_are_taken_in_order() -> None:
    few = ReasoningTree.replay(SUM, first_samples([samples(*POOL[:2]), samples(*POOL[2:])], 3))
    assert few.ends == ReasoningTree.replay(SUM, [samples(*POOL[:3])]).ends


async def test_a_pool_is_judged_again_by_another_critic() -> None:
    events: list[Event] = [samples(*POOL), judged(1, -3.0)]
    tree = await rejudged(SUM, events, OracleCritic(seed=0))
    truth = truth_of(tree, problem_of())
    assert (tree.log_likelihood_ratio[1:] > 0).tolist() == truth.right[1:].tolist()
    assert (tree.judged[1:] == 1).all()
