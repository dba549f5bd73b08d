"""Coverage and vote accuracy of a best-of-n run at 1, 2, 4 ... samples, by question
family.

    python -m graphs.coverage RUN [--json]

The stored tree holds every sample of a question, so a run with 64 samples also gives
the results for fewer. *Coverage*: some sample has a right answer. *Derivation*: some
sample has a right answer and only right steps, by the family's exact checker, so a
lucky answer does not count. *Majority*, and *weighted* if the run ranks its samples:
the vote elects a right answer. A sample without an answer counts as wrong and has no
vote.

Two laws of graphs/evaluation/scaling.py extrapolate: coverage at four times as many
samples, and the best number of calls for a majority. The second law is for two answers:
the most frequent right and the most frequent wrong answer, which decide a large vote
(the paper defines a question's difficulty by their difference). Calls with other
answers are not part of the law, so the best number is scaled up for them.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from agents.answers import canonical
from agents.types import BadDataError
from configs.cli import Parser
from graphs.evaluation.scaling import (
    Count,
    Pool,
    coverage_curve,
    fit_difficulty_mix,
    fit_power_law,
    pool_of,
    vote_curve,
)
from graphs.strategies import BestOfN
from graphs.strategies.build import build_strategy
from graphs.strategies.selection import Selector
from graphs.terminal.console import console, guarded, run_folder
from graphs.traces.checked import CheckedThought, config_of, format_left_out, read_checked
from graphs.tree import ROOT

EXTRAPOLATION = 4
"""Coverage is extrapolated to this multiple of the number of samples."""
_SEED = 0  # of the bootstrap and of the sub-samples


class Samples(NamedTuple):
    """The samples of one question."""

    family: str
    pool: Pool
    """Weighted by the scores that the run's selection uses; equal weights for a
    majority."""
    right_derivations: int | None
    """Samples whose answer and steps are all right; None without an exact checker of
    steps."""


async def read(folder: Path) -> tuple[list[Samples], Counter[str]]:
    """Returns the samples of a run's questions, and the number of questions left out
    per reason.

    Raises:
        FileNotFoundError: there is no run in the folder; `find_run` finds one by its
            name.
        BadDataError: the run's samples are not independent, or no question can be
            scored.
    """
    config = config_of(folder)
    strategy = build_strategy(config)
    if not isinstance(strategy, BestOfN):
        raise BadDataError(
            f"{folder} was searched with search={config.search.strategy}, whose samples depend on "
            "each other; give a run with search=best_of_n"
        )
    _, thoughts, left_out = await read_checked(folder)
    found = [
        _samples_of(thought, strategy.selector)
        for thought in thoughts
        if thought.tree.samples[ROOT]
    ]
    if without := len(thoughts) - len(found):
        left_out["without a sample"] = without
    if not found:
        raise BadDataError(
            f"{folder} holds no question whose samples can be scored ({format_left_out(left_out)})"
        )
    return found, left_out


def _samples_of(thought: CheckedThought, selector: Selector) -> Samples:
    """Returns the samples of a question with at least one sample."""
    tree, task = thought.tree, thought.question.task
    right = np.zeros(len(tree), bool)
    for leaf in tree.answer_leaves():
        right[leaf] = thought.right[canonical(tree.step(leaf).answer or "", task)]
    ranks = selector.needs_verdicts or selector.logprob_weight > 0
    truth = thought.truth()
    return Samples(
        thought.family,
        pool_of(tree, right, selector.scores(tree) if ranks else None),
        None if truth is None else int(tree.count[right & truth.sound].sum()),
    )


def report(questions: Sequence[Samples]) -> list[dict[str, Any]]:
    """Returns one row per family, preceded by a row "all" if there are several
    families. The largest k is the smallest number of samples of any question.
    """
    families = sorted({one.family for one in questions})
    groups = {"all": list(questions)} if len(families) > 1 else {}
    groups |= {family: [one for one in questions if one.family == family] for family in families}
    rng = np.random.default_rng(_SEED)
    return [_row(family, members, rng) for family, members in groups.items()]


def _row(family: str, questions: Sequence[Samples], rng: np.random.Generator) -> dict[str, Any]:
    pools = [one.pool for one in questions]
    counts = [pool.tally for pool in pools]
    totals = [count.total for count in counts]
    ks = sorted({2**power for power in range(min(totals).bit_length())} | {min(totals)})
    curves = {"coverage": coverage_curve(counts, ks, rng=rng)}
    derivations = [
        Count(count.total, one.right_derivations)
        for count, one in zip(counts, questions, strict=True)
        if one.right_derivations is not None
    ]
    if len(derivations) == len(questions):
        curves["derivation"] = coverage_curve(derivations, ks, rng=rng)
    curves["majority"] = vote_curve(
        [pool._replace(weights=np.ones(len(pool.counts))) for pool in pools], ks, rng=rng
    )
    if any(len(set(pool.weights[:-1])) > 1 for pool in pools):
        curves["weighted"] = vote_curve(pools, ks, rng=rng)
    law = fit_power_law([(point.k, point.value) for point in curves["coverage"]])
    extrapolated = EXTRAPOLATION * ks[-1]
    return {
        "family": family,
        "questions": len(questions),
        "samples": [min(totals), max(totals)],
        "curves": {name: [point._asdict() for point in points] for name, points in curves.items()},
        "power_law": None
        if law is None
        else {**law._asdict(), "samples": extrapolated, "coverage": law.coverage(extrapolated)},
        "calls": _best_calls(pools),
    }


def _best_calls(pools: Sequence[Pool]) -> dict[str, Any] | None:
    """Returns the fitted law of majority votes; None if no sample has an answer."""
    duels = [pool.duel for pool in pools if pool.duel.total]
    if not duels:
        return None
    mix = fit_difficulty_mix(duels)
    best = mix.best_num_calls()
    share = sum(duel.total for duel in duels) / sum(pool.tally.total for pool in pools)
    return {
        **mix._asdict(),
        "best": None if best is None else math.ceil(best / share),
        "limit": mix.limit,
    }


def table(row: dict[str, Any]) -> str:
    """Returns a family's row as a Markdown table, followed by the fitted laws."""
    curves, law, calls = row["curves"], row["power_law"], row["calls"]
    least, most = row["samples"]
    lines = [
        f"{row['family']}: {row['questions']} questions, "
        f"{least if least == most else f'{least} to {most}'} samples each; 95 % intervals.",
        "Of k samples: coverage, some answer is right; derivation, so are all steps to it; "
        "majority and weighted, the vote is right.",
        "",
        "| k | " + " | ".join(curves) + " |",
        "|---" * (len(curves) + 1) + "|",
    ]
    for points in zip(*curves.values(), strict=True):
        cells = (
            f"{point['value']:.3f} [{point['interval'][0]:.3f}, {point['interval'][1]:.3f}]"
            for point in points
        )
        lines.append(f"| {points[0]['k']} | " + " | ".join(cells) + " |")
    if law is None:
        lines += ["", "No power law: coverage is 0 or 1, or known at one k only."]
    else:
        lines += [
            "",
            f"Coverage = exp({law['a']:.3g} k^{law['b']:.3g}): {law['coverage']:.3f} at "
            f"{law['samples']} samples.",
        ]
    if calls is not None:
        kinds = [(calls["easy_share"], calls["easy"]), (1 - calls["easy_share"], calls["hard"])]
        parts = ", ".join(
            f"{chance:.2f} on {share:.0%} of the questions" for share, chance in kinds if share > 0
        )
        best = (
            "best with ever more samples"
            if calls["best"] is None
            else (f"best at {calls['best']} samples")
        )
        seen = max(curves["majority"], key=lambda point: point["value"])["k"]
        lines += [
            "Law of majority votes, fitted to the frequency of the right answer against the "
            f"most frequent wrong one: {parts}. It predicts:",
            f"a majority is {best} (in the table: at {seen}), and tends to "
            f"{calls['limit']:.3f} with ever more samples.",
        ]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(
        prog="python -m graphs.coverage",
        description="Coverage and votes of a best-of-n run at fewer samples.",
    )
    parser.add_argument("run", type=Path, help="name or directory of a run with search=best_of_n")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    arguments = parser.parse_args(argv)
    folder = run_folder(arguments.run)
    questions, left_out = asyncio.run(read(folder))
    if left_out:
        console.print(f"left out: {format_left_out(left_out)}", style="yellow", markup=False)
    rows = report(questions)
    print(json.dumps(rows) if arguments.json else "\n\n".join(table(row) for row in rows))
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
