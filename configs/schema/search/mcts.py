"""Options of Monte Carlo tree search."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from agents.types.factor import pool_replicas
from configs.schema.search.base import SelectingSteps


class MctsConfig(SelectingSteps):
    """Monte Carlo tree search with PUCT, over steps or over the thought factors that
    they are written under.

    Source: AlphaZero (arXiv:1712.01815); rStar (arXiv:2408.06195) with policy=rstar and
    search.use_factors=true.
    """

    strategy: Literal["mcts"] = "mcts"
    """Walk down by max(Q + U), expand, judge, back up the value; as often as
    num_simulations says."""
    num_simulations: int = Field(32, ge=1)
    """Simulations: visits that the question gets in all."""
    num_children: int = Field(4, ge=1)
    """Next steps that a node is asked for when it is expanded without thought
    factors."""
    c_puct: float = Field(1.25, ge=0)
    """Weight of the prior against the value (c_init of AlphaZero)."""
    c_base: float = Field(19652.0, gt=0)
    """Visits of a node at which the weight of the prior begins to grow."""
    prior: Literal["uniform", "logprob", "policy_head"] = "uniform"
    """uniform: every next step has the same prior; logprob: by the policy's mean
    log-probability per token; policy_head: what the policy head of heads.engine gives
    the step's thought factor."""
    min_prior: float = Field(0.05, ge=0, lt=1)
    """With prior=policy_head: least prior among the legal thought factors of one that
    is written; the likeliest always is. 0: all."""
    value: Literal["critic", "rollout"] = "critic"
    """critic: a simulation is worth what the critic gives the best new step; rollout:
    what it gives the answer that greedy writing comes to."""
    parallel_leaves: int = Field(1, ge=1)
    """Simulations of one round, which end at different nodes."""
    virtual_loss: int = Field(1, ge=0)
    """Visits of value 0 that a simulation counts for until its round is over."""
    noise_alpha: float = Field(0.3, gt=0)
    """Concentration of the Dirichlet noise on the priors of the first step."""
    noise_weight: float = Field(0.0, ge=0, le=1)
    """Share of that noise in the priors, for self-play; 0: none."""
    use_factors: bool = False
    """Expand a node under every thought factor of policy.factors that may follow;
    false: the policy chooses freely, num_children times."""
    pool_size: int = Field(1, ge=1)
    """Replicas that write the step of one thought factor; the one with the best score
    stands for it."""
    pool_temperatures: tuple[Annotated[float, Field(ge=0, le=10)], ...] = ()
    """Sampling temperatures of the replicas, in turn; empty: policy.temperature for
    all."""
    pool_adapters: tuple[str | None, ...] = ()
    """LoRA adapters (engine.adapters) that the replicas write with, in turn, null for
    the model without one; empty: null for all."""
    choose_by: Literal["visits", "vote"] = "vote"
    """visits: the answer that the most visited path ends with, else the vote; vote:
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
