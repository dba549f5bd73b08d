"""The figures of section `engine` on SmolLM2-135M, where the engine is the bottleneck:
it has forty times the pocket's weights.

The pocket's questions, in chat prompts; n = 4, at most 64 tokens a step and 128 an
answer. Needs `make smol`. A round over 256 questions is long on a CPU: `make bench
BENCH="smollm2 --repeats 1"`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.bench.engine import POLICY_ALONE, graph_over_replay
from tests.bench.figures import Options, Result, Target

TARGET = Target(">=", 0.95)
SMOL = Path(__file__).parents[2] / "models" / "smollm2-135m"

# 64 sequences of 400 tokens fill the default of 1 GiB in float32
_ENGINE = (f"engine.model={SMOL}", "engine.kv_cache_gib=4")
_POLICY = (
    "policy=chat",
    "policy.max_step_tokens=64",
    "policy.max_answer_tokens=128",
    "budget.max_depth=2",
    *POLICY_ALONE,
)
_BEAM = ("search=beam", "search.num_samples=4", "search.beam_width=1", "search.logprob_weight=1.0")
SEARCHES = {
    "whole answers": ("search=best_of_n", "search.num_samples=4", *_POLICY, *_ENGINE),
    "stepped, log-probability": (*_BEAM, *_POLICY, *_ENGINE),
}


def run(options: Options) -> Result:
    """Measures it where it is there."""
    if options.quick:
        return Result(notes=["left out: a scripted engine has no SmolLM2"])
    if not SMOL.is_dir():
        return Result(notes=[f"left out: there is no models/{SMOL.name}; run `make smol`"])
    return Result(
        [
            asyncio.run(
                graph_over_replay("SmolLM2-135M", SEARCHES, options.questions, TARGET, options)
            )
        ]
    )
