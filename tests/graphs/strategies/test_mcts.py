"""Monte Carlo tree search: where a simulation goes, what it asks for, and what it is
worth.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any, get_args

import pytest

from agents.types import Budget, Meter, ThoughtFactor
from agents.types.factor import QUESTION, legal_factors
from configs import ConfigError, compose
from configs.schema.search.base import ScoreAggregation
from graphs.strategies import Greedy, Mcts
from graphs.strategies.build import build_strategy
from graphs.strategies.selection import Selector
from graphs.strategies.trees.puct import dirichlet, puct_scores, softmax, visit_shares
from graphs.tree import (
    ROOT,
    Backup,
    Event,
    Expanded,
    Expansion,
    Failed,
    PriorsComputed,
    ReasoningTree,
)
from tests.graphs.strategies.make import make
from tests.graphs.strategies.trees import expanded, expansions, judged, step, tree_of
from tests.graphs.strategies.world import RIGHT_ANSWER, Search, World, simulate
from tests.seeds import seeds

METER = Meter(Budget())
RSTAR = compose(["policy=rstar"]).policy.factors
TWO = [expanded(ROOT, step("a"), step("b")), judged(1, 1.0), judged(2, 0.0)]


def mcts(**options: Any) -> Mcts:
    return make(Mcts, **{"num_simulations": 24, "selector": Selector("weighted_vote"), **options})


def asked(strategy: Mcts, events: Sequence[Event], seed: int = 0) -> list[Expansion | Backup]:
    return list(strategy.select(tree_of(events), METER, random.Random(seed)))


def prefixes(search: Search) -> list[ReasoningTree]:
    """Returns the tree as it was whenever the strategy was asked: after the question,
    and after every simulation.
    """
    ends = [number + 1 for number, event in enumerate(search.events) if isinstance(event, Backup)]
    return [tree_of(search.events[:end]) for end in (0, *ends)]


# The formula.


@seeds(20, first=4)
def test_the_scores_are_those_of_the_formula(seed: int) -> None:
    rng = random.Random(seed)
    values, priors = ([rng.random() for _ in range(5)] for _ in range(2))
    visits = [rng.randrange(1000) for _ in range(5)]
    c = math.log((1 + sum(visits) + 500.0) / 500.0) + 1.25
    naive = [values[b] + c * priors[b] * math.sqrt(sum(visits)) / (1 + visits[b]) for b in range(5)]
    assert puct_scores(values, priors, visits, c_puct=1.25, c_base=500.0) == pytest.approx(naive)


def test_at_the_first_visit_the_values_alone_decide() -> None:
    assert puct_scores([0.1, 0.3], [0.9, 0.1], [0, 0], c_puct=1.25, c_base=19652.0) == [0.1, 0.3]


def test_shares_of_visits_follow_the_temperature() -> None:
    assert visit_shares([1, 3], temperature=1.0) == [0.25, 0.75]
    assert visit_shares([1, 3], temperature=0.5) == pytest.approx([0.1, 0.9])
    assert visit_shares([2, 3, 3], temperature=0.0) == [0.0, 1.0, 0.0]
    assert visit_shares([10**6, 1], temperature=0.01) == [1.0, 0.0]


def test_noise_is_a_distribution_that_is_even_on_average() -> None:
    rng = random.Random(0)
    draws = [dirichlet(rng, 0.3, 4) for _ in range(4000)]
    assert all(sum(draw) == pytest.approx(1.0) for draw in draws)
    assert [sum(column) / len(draws) for column in zip(*draws, strict=True)] == pytest.approx(
        [0.25] * 4, abs=0.03
    )
    assert sum(dirichlet(rng, 1e-6, 3)) == pytest.approx(1.0)


@pytest.mark.parametrize("aggregation", get_args(ScoreAggregation))
@pytest.mark.parametrize(("outcome_weight", "logprob_weight"), [(0.0, 0.0), (0.3, 0.0), (0.0, 0.5)])
def test_the_value_of_a_node_is_the_exponential_of_its_score(
    aggregation: ScoreAggregation, outcome_weight: float, logprob_weight: float
) -> None:
    selector = Selector(
        "best",
        aggregation=aggregation,
        outcome_weight=outcome_weight,
        logprob_weight=logprob_weight,
    )
    tree = simulate(mcts(num_simulations=12), World(1)).tree
    assert len(tree) > 20
    for node in range(1, len(tree)):
        assert mcts(selector=selector).value_of(tree, node) == pytest.approx(
            math.exp(selector.score(tree, node))
        )


def test_a_value_without_verdicts_is_that_of_the_policy() -> None:
    tree = tree_of([expanded(ROOT, step("a", logprob=-2.0))])
    assert mcts().value_of(tree, 1) == 1.0
    assert mcts(selector=Selector("best", logprob_weight=0.5)).value_of(tree, 1) == pytest.approx(
        math.exp(-1.0)
    )


def test_evidence_without_bounds_does_not_overflow() -> None:
    tree = tree_of([expanded(ROOT, step("a"), step("b")), judged(1, 1e4), judged(2, -1e4)])
    assert [mcts().value_of(tree, node) for node in (1, 2)] == [1.0, 0.0]


# Where a simulation goes.


def naive_leaf(strategy: Mcts, tree: ReasoningTree) -> int:
    """Returns where a simulation ends, written from the formula: the first node that
    the policy was not asked about, or an answer.
    """
    node = ROOT
    while tree.samples[node] > 0:
        children = [child for child in tree.children[node] if tree.is_viable(child)]
        total = sum(int(tree.visit_count[child]) for child in children)
        scores = []
        for child, prior in zip(children, strategy.priors(tree, children), strict=True):
            n = int(tree.visit_count[child])
            value = (
                tree.value_sum[child] / n if n else math.exp(strategy.selector.score(tree, child))
            )
            c = (
                math.log((1 + total + strategy.config.c_base) / strategy.config.c_base)
                + strategy.config.c_puct
            )
            scores.append(value + c * prior * math.sqrt(total) / (1 + n))
        node = children[scores.index(max(scores))]
    return node


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"prior": "logprob"},
        {"c_puct": 0.1, "c_base": 3.0},
        {"selector": Selector("best", "min")},
    ],
    ids=str,
)
@seeds(4, first=2)
def test_a_simulation_goes_where_the_formula_says(options: dict[str, Any], seed: int) -> None:
    strategy = mcts(**options, num_simulations=60)
    search = simulate(strategy, World(seed, continuations=8), seed=seed)
    trees = prefixes(search)[:-1]
    assert len(trees) >= 60
    for tree in trees:
        (wanted,) = strategy.select(tree, METER, random.Random(0))
        leaf = naive_leaf(strategy, tree)
        assert wanted == (
            Backup(leaf, strategy.value_of(tree, leaf))
            if tree.terminal[leaf]
            else Expansion(leaf, n=4)
        )


def test_the_best_of_the_new_steps_is_backed_up() -> None:
    tree = tree_of(TWO)
    (backup,) = mcts().to_back_up(tree, [1, 2])
    assert backup.leaf == 1 and backup.value == pytest.approx(1 / (1 + math.exp(-1.0)))


def test_the_end_of_what_was_written_through_is_backed_up() -> None:
    tree = tree_of(
        [
            Expanded(
                ROOT,
                ((step("a"), step("b", answer="1")), (step("c"), step("d", cut=True))),
                "answer",
            ),
            judged(2, 1.0),
        ]
    )
    (backup,) = mcts().to_back_up(tree, [1, 2, 3, 4])
    assert backup.leaf == 2


@pytest.mark.parametrize(
    "options",
    [{}, {"parallel_leaves": 4}, {"value": "rollout"}, {"use_factors": True, "factors": RSTAR}],
    ids=str,
)
@seeds(4, first=2)
def test_the_visits_of_the_children_are_those_of_their_parent_less_its_own(
    options: dict[str, Any], seed: int
) -> None:
    search = simulate(mcts(**options), World(seed), seed=seed)
    own = Counter(event.leaf for event in search.events if isinstance(event, Backup))
    tree = search.tree
    for node in range(len(tree)):
        assert (
            sum(tree.visit_count[child] for child in tree.children[node])
            == tree.visit_count[node] - own[node]
        )
    assert tree.visit_count[ROOT] == own.total() and own[ROOT] == 0


@pytest.mark.parametrize("parallel_leaves", [1, 4, 7])
def test_the_root_is_visited_as_often_as_it_may_be(parallel_leaves: int) -> None:
    search = simulate(mcts(num_simulations=40, parallel_leaves=parallel_leaves), World())
    assert search.tree.visit_count[ROOT] == 40 and search.answer


def test_an_answer_is_visited_again_without_a_request() -> None:
    tree = tree_of(
        [
            expanded(ROOT, step("a", answer="1"), step("b", answer="2")),
            judged(1, 1.0),
            judged(2, 0.9),
        ]
    )
    strategy = mcts(num_simulations=10)
    while backups := strategy.select(tree, METER, random.Random(0)):
        assert all(isinstance(backup, Backup) for backup in backups)
        tree.apply([backup for backup in backups if isinstance(backup, Backup)])
    assert tree.visit_count.tolist() == [10, 5, 5]


def test_a_dead_end_is_worth_nothing() -> None:
    events = [
        *TWO,
        Backup(1, 0.7),
        expanded(1, step("c", answer=""), step("d", answer="")),
        judged(4, 2.0),
    ]
    assert mcts().to_back_up(tree_of(events), [3, 4]) == []
    assert asked(mcts(c_puct=0.0), events) == [Backup(1, 0.0)]
    assert asked(mcts(c_puct=0.0), [*events, Backup(1, 0.0)]) == [Expansion(2, n=4)]


def test_ends_where_nothing_at_all_leads_on() -> None:
    assert asked(mcts(), [expanded(ROOT, step("a", answer=""), step("b", answer=""))]) == [
        Expansion(ROOT, horizon="answer", temperature=0.0, allow_backtracking=True)
    ]
    assert asked(mcts(), [Failed(ROOT, "context_length")]) == []


def test_a_node_that_failed_for_good_is_walked_around() -> None:
    assert asked(mcts(), TWO) == [Expansion(1, n=4)]
    assert asked(mcts(), [*TWO, Failed(1, "unparsed")]) == [Expansion(1, n=4)]
    assert asked(mcts(), [*TWO, Failed(1, "context_length")]) == [Expansion(2, n=4)]


def test_a_path_at_max_depth_is_completed_and_not_expanded() -> None:
    strategy = mcts(max_depth=1)
    assert asked(strategy, TWO) == [Expansion(1, n=4, horizon="answer")]
    through = Expanded(1, ((step("c"), step("d"), step("e", answer="1")),), "answer")
    events = [*TWO, through, *(judged(node, 3.0) for node in (3, 4, 5))]
    assert asked(strategy, events) == [Backup(5, strategy.value_of(tree_of(events), 5))]


def test_priors_are_even_or_the_policys_own() -> None:
    tree = tree_of([expanded(ROOT, step("a", logprob=-1.0), step("b", logprob=-3.0))])
    assert mcts().priors(tree, [1, 2]) == [0.5, 0.5]
    assert (
        mcts(prior="logprob").priors(tree, [1, 2])
        == softmax([-1.0, -3.0])
        == pytest.approx([0.881, 0.119], abs=1e-3)
    )


def weighed_tree(**priors: float) -> ReasoningTree:
    """Returns a tree whose root was expanded under two factors, and freely."""
    steps = (step("x", factor="a"), step("y", factor="b"), step("z"))
    return tree_of([*([PriorsComputed(ROOT, priors)] if priors else []), expanded(ROOT, *steps)])


def test_priors_of_a_policy_head_are_those_of_the_factors() -> None:
    strategy = mcts(prior="policy_head")
    tree = weighed_tree(a=0.75, b=0.25)
    assert strategy.priors(tree, [1, 2]) == [0.75, 0.25]
    assert strategy.priors(tree, [2]) == [1.0]
    assert strategy.priors(tree, [1, 2, 3]) == pytest.approx([0.5, 1 / 6, 1 / 3]), (
        "a step without a factor counts as an average one"
    )
    assert strategy.priors(weighed_tree(), [1, 2]) == [0.5, 0.5], "nobody was asked"


def test_a_policy_head_is_asked_once_about_what_is_expanded() -> None:
    tree, pool = (
        weighed_tree(a=0.75, b=0.25),
        [Expansion(1, factor="a"), Expansion(1, factor="b"), Expansion(ROOT, factor="a")],
    )
    assert mcts(prior="policy_head").needs_priors(tree, pool) == [1]
    assert mcts(prior="logprob").needs_priors(tree, pool) == mcts().needs_priors(tree, pool) == []


def test_factors_below_the_least_prior_are_not_written() -> None:
    strategy = mcts(prior="policy_head", use_factors=True, factors=THREE[:2], min_prior=0.2)
    names = [factor.name for factor in THREE[:2]]
    assert [
        one.factor
        for one in expansions(
            asked(strategy, [PriorsComputed(ROOT, dict(zip(names, (0.25, 0.75), strict=True)))])
        )
    ] == names
    assert [
        one.factor
        for one in expansions(
            asked(strategy, [PriorsComputed(ROOT, dict(zip(names, (0.1, 0.9), strict=True)))])
        )
    ] == names[1:]
    assert [
        one.factor
        for one in expansions(asked(strategy, [PriorsComputed(ROOT, dict.fromkeys(names, 0.0))]))
    ] == names, "the likeliest always are"
    assert [one.factor for one in expansions(asked(strategy, []))] == names, "nobody was asked"


def test_a_good_policy_head_needs_fewer_simulations() -> None:
    """The same critic and the same few simulations: with priors that know where the
    right step is, more questions are solved.
    """
    factors = tuple(ThoughtFactor(name=name, opening=name) for name in "abcd")
    worlds = [World(seed, ability=2.0, flip_rate=0.3) for seed in range(200)]
    solved = {}
    for prior in ("uniform", "policy_head"):
        strategy = mcts(num_simulations=16, use_factors=True, factors=factors, prior=prior)
        solved[prior] = sum(
            simulate(strategy, world, seed=world.seed).answer == RIGHT_ANSWER for world in worlds
        )
    assert solved["policy_head"] > solved["uniform"] + 15


# Several simulations at a time.


@seeds(6, first=2)
@pytest.mark.parametrize("value", ["critic", "rollout"])
def test_parallel_simulations_end_at_different_nodes(seed: int, value: str) -> None:
    strategy = mcts(num_simulations=60, parallel_leaves=5, value=value)
    search = simulate(strategy, World(seed), seed=seed)
    assert any(len(requests) > 2 for requests in search.requests)
    for tree in prefixes(search):
        wanted = strategy.select(tree, METER, random.Random(0))
        ends = [one.node if isinstance(one, Expansion) else one.leaf for one in wanted]
        assert len(set(ends)) == len(ends) <= 5


def test_a_simulation_under_way_sends_the_next_one_elsewhere() -> None:
    """Below node 1, the better one, there are two open nodes; with virtual loss the
    second simulation looks at node 2 first.
    """
    below = [expanded(1, step("c"), step("d")), judged(3, 1.0), judged(4, 0.9), Backup(3, 0.6)]
    nodes = {
        virtual_loss: [
            one.node
            for one in expansions(
                asked(
                    mcts(parallel_leaves=2, virtual_loss=virtual_loss, c_puct=0.0), [*TWO, *below]
                )
            )
        ]
        for virtual_loss in (0, 3)
    }
    assert nodes == {0: [3, 4], 3: [3, 2]}


def test_where_there_is_one_open_node_it_is_asked_once() -> None:
    assert asked(mcts(parallel_leaves=8), []) == [Expansion(ROOT, n=4)]


# Noise.


def test_without_noise_nothing_is_drawn() -> None:
    searches = [simulate(mcts(), World(2), seed=5) for _ in range(2)]
    assert searches[0].events == searches[1].events
    tree = searches[0].tree
    strategy = mcts(num_simulations=1000)
    assert len({str(strategy.select(tree, METER, random.Random(seed))) for seed in range(20)}) == 1


def test_noise_sends_simulations_elsewhere_and_is_the_same_at_every_call() -> None:
    events = [
        expanded(ROOT, *(step(name) for name in "abcd")),
        *(judged(node, 0.0) for node in range(1, 5)),
        Backup(1, 0.5),
    ]
    noisy = mcts(noise_weight=0.9, c_puct=5.0)
    assert all(asked(noisy, events, seed) == asked(noisy, events, seed) for seed in range(10))
    assert len({str(asked(noisy, events, seed)) for seed in range(20)}) > 1


# Rollouts.


def test_a_new_node_is_written_through_and_worth_the_answer_it_comes_to() -> None:
    strategy = mcts(value="rollout")
    assert strategy.to_back_up(tree_of(TWO), [1, 2]) == []
    assert asked(strategy, TWO) == [Expansion(1, horizon="answer", temperature=0.0)]
    greedy = Expanded(
        1, ((step("c", temperature=0.0), step("d", temperature=0.0, answer="1")),), "answer"
    )
    events = [*TWO, greedy, judged(3, 1.0), judged(4, 2.0)]
    value = math.exp(strategy.selector.score(tree_of(events), 4))
    (backup,) = asked(strategy, events)
    assert isinstance(backup, Backup) and backup.leaf == 4
    assert backup.value == pytest.approx(value)
    assert asked(strategy, [*events, Backup(4, value)]) == [
        Expansion(2, horizon="answer", temperature=0.0)
    ]
    assert asked(strategy, [*events, Backup(4, 0.9)])[0] == Expansion(1, n=4), (
        "so good that it is visited again, and expanded now"
    )


def test_a_rollout_without_an_answer_is_worth_nothing() -> None:
    cut = Expanded(
        1, ((step("c", temperature=0.0), step("d", temperature=0.0, cut=True)),), "answer"
    )
    assert asked(mcts(value="rollout"), [*TWO, cut, judged(3, 3.0)]) == [Backup(3, 0.0)]


def test_every_rollout_is_greedy_and_from_another_node() -> None:
    search = simulate(mcts(value="rollout"), World(3))
    rollouts = [
        one.node for requests in search.requests for one in requests if one.temperature == 0.0
    ]
    assert rollouts and len(set(rollouts)) == len(rollouts)
    expansions = [
        one.node for requests in search.requests for one in requests if one.temperature is None
    ]
    assert len(set(expansions)) == len(expansions) and set(expansions) & set(rollouts)


# Thought factors and their pools.

THREE = (
    ThoughtFactor(name="think", opening="", after=(QUESTION, "think", "doubt")),
    ThoughtFactor(name="finish", opening="", horizon="answer", after=(QUESTION, "think")),
    ThoughtFactor(name="doubt", opening="", after=("think",)),
)


def test_a_node_is_asked_for_every_legal_factor() -> None:
    strategy = mcts(use_factors=True, factors=THREE)
    assert asked(strategy, []) == [
        Expansion(ROOT, factor="think"),
        Expansion(ROOT, horizon="answer", factor="finish"),
    ]
    events = [expanded(ROOT, step("a", factor="think")), judged(1, 1.0), Backup(1, 0.7)]
    assert [one.factor for one in asked(strategy, events) if isinstance(one, Expansion)] == [
        "think",
        "finish",
        "doubt",
    ]


def test_a_path_at_max_depth_takes_the_factor_that_answers() -> None:
    events = [expanded(ROOT, step("a", factor="think")), judged(1, 1.0)]
    assert asked(mcts(use_factors=True, factors=THREE, max_depth=1), events) == [
        Expansion(1, horizon="answer", factor="finish")
    ]


def test_a_pool_writes_at_different_temperatures() -> None:
    pool = mcts(
        use_factors=True, factors=THREE[:1], pool_size=5, pool_temperatures=(0.2, 0.7, 1.0, 0.7)
    )
    assert asked(pool, []) == [
        Expansion(ROOT, factor="think", temperature=0.2, n=2),
        Expansion(ROOT, factor="think", temperature=0.7, n=2),
        Expansion(ROOT, factor="think", temperature=1.0, n=1),
    ]
    assert asked(mcts(use_factors=True, factors=THREE[:1], pool_size=18), []) == [
        Expansion(ROOT, factor="think", n=18)
    ]


def test_a_pool_writes_with_different_adapters() -> None:
    pool = mcts(
        use_factors=True,
        factors=THREE[:1],
        pool_size=5,
        pool_temperatures=(0.0, 0.7),
        pool_adapters=(None, "a", "b"),
    )
    assert [
        (one.temperature, one.adapter, one.n)
        for one in asked(pool, [])
        if isinstance(one, Expansion)
    ] == [
        (0.0, None, 1),
        (0.7, "a", 1),
        (0.0, "b", 1),
        (0.7, None, 1),
        (0.0, "a", 1),
    ]
    eighteen = mcts(use_factors=True, factors=THREE[:1], pool_size=18, pool_adapters=("a", "b"))
    assert [(one.adapter, one.n) for one in asked(eighteen, []) if isinstance(one, Expansion)] == [
        ("a", 9),
        ("b", 9),
    ]


def test_the_best_of_a_pool_stands_for_its_factor() -> None:
    steps = [
        step(f"{factor}{number}", factor=factor)
        for factor in ("think", "doubt")
        for number in range(3)
    ]
    events = [
        expanded(ROOT, *steps),
        *(
            judged(node, evidence)
            for node, evidence in enumerate((0.0, 2.0, 1.0, -3.0, -2.0, -1.0), start=1)
        ),
    ]
    strategy = mcts(use_factors=True, factors=THREE, num_simulations=8, parallel_leaves=8)
    assert {one.node for one in asked(strategy, events) if isinstance(one, Expansion)} == {2, 6}


@seeds(5, first=2)
def test_the_chosen_of_a_pool_is_at_least_its_mean_and_alone_visited(
    seed: int,
) -> None:
    search = simulate(mcts(use_factors=True, factors=RSTAR, pool_size=4), World(seed), seed=seed)
    tree, pools = search.tree, 0
    for node in range(len(tree)):
        for name in [factor.name for factor in RSTAR if factor.horizon == "step"]:
            pool = [
                child
                for child in tree.children[node]
                if tree.step(child).factor == name and not tree.terminal[child]
            ]
            visited = [child for child in pool if tree.visit_count[child]]
            assert len(visited) <= 1
            if visited and len(pool) > 1:
                pools += 1
                scores = [search_score(tree, child) for child in pool]
                assert search_score(tree, visited[0]) >= sum(scores) / len(scores)
    assert pools > 3


def search_score(tree: ReasoningTree, node: int) -> float:
    return Selector("weighted_vote").score(tree, node)


@seeds(5, first=2)
@pytest.mark.parametrize("value", ["critic", "rollout"])
def test_every_step_of_rstar_is_legal(seed: int, value: str) -> None:
    search = simulate(
        mcts(use_factors=True, factors=RSTAR, value=value, num_simulations=40),
        World(seed),
        seed=seed,
    )
    asked_for: Counter[str] = Counter()
    for requests in search.requests:
        for one in requests:
            if one.factor is not None:
                previous = QUESTION if one.node == ROOT else search.tree.step(one.node).factor
                assert one.factor in [factor.name for factor in legal_factors(RSTAR, previous)]
                assert (one.horizon == "answer") == (one.factor == "remaining_steps")
                asked_for[one.factor] += 1
            else:
                assert one.temperature == 0.0
    assert set(asked_for) >= {"one_step", "remaining_steps", "sub_question", "rephrase"}


# What comes of it.


def test_the_policy_of_the_root_is_made_of_its_visits() -> None:
    strategy = mcts()
    assert strategy.root_policy(tree_of(TWO)) == {}
    tree = tree_of([*TWO, Backup(1, 0.5), Backup(1, 0.5), Backup(1, 0.5), Backup(2, 0.5)])
    assert strategy.root_policy(tree) == {1: 0.75, 2: 0.25}
    assert strategy.root_policy(tree, temperature=0.5) == pytest.approx({1: 0.9, 2: 0.1})


def test_the_answer_is_the_most_visited_one_or_the_votes() -> None:
    events = [
        expanded(ROOT, step("a", answer="1"), step("b", answer="2")),
        judged(1, 3.0),
        judged(2, 0.0),
        Backup(2, 0.5),
    ]
    assert mcts(choose_by="vote").choose(tree_of(events)) == 1
    assert mcts(choose_by="visits").choose(tree_of(events)) == 2


def test_a_most_visited_path_without_an_answer_leaves_it_to_the_vote() -> None:
    events = [
        expanded(ROOT, step("a"), step("b", answer="2")),
        judged(1, 3.0),
        judged(2, 0.0),
        Backup(1, 0.9),
    ]
    assert mcts(choose_by="visits").choose(tree_of(events)) == 2
    assert mcts(choose_by="visits").choose(tree_of([*TWO, Backup(1, 0.9)])) is None


def test_where_the_budget_ends_the_most_visited_path_is_written_through() -> None:
    meter = Meter(Budget(max_tokens=64))
    events = [
        *TWO,
        Backup(1, 0.7),
        expanded(1, step("c"), step("d")),
        judged(3, 0.0),
        judged(4, 1.0),
        Backup(4, 0.6),
    ]
    assert mcts().select(tree_of(events), meter, random.Random(0)) == [
        Expansion(4, horizon="answer", temperature=0.0, allow_backtracking=True)
    ]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"choose_by": "visits"},
        {"parallel_leaves": 4},
        {"value": "rollout", "num_simulations": 12},
    ],
    ids=str,
)
def test_a_perfect_critic_makes_it_better_than_greedy_decoding(options: dict[str, Any]) -> None:
    worlds = [World(seed, flip_rate=0.0) for seed in range(40)]
    greedy, searched = (
        sum(simulate(one, world).answer == RIGHT_ANSWER for world in worlds)
        for one in (make(Greedy), mcts(**options))
    )
    assert searched >= greedy + 5


# Options.

SERVED = ("engine.adapters=[{name: a, folder: x}]",)


def test_replicas_at_temperature_0_differ_in_their_adapters() -> None:
    words = [
        "search=mcts",
        "search.use_factors=true",
        "search.pool_size=2",
        "search.pool_temperatures=[0]",
        "search.pool_adapters=[a,null]",
    ]
    strategy = build_strategy(compose([*words, *SERVED]))
    assert isinstance(strategy, Mcts) and strategy.config.pool_adapters == ("a", None)


def test_the_options_make_the_strategy() -> None:
    strategy = build_strategy(
        compose(["policy=rstar", "search=mcts", "search.use_factors=true", "search.pool_size=5"])
    )
    assert (
        isinstance(strategy, Mcts)
        and strategy.context.factors == RSTAR
        and strategy.config.pool_size == 5
        and strategy.context.max_depth == 16
    )


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (
            ["search=mcts", "search.pool_size=3"],
            ["search.pool_size (3)", "search.use_factors is false", "use search.num_children"],
        ),
        (
            ["search=mcts", "search.pool_temperatures=[0.5]"],
            ["search.pool_temperatures (0.5)", "set search.use_factors to true"],
        ),
        (
            ["search=mcts", "search.use_factors=true", "search.pool_temperatures=[0.5,1]"],
            [
                "search.pool_temperatures has 2 values",
                "search.pool_size (1)",
                "set search.pool_size to 2",
            ],
        ),
        (
            [
                "search=mcts",
                "search.use_factors=true",
                "search.pool_size=4",
                "search.pool_temperatures=[0,1]",
            ],
            [
                "2 of search.pool_size (4) replicas temperature 0",
                "one replica temperature 0 at most",
            ],
        ),
        (
            [
                "search=mcts",
                "search.use_factors=true",
                "search.pool_size=4",
                "policy.temperature=0",
            ],
            ["search.pool_size (4) equal copies"],
        ),
        (
            [
                "search=mcts",
                "search.use_factors=true",
                "search.pool_size=4",
                "policy.temperature=0",
                *SERVED,
                "search.pool_adapters=[a,null]",
            ],
            ["search.pool_size (2) equal copies"],
        ),
        (["search=mcts", "policy.temperature=0"], ["search.num_children (4) equal copies"]),
        (
            ["search=mcts", "critic=none"],
            ["search.strategy (mcts) needs a critic", "search.logprob_weight above 0"],
        ),
        (
            ["search=mcts", "search.prior=policy_head"],
            [
                "search.prior (policy_head) reads heads",
                "heads.engine is null",
                "training=heads",
                "search.use_factors to true",
            ],
        ),
        (
            ["search=mcts", "policy=pocket_no_factors", "search.use_factors=true"],
            ["needs policy.factors", "policy=rstar"],
        ),
        (
            [
                "search=mcts",
                "search.use_factors=true",
                "policy.factors=[{name: a, opening: x, after: [question]}]",
            ],
            ["needs a thought factor that may follow a", "set search.use_factors to false"],
        ),
        (
            ["policy.factors=[{name: a, opening: x, after: [b]}]"],
            ["policy.factors.a.after (b) must be question or one of policy.factors (a)"],
        ),
        (
            ["policy.factors=[{name: question, opening: x}]"],
            ["policy.factors has a factor named question", "give it another name"],
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_refusals_name_key_value_rule_and_way_out(words: list[str], parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        compose(words)
    missing = [part for part in parts if part not in str(caught.value)]
    assert not missing, str(caught.value)
