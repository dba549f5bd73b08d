"""Options of Monte Carlo tree search."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from agents.types.factor import pool_replicas
from configs.schema.search.base import SelectingSteps


class MctsConfig(SelectingSteps):
    """Monte Carlo tree search with PUCT, over steps or over their thought factors.

    Source: AlphaZero (arXiv:1712.01815); rStar (arXiv:2408.06195) with policy=rstar and
    search.use_factors=true.
    """

    strategy: Literal["mcts"] = "mcts"
    """Select by max(Q + U), expand, judge and back up the value, num_simulations
    times."""
    num_simulations: int = Field(32, ge=1)
    """Number of simulations, that is visits of the root."""
    num_children: int = Field(4, ge=1)
    """Next steps sampled when a node is expanded without thought factors."""
    c_puct: float = Field(1.25, ge=0)
    """Exploration constant: weight of the prior relative to the value (c_init of
    AlphaZero)."""
    c_base: float = Field(19652.0, gt=0)
    """Visit count of a node around which the weight of the prior begins to grow."""
    prior: Literal["uniform", "logprob", "policy_head"] = "uniform"
    """uniform: all next steps have the same prior; logprob: softmax of the policy's
    mean log-probability per token; policy_head: the probability of the step's thought
    factor by the policy head of heads.engine."""
    min_prior: float = Field(0.05, ge=0, lt=1)
    """With prior=policy_head: legal thought factors with a lower prior are not sampled;
    the likeliest always is. 0: all are."""
    value: Literal["critic", "rollout"] = "critic"
    """Value of a simulation. critic: the critic's score of the best new step; rollout:
    its score of the answer that greedy decoding reaches."""
    parallel_leaves: int = Field(1, ge=1)
    """Simulations per round; they end at different nodes."""
    virtual_loss: int = Field(1, ge=0)
    """Visits of value 0 that a pending simulation adds to its path until its round
    ends."""
    noise_alpha: float = Field(0.3, gt=0)
    """Concentration of the Dirichlet noise on the priors at the root."""
    noise_weight: float = Field(0.0, ge=0, le=1)
    """Share of the noise in the priors at the root, for self-play; 0: none."""
    use_factors: bool = False
    """Expand a node under every legal thought factor of policy.factors; false: sample
    num_children steps without one."""
    pool_size: int = Field(1, ge=1)
    """Replicas that sample the step of one thought factor; the one with the best score
    becomes its child."""
    pool_temperatures: tuple[Annotated[float, Field(ge=0, le=10)], ...] = ()
    """Sampling temperatures of the replicas, in turn; empty: policy.temperature for
    all."""
    pool_adapters: tuple[str | None, ...] = ()
    """LoRA adapters (engine.adapters) of the replicas, in turn; null: the model without
    an adapter; empty: null for all."""
    choose_by: Literal["visits", "vote"] = "vote"
    """visits: the answer of the most visited path, or the vote if it has none; vote:
    search.selection among all answers."""

    @property
    def samples_per_prompt(self) -> tuple[str, int]:
        if not self.use_factors:
            return "num_children", self.num_children
        replicas = pool_replicas(self.pool_size, self.pool_temperatures, self.pool_adapters)
        return "pool_size", max(
            (count for (temperature, _), count in replicas.items() if temperature is None),
            default=1,
        )

    @model_validator(mode="after")
    def _pool_has_something_to_do(self) -> Self:
        size, lists = (
            self.pool_size,
            {"pool_temperatures": self.pool_temperatures, "pool_adapters": self.pool_adapters},
        )
        given = {"pool_size": (size,) if size > 1 else (), **lists}
        for name, values in given.items():
            if values and not self.use_factors:
                raise ValueError(
                    f"search.{name} ({', '.join(map(str, values))}) is for the step of one "
                    "thought factor and search.use_factors is false; "
                    "set search.use_factors to true, or use search.num_children for more next steps"
                )
        for name, values in lists.items():
            if len(values) > size:
                raise ValueError(
                    f"search.{name} has {len(values)} values and search.pool_size ({size}) "
                    "replicas take one each; "
                    f"set search.pool_size to {len(values)} or more, or shorten search.{name}"
                )
        replicas = pool_replicas(size, self.pool_temperatures, self.pool_adapters)
        greedy = max(
            (count for (temperature, _), count in replicas.items() if temperature == 0), default=0
        )
        if greedy > 1:
            raise ValueError(
                f"search.pool_temperatures gives {greedy} of search.pool_size ({size}) replicas "
                "temperature 0: equal copies; give one replica temperature 0 at most, or replicas "
                "with different search.pool_adapters"
            )
        return self
