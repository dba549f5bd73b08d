"""The cost of a thought, and the expected cost of k samples of a pool.

Two measures, summed over all roles: FLOPs = 2 x parameters x (generated + uncached
prompt tokens), and generated tokens. A role whose model is of unknown size is charged
as if it used the policy's; where that is unknown, too, FLOPs are per parameter.

The expected cost of k of a pool's n samples is computed exactly:

- Generated tokens of the policy: k / n of all.
- The prompt: the uncached tokens of the first sample once, plus the mean uncached
  tokens of a further sample for each of the others (0 if the engine shares the prompt
  within a request; all of it if the prompt is shorter than a block of the prefix
  cache).
- Verdicts: each verdict counts with the probability that its step is among the k
  samples, 1 - C(n - c, k) / C(n, k) for a step with count c. The generated tokens of
  all verdicts are divided equally among them, the uncached prompt tokens in proportion
  to the length of the judged path.

At k = n this is the cost of the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from graphs.evaluation.scaling import pass_at_k
from graphs.traces.trace import Trace
from graphs.tree import ROOT, ReasoningTree


class Cost(NamedTuple):
    """Cost of a question, measured or expected."""

    flops: float
    """Floating-point operations of all roles."""
    generated_tokens: float
    """Generated tokens of all roles."""


def cost_of(trace: Trace) -> Cost:
    """Returns the cost of a thought."""
    costs = [
        _cost(trace, role, usage.generated_tokens, usage.prompt_tokens - usage.cached_prompt_tokens)
        for role, usage in trace.usage.items()
    ]
    return _sum(costs)


def pool_costs(trace: Trace, tree: ReasoningTree, ks: Sequence[int], *, judged: bool) -> list[Cost]:
    """Returns the expected cost of k samples of a pool, for each k in `ks`; `judged`
    includes the verdicts on their steps.
    """
    n, counts = int(tree.samples[ROOT]), tree.count.tolist()
    policy = trace.usage["policy"]
    uncached = policy.prompt_tokens - policy.cached_prompt_tokens
    first = min(len(trace.policy_prompt), uncached)
    further = (uncached - first) / max(n - 1, 1)
    critic = trace.usage.get("critic") if judged else None
    asked = [node for node in range(1, len(tree)) if tree.verdicts[node]]
    lengths = np.array(
        [
            len(trace.policy_prompt)
            + sum(len(step.content.reveal().token_ids) for step in tree.path_steps(n))
            for n in asked
        ]
    )
    costs = []
    for k in ks:
        generated, prompt = policy.generated_tokens * k / n, first + (k - 1) * further
        parts = [_cost(trace, "policy", generated, prompt)]
        if critic is not None and asked:
            share = np.array([pass_at_k(n, min(counts[node], n), k) for node in asked])
            uncached_of_critic = critic.prompt_tokens - critic.cached_prompt_tokens
            parts.append(
                _cost(
                    trace,
                    "critic",
                    critic.generated_tokens * float(share.mean()),
                    uncached_of_critic * float(share @ lengths / lengths.sum()),
                )
            )
        costs.append(_sum(parts))
    return costs


def _cost(trace: Trace, role: str, generated: float, uncached: float) -> Cost:
    parameters = trace.parameters.get(role) or trace.engine.parameters or 1
    return Cost(2.0 * parameters * (generated + uncached), float(generated))


def _sum(costs: Sequence[Cost]) -> Cost:
    return Cost(sum(cost.flops for cost in costs), sum(cost.generated_tokens for cost in costs))
