"""Every option of every strategy changes some search; an option that no strategy reads
fails here.

Strategies are built from the configuration and run in a world without a model
(tests/graphs/strategies/world.py), with two values of an option, one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest

from agents.types import Budget, Question, ThoughtFactor
from configs import RunConfig
from configs.schema import BudgetConfig, PolicyConfig, SearchConfig
from graphs.strategies import Strategy
from graphs.strategies.build import build_strategy
from graphs.strategies.posterior.fitted import AnswerModel
from graphs.tree import ReasoningTree
from tests.extensions import own_strategy
from tests.graphs.strategies.world import World, simulate

FACTORS = tuple(ThoughtFactor(name=name, opening=f"<{name}>") for name in "abc")
CLASSES = {
    kind.model_fields["strategy"].default: kind for kind in get_args(get_args(SearchConfig)[0])
}
OPTIONS = [
    (strategy, option)
    for strategy, kind in CLASSES.items()
    for option in kind.model_fields
    if option != "strategy"
]

VALUES: dict[str, tuple[Any, Any]] = {
    "abort_rate": (None, 0.9),
    "abort_ratio": (0.2, 0.99),
    "accident": (0.05, 0.9),
    "aggregation": ("product", "last"),
    "allocation": ("exact", "paper"),
    "balance_temperature": (0.2, 5.0),
    "batch_size": (4, 1),
    "beam_width": (4, 2),
    "c_base": (19652.0, 1.0),
    "c_puct": (1.25, 0.0),
    "choose_by": ("vote", "visits"),
    "confidence": (0.95, 0.6),
    "easy_below": (0.0, 0.7),
    "ess_threshold": (0.5, 0.0),
    "estimate": ("agreement", "critic"),
    "evidence_weight": (0.75, 0.0),
    "first_factor": (None, "a"),
    "first_samples": (2, 4),
    "hard": ("beam", "dvts"),
    "hard_from": (0.0, 1.0),
    "hard_samples": (16, 4),
    "logprob_weight": (0.0, 1.0),
    "lookahead": (0, 1),
    "many_answers": (False, True),
    "max_backtracks": (4, 0),
    "max_children": (8, 2),
    "medium": ("posterior", "rebase"),
    "medium_samples": (16, 4),
    "min_prior": (0.0, 0.9),
    "min_uncertainty": (0.02, 0.5),
    "noise_alpha": (0.3, 10.0),
    "noise_weight": (0.0, 1.0),
    "num_chains": (4, 2),
    "num_children": (4, 2),
    "num_samples": (16, 8),
    "num_simulations": (32, 8),
    "outcome_weight": (0.0, 1.0),
    "parallel_leaves": (1, 4),
    "pool_adapters": ((), ("other",)),
    "pool_size": (1, 2),
    "pool_temperatures": ((), (0.5,)),
    "prior": ("uniform", "logprob"),
    "prior_strength": (16.0, 0.5),
    "probe_samples": (4, 2),
    "reserve_tokens": (0, 64),
    "retry_factor": (None, "a"),
    "right_rate": (0.8, 0.2),
    "selection": ("majority", "best"),
    "show_mistakes": (0, 2),
    "first_temperature": (0.0, None),
    "step_cost": (1.0, 5.0),
    "temperature": (None, 0.5),
    "use_factors": (False, True),
    "value": ("critic", "rollout"),
    "virtual_loss": (0, 5),
    "worth_tokens": (None, 1.0),
    "wrong_answers": (10.0, 1.0),
    "object": (f"{own_strategy.__name__}:First", f"{__name__}:Last"),
    "options": (None, {"samples": 5}),
}
"""Two values of each option, by name."""

BEST = {"selection": "best"}
HARD = {"hard_from": 0.1, "easy_below": 0.0}
POOL = {"use_factors": True, "pool_size": 2}
GIVEN: dict[str, dict[str, Any]] = {
    "abort_ratio": {"abort_rate": 0.3},
    "aggregation": BEST,
    "compute_optimal.aggregation": HARD | BEST,
    "compute_optimal.outcome_weight": HARD | BEST,
    "compute_optimal.selection": HARD,
    "critique_loop.beam_width": {"num_children": 4},
    "critique_loop.logprob_weight": {"num_children": 4},
    "hard_from": {"easy_below": 0.0},
    "min_prior": {"prior": "policy_head", "use_factors": True},
    "noise_alpha": {"noise_weight": 0.5},
    "options": {"object": VALUES["object"][0]},
    "outcome_weight": BEST,
    "particles.aggregation": BEST | {"logprob_weight": 1.0},
    "particles.outcome_weight": BEST | {"logprob_weight": 1.0},
    "pool_adapters": POOL,
    "pool_size": POOL,
    "pool_temperatures": POOL,
    "retry_factor": {"show_mistakes": 2},
    "virtual_loss": {"parallel_leaves": 4},
}
"""Other options, by option or by strategy and option, without which one has no
effect.
"""


@dataclass(frozen=True)
class Last(own_strategy.First):
    """Takes the last answer."""

    def choose(self, tree: ReasoningTree) -> int | None:
        return max(tree.answer_leaves(), default=None)


def built(strategy: str, options: dict[str, Any]) -> Strategy:
    """Returns the strategy that these options describe, for a question to compute."""
    config = RunConfig.model_construct(
        search=CLASSES[strategy](**options),
        policy=PolicyConfig(factors=FACTORS),
        budget=BudgetConfig(),
    )
    return build_strategy(config).for_question(Question(text="What is 3 + 4?"))


def observe(strategy: Strategy, seed: int, budget: Budget) -> list[object]:
    """Returns what a search asks, records and chooses."""
    search = simulate(strategy, World(seed, flip_rate=0.3), budget=budget, seed=seed)
    nodes = range(1, len(search.tree))
    return [
        search.requests,
        search.events,
        search.leaf,
        strategy.to_reflect(search.tree, nodes),
        [strategy.is_exhausted(search.tree, node) for node in nodes],
    ]


@pytest.mark.parametrize(("strategy", "option"), OPTIONS)
def test_every_option_changes_some_search(strategy: str, option: str, tmp_path: Path) -> None:
    model = tmp_path / "model.json"
    AnswerModel((50.0, 0.0, 0.0, 0.0, 0.0)).save(model)
    values = VALUES | {"selector_model": (None, str(model))}
    given = GIVEN.get(f"{strategy}.{option}", GIVEN.get(option, {}))
    budget = Budget(max_tokens=120) if option == "reserve_tokens" else Budget()
    once, other = (built(strategy, {**given, option: value}) for value in values[option])
    assert any(observe(once, seed, budget) != observe(other, seed, budget) for seed in range(40))


def test_no_values_are_of_an_option_that_is_gone() -> None:
    assert set(VALUES) | {"selector_model"} == {option for _, option in OPTIONS}
