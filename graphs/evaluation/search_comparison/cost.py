"""What a thought costs, and what the first k samples of a pool would have cost.

Two axes, all roles together: FLOPs = 2 x parameters x (generated + uncached prompt
tokens), and generated tokens. All roles are taken to speak through models of the
policy's size; where that is not known, FLOPs are those per parameter.

Of a pool's k samples of n the expected cost is computed, not drawn:

- Generated tokens of the policy: k / n of all.
- The question: what an engine computes of it for a first sample, once, and for each
  further sample what it computed for those (nothing where it shares the prompt of a
  request; all of it where the prompt is shorter than a block of its prefix cache).
- Verdicts: of every step that is among the k with its probability, 1 - C(n - c, k) /
  C(n, k) where c samples went through it; what all verdicts cost is shared out among
  them, generated tokens equally, uncached prompt tokens by the length of what was read.

At k = n that is what the run paid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from graphs.evaluation.scaling import pass_at_k
from graphs.traces.trace import Trace
from graphs.tree import ROOT, ReasoningTree


class Cost(NamedTuple):
    """What a question cost, or would have cost on average."""

    flops: float
    """Floating-point operations of all roles."""
    generated_tokens: float
    """Of all roles."""


def cost_of(trace: Trace) -> Cost:
    """Returns what a thought has cost."""
    generated = sum(usage.generated_tokens for usage in trace.usage.values())
    uncached = sum(
        usage.prompt_tokens - usage.cached_prompt_tokens for usage in trace.usage.values()
    )
    return _cost(trace, generated, uncached)


def pool_costs(trace: Trace, tree: ReasoningTree, ks: Sequence[int], *, judged: bool) -> list[Cost]:
    """Returns the expected cost of `k` samples of a pool, for each of `ks`; `judged`:
    with the verdicts on their steps.
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
        if critic is not None and asked:
            share = np.array([pass_at_k(n, min(counts[node], n), k) for node in asked])
            generated += critic.generated_tokens * float(share.mean())
            prompt += (critic.prompt_tokens - critic.cached_prompt_tokens) * float(
                share @ lengths / lengths.sum()
            )
        costs.append(_cost(trace, generated, prompt))
    return costs


def _cost(trace: Trace, generated: float, uncached: float) -> Cost:
    return Cost(2.0 * (trace.engine.parameters or 1) * (generated + uncached), float(generated))
