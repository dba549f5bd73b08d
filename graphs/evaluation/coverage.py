"""What more samples would bring: coverage and votes of a best-of-n run at 1, 2, 4 ...
samples, by question family.

    python -m graphs.coverage RUN [--json]

Every sample of a question is in its stored tree, so a run with 64 samples says what it
would have been with fewer. *Coverage*: some sample has a right answer. *Derivation*:
and every step to it is right, by the family's exact checker, so that an answer that is
right by luck does not count. *Majority*, and *weighted* where the run ranks its
samples: a vote elects a right answer. A sample without an answer is not right and has
no vote.

Then what the laws of graphs/evaluation/scaling.py make of it: coverage at four times as
many samples, and the best number of calls for a majority. That law is for two answers:
the most frequent right one and the most frequent wrong one, which is what decides a
vote in the end (the paper's difficulty of a question is the difference of the two).
Calls that give other answers have no part in it, so they come on top.
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

FARTHER = 4
"""Coverage is predicted at this many times the samples that there are."""
_SEED = 0  # of the bootstrap and of the sub-samples


class Samples(NamedTuple):
    """The samples of one question."""

    family: str
    pool: Pool
    """PriorsComputed by the scores of the run's own choice; equally where that is a
    majority."""
    sound: int | None
    """Samples whose whole derivation is right; None where no exact checker of steps
    exists."""


async def read(folder: Path) -> tuple[list[Samples], Counter[str]]:
    """Returns the samples of a run's questions, and how many questions are left out for
    which reason.

    Raises:
        FileNotFoundError: there is no run in the folder; `find_run` finds one by its
            name.
        BadDataError: the run's samples depend on each other, or no question can be
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
    """Returns the samples of a question, of which there is at least one."""
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
    """Returns one row per family, the row "all" first where there are several; sample
    sizes go up to that of the least sampled question.
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
        Count(count.total, one.sound)
        for count, one in zip(counts, questions, strict=True)
        if one.sound is not None
    ]
    if len(derivations) == len(questions):
        curves["derivation"] = coverage_curve(derivations, ks, rng=rng)
    curves["majority"] = vote_curve(
        [pool._replace(weights=np.ones(len(pool.counts))) for pool in pools], ks, rng=rng
    )
    if any(len(set(pool.weights[:-1])) > 1 for pool in pools):
        curves["weighted"] = vote_curve(pools, ks, rng=rng)
    law = fit_power_law([(point.k, point.value) for point in curves["coverage"]])
    farther = FARTHER * ks[-1]
    return {
        "family": family,
        "questions": len(questions),
        "samples": [min(totals), max(totals)],
        "curves": {name: [point._asdict() for point in points] for name, points in curves.items()},
        "power_law": None
        if law is None
        else {**law._asdict(), "samples": farther, "coverage": law.coverage(farther)},
        "calls": _best_calls(pools),
    }


def _best_calls(pools: Sequence[Pool]) -> dict[str, Any] | None:
    """Returns what the law of majority votes says; None where no sample came to an
    answer.
    """
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
    """Returns a family's row as a Markdown table, and what the laws say."""
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
            "A law of majorities, fitted to how often the right answer comes, against its "
            f"strongest rival alone: {parts}. By it a",
            f"majority is {best} (in the table: at {seen}), and with ever more it tends to "
            f"{calls['limit']:.3f}.",
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
