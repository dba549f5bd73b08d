"""Laws that every strategy obeys, in a world without a model
(tests/graphs/strategies/world.py).
"""

from __future__ import annotations

import random

import pytest

from agents.types import Budget, ThoughtFactor
from graphs.strategies import (
    Auto,
    Beam,
    BestOfN,
    ComputeOptimal,
    CritiqueLoop,
    Dvts,
    Greedy,
    Mcts,
    Particles,
    Posterior,
    Rebase,
    SelfConsistency,
    SequentialRevision,
    Strategy,
    build,
)
from graphs.strategies.selection import Selector
from graphs.tree import ReasoningTree
from tests.graphs.strategies.make import assuming, make
from tests.graphs.strategies.trees import QUESTION
from tests.graphs.strategies.world import RIGHT_ANSWER, World, simulate
from tests.seeds import seeds

VOTE = Selector("weighted_vote")
FACTORS = tuple(ThoughtFactor(name=name, opening=f"<{name}>") for name in "abc")

STRATEGIES: dict[str, Strategy] = {
    "auto": make(Auto),
    "greedy": make(Greedy),
    "best_of_n": make(BestOfN, 16, VOTE),
    "self_consistency": make(SelfConsistency, num_samples=16),
    "sequential_revision": make(SequentialRevision, num_samples=16, num_chains=4, selector=VOTE),
    "critique_loop": make(CritiqueLoop, num_children=2, beam_width=2),
    "beam": make(Beam, num_samples=16, beam_width=4, selector=VOTE),
    "lookahead": make(Beam, num_samples=8, beam_width=2, lookahead=2, selector=VOTE),
    "dvts": make(Dvts, num_samples=16, beam_width=4, selector=VOTE),
    "rebase": make(Rebase, num_samples=16, selector=VOTE),
    "rebase_as_in_the_paper": make(Rebase, num_samples=16, allocation="paper", selector=VOTE),
    "particles": make(Particles, num_samples=16, selector=VOTE),
    "particles_resampled_at_every_step": make(
        Particles, num_samples=16, ess_threshold=1.0, selector=VOTE
    ),
    "mcts": make(Mcts, num_simulations=24, selector=VOTE),
    "mcts_with_parallel_leaves": make(
        Mcts,
        num_simulations=24,
        parallel_leaves=4,
        prior="logprob",
        choose_by="visits",
        selector=VOTE,
    ),
    "compute_optimal": make(
        ComputeOptimal,
        medium=make(Posterior, num_samples=16),
        hard=make(Beam, num_samples=16, beam_width=4, selector=VOTE),
        selector=VOTE,
    ),
    "posterior": make(Posterior, num_samples=24),
    "posterior_step_by_step": make(
        Posterior, num_samples=48, step_cost=1.0, batch_size=2, confidence=1.0
    ),
    "posterior_through_to_the_answer": make(
        Posterior,
        num_samples=24,
        first_samples=4,
        step_cost=2.0,
        belief_model=assuming(abort_rate=0.3),
    ),
    "mcts_with_a_policy_head": make(
        Mcts,
        num_simulations=24,
        prior="policy_head",
        use_factors=True,
        factors=FACTORS,
        selector=Selector("weighted_vote", aggregation="last"),
    ),
    "mcts_with_rollouts": make(
        Mcts, num_simulations=12, value="rollout", noise_weight=0.25, selector=VOTE
    ),
}


def test_no_strategy_is_left_out() -> None:
    assert {type(strategy) for strategy in STRATEGIES.values()} == set(build.STRATEGIES.values())


every_strategy = pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES.keys())
every_strategy_with_a_critic = pytest.mark.parametrize(
    "strategy", [strategy for name, strategy in STRATEGIES.items() if name != "self_consistency"]
)


@every_strategy
@seeds(5, first=2)
def test_a_search_is_a_function_of_its_seed(strategy: Strategy, seed: int) -> None:
    once, again = (simulate(strategy, World(seed), seed=seed) for _ in range(2))
    assert once.events == again.events and once.leaf == again.leaf


@every_strategy
@seeds(5, first=2)
def test_a_search_goes_on_from_its_events_alone(strategy: Strategy, seed: int) -> None:
    """What `select` asks next does not depend on the calls before it: a tree that was
    replayed is as good as one that grew.
    """
    search = simulate(strategy, World(seed), seed=seed)
    replayed = ReasoningTree.replay(QUESTION, search.events)
    rng = (random.Random(f"{seed}/search") for _ in range(2))
    assert list(strategy.select(replayed, search.meter, next(rng))) == list(
        strategy.select(search.tree, search.meter, next(rng))
    )
    assert strategy.choose(replayed) == search.leaf


@every_strategy
@seeds(5, first=2)
@pytest.mark.parametrize("max_tokens", [1, 7, 40, 90, 200])
def test_a_cap_is_never_exceeded_and_the_answer_is_a_finished_one(
    strategy: Strategy, seed: int, max_tokens: int
) -> None:
    search = simulate(strategy, World(seed), budget=Budget(max_tokens=max_tokens), seed=seed)
    assert search.meter.spent.total.generated_tokens <= max_tokens
    assert search.leaf is None or search.tree.step(search.leaf).finish_reason == "stop"
    if max_tokens >= 90:  # a thought of this world has 25 tokens, and 64 are kept back
        assert search.answer


@every_strategy
@seeds(5, first=2)
@pytest.mark.parametrize(
    "budget", [Budget(max_calls=1), Budget(max_calls=20), Budget(max_nodes=1), Budget(max_nodes=12)]
)
def test_calls_and_nodes_are_capped_as_well(strategy: Strategy, seed: int, budget: Budget) -> None:
    search = simulate(strategy, World(seed), budget=budget, seed=seed)
    assert budget.max_calls is None or search.meter.spent.total.calls <= budget.max_calls
    assert search.leaf is None or search.answer


@every_strategy_with_a_critic
def test_a_perfect_critic_never_does_harm(strategy: Strategy) -> None:
    """With verdicts that are always right, no search is worse than greedy decoding of
    the same questions.
    """
    worlds = [World(seed, flip_rate=0.0) for seed in range(60)]
    greedy = sum(simulate(make(Greedy), world).answer == RIGHT_ANSWER for world in worlds)
    assert sum(simulate(strategy, world).answer == RIGHT_ANSWER for world in worlds) >= greedy


@every_strategy
def test_a_policy_that_writes_one_thing_only_comes_to_an_end(strategy: Strategy) -> None:
    """Duplicated children only: one node per level, whatever was asked."""
    search = simulate(strategy, World(continuations=1))
    assert search.answer == RIGHT_ANSWER
    if getattr(strategy.config, "use_factors", False):  # each factor writes one thing of its own
        assert all(
            len(search.tree.children[node]) <= len(FACTORS) for node in range(len(search.tree))
        )
    else:
        assert len(search.tree) == 6


@every_strategy
def test_an_undecided_critic_is_no_obstacle(strategy: Strategy) -> None:
    """Always 0.5: no evidence at all. The search ends, and with an answer."""
    assert simulate(strategy, World(flip_rate=0.5)).answer is not None


@every_strategy
@seeds(5, first=2)
def test_an_unreadable_critic_stops_no_search_and_makes_nothing_wrong(
    strategy: Strategy, seed: int
) -> None:
    search = simulate(strategy, World(seed, unread_rate=1.0), seed=seed)
    tree = search.tree
    assert (
        search.answer is not None
        and not tree.wrong().any()
        and not tree.judged.any()
        and not tree.log_likelihood_ratio.any()
    )
    assert not [
        mistake
        for requests in search.requests
        for expansion in requests
        for mistake in expansion.mistakes
    ]
    assert not strategy.to_reflect(tree, range(1, len(tree)))


@every_strategy
@seeds(5, first=2)
def test_a_critic_that_is_read_now_and_then_ends_every_search(
    strategy: Strategy, seed: int
) -> None:
    search = simulate(strategy, World(seed, unread_rate=0.5), seed=seed)
    assert search.answer is not None
    assert all(
        search.tree.judged[node] for node in range(len(search.tree)) if search.tree.is_wrong(node)
    )
