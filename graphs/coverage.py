"""What more samples would bring: coverage and votes of a best-of-n run at 1, 2, 4 ... samples, by question family.

    python -m graphs.coverage RUN [--json]

Every sample of a question is in its stored tree, so a run with 64 samples says what it would have been with fewer. *Coverage*: some sample
has a right answer. *Derivation*: and every step to it is right, by the family's exact checker, so that an answer that is right by luck does
not count. *Majority*, and *weighted* where the run ranks its samples: a vote elects a right answer. A sample without an answer is not right
and has no vote.

Then what the laws of graphs/scaling.py make of it: coverage at four times as many samples, and the best number of calls for a majority.
That law is for two answers: the most frequent right one and the most frequent wrong one, which is what decides a vote in the end (the
paper's difficulty of a question is the difference of the two). Calls that give other answers have no part in it, so they come on top.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from agents.answers import AnswerChecker, canonical, checker_for
from agents.families import Problem, recognise_question
from agents.nouns import BadDataError, Question
from configs import from_yaml
from graphs.scaling import Count, Pool, coverage_curve, fit_difficulty_mix, fit_power_law, vote_curve
from graphs.selection import Selector
from graphs.strategies import BestOfN
from graphs.strategies.build import build_strategy
from graphs.terminal import console, guarded
from graphs.thought.markup import strip_markup
from graphs.traces.store import TraceStore, find_run
from graphs.traces.trace import Trace
from graphs.tree import ROOT, ReasoningTree

FARTHER = 4
"""Coverage is predicted at this many times the samples that there are."""
_SEED = 0  # of the bootstrap and of the sub-samples


class Samples(NamedTuple):
    """The samples of one question."""

    family: str
    pool: Pool
    """Weighed by the scores of the run's own choice; equally where that is a majority."""
    sound: int | None
    """Samples whose whole derivation is right; None where no exact checker of steps exists."""


async def read(folder: Path) -> tuple[list[Samples], Counter[str]]:
    """Returns the samples of a run's questions, and how many questions are left out for which reason.

    Answers are checked again, by the checkers that decided `Trace.correct`: a run keeps only what became of the chosen one.

    Raises:
        FileNotFoundError: there is no run in the folder; `find_run` finds one by its name.
        BadDataError: the run's samples depend on each other, or no question can be scored.
    """
    found: list[Samples] = []
    left_out: Counter[str] = Counter()
    checkers: dict[str, AnswerChecker] = {}
    with TraceStore.read(folder) as store:
        config = from_yaml(store.config_yaml)
        strategy = build_strategy(config)
        if not isinstance(strategy, BestOfN):
            raise BadDataError(
                f"{folder} was searched with search={config.search.strategy}, whose samples depend on each other; "
                "give a run with search=best_of_n"
            )
        try:
            for trace in store:
                task = trace.question.task
                checkers[task] = checkers.get(task) or checker_for(task)
                samples = await _samples_of(trace, strategy.selector, checkers[task])
                if isinstance(samples, str):
                    left_out[samples] += 1
                else:
                    found.append(samples)
        finally:
            for checker in checkers.values():
                await checker.close()
    if not found:
        raise BadDataError(f"{folder} holds no question whose samples can be scored ({_told(left_out) or 'it is empty'})")
    return found, left_out


async def _samples_of(trace: Trace, selector: Selector, checker: AnswerChecker) -> Samples | str:
    """Returns the samples of a question, or why it is left out."""
    question = trace.question
    tree = ReasoningTree.replay(question, trace.events)
    total, leaves = int(tree.samples[ROOT]), tree.finals()
    if question.gold is None:
        return "without a known right answer"
    if total == 0:
        return "without a sample"
    forms = [canonical(tree.step(leaf).answer or "", question.task) for leaf in leaves]
    a_leaf_of = dict(zip(forms, leaves, strict=True))
    is_right = {form: await _check(question, tree.step(leaf).answer, checker) for form, leaf in a_leaf_of.items()}
    if None in is_right.values():
        return "with an answer that could not be checked"
    counts = [int(tree.count[leaf]) for leaf in leaves]
    numbers = {form: number for number, form in enumerate(is_right)}
    pool = Pool(  # the last one: the samples that came to no answer
        counts=np.array([*counts, total - sum(counts)]),
        answers=np.array([*(numbers[form] for form in forms), -1]),
        right=np.array([*(bool(is_right[form]) for form in forms), False]),
        weights=np.array([*_weights(tree, leaves, selector), 0.0]),
    )
    problem = recognise_question(question.text)
    sound = None
    if problem is not None:
        sound = sum(counts[i] for i, leaf in enumerate(leaves) if pool.right[i] and _holds(problem, tree, leaf))
    family = question.metadata.get("family") or (question.task if problem is None else problem.family)
    return Samples(str(family), pool, sound)


async def _check(question: Question, answer: str | None, checker: AnswerChecker) -> bool | None:
    """Returns whether an answer is right, in the form that the graph checks; None where the checker cannot say."""
    return (await checker.check(question, strip_markup(answer or "").strip())).correct


def _weights(tree: ReasoningTree, leaves: Sequence[int], selector: Selector) -> list[float]:
    """Returns what each leaf's vote weighs, up to a factor that all of the question share."""
    scores = [selector.score(tree, leaf) if _ranks(selector) else 0.0 for leaf in leaves]
    return [math.exp(score - max(scores)) for score in scores]


def _ranks(selector: Selector) -> bool:
    return selector.needs_verdicts or selector.logprob_weight > 0


def _holds(problem: Problem, tree: ReasoningTree, leaf: int) -> bool:
    """Whether every step to `leaf` is right, by the family's exact checker."""
    texts = [step.content.reveal().text for step in tree.path_steps(leaf)]
    return all(problem.verdict(truth) for truth in problem.check_steps(texts))


def report(questions: Sequence[Samples]) -> list[dict[str, Any]]:
    """Returns one row per family, the row "all" first where there are several; sample sizes go up to that of the least sampled question."""
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
    derivations = [Count(count.total, one.sound) for count, one in zip(counts, questions, strict=True) if one.sound is not None]
    if len(derivations) == len(questions):
        curves["derivation"] = coverage_curve(derivations, ks, rng=rng)
    curves["majority"] = vote_curve([pool._replace(weights=np.ones(len(pool.counts))) for pool in pools], ks, rng=rng)
    if any(len(set(pool.weights[:-1])) > 1 for pool in pools):
        curves["weighted"] = vote_curve(pools, ks, rng=rng)
    law = fit_power_law([(point.k, point.value) for point in curves["coverage"]])
    farther = FARTHER * ks[-1]
    return {
        "family": family,
        "questions": len(questions),
        "samples": [min(totals), max(totals)],
        "curves": {name: [point._asdict() for point in points] for name, points in curves.items()},
        "power_law": None if law is None else {**law._asdict(), "samples": farther, "coverage": law.coverage(farther)},
        "calls": _best_calls(pools),
    }


def _best_calls(pools: Sequence[Pool]) -> dict[str, Any] | None:
    """Returns what the law of majority votes says; None where no sample came to an answer."""
    duels = [pool.duel for pool in pools if pool.duel.total]
    if not duels:
        return None
    mix = fit_difficulty_mix(duels)
    best = mix.best_num_calls()
    share = sum(duel.total for duel in duels) / sum(pool.tally.total for pool in pools)
    return {**mix._asdict(), "best": None if best is None else math.ceil(best / share), "limit": mix.limit}


def table(row: dict[str, Any]) -> str:
    """Returns a family's row as a Markdown table, and what the laws say."""
    curves, law, calls = row["curves"], row["power_law"], row["calls"]
    least, most = row["samples"]
    lines = [
        f"{row['family']}: {row['questions']} questions, {least if least == most else f'{least} to {most}'} samples each; 95 % intervals.",
        "",
        "| k | " + " | ".join(curves) + " |",
        "|---" * (len(curves) + 1) + "|",
    ]
    for points in zip(*curves.values(), strict=True):
        cells = (f"{point['value']:.3f} [{point['interval'][0]:.3f}, {point['interval'][1]:.3f}]" for point in points)
        lines.append(f"| {points[0]['k']} | " + " | ".join(cells) + " |")
    if law is None:
        lines += ["", "No power law: coverage is 0 or 1, or known at one k only."]
    else:
        lines += ["", f"Coverage = exp({law['a']:.3g} k^{law['b']:.3g}): {law['coverage']:.3f} at {law['samples']} samples."]
    if calls is not None:
        kinds = [(calls["easy_share"], calls["easy"]), (1 - calls["easy_share"], calls["hard"])]
        parts = ", ".join(f"{chance:.2f} on {share:.0%} of the questions" for share, chance in kinds if share > 0)
        best = "more calls are better" if calls["best"] is None else f"best at {calls['best']} calls"
        lines.append(
            f"Right answer against its strongest rival: {parts}. A majority: {best}; with ever more it tends to {calls['limit']:.3f}."
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m graphs.coverage", description="Coverage and votes of a best-of-n run at fewer samples."
    )
    parser.add_argument("run", type=Path, help="name or directory of a run with search=best_of_n")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    arguments = parser.parse_args(argv)
    questions, left_out = asyncio.run(read(find_run(arguments.run)))
    if left_out:
        console.print(f"left out: {_told(left_out)}", style="yellow", markup=False)
    rows = report(questions)
    print(json.dumps(rows) if arguments.json else "\n\n".join(table(row) for row in rows))
    return 0


def _told(left_out: Counter[str]) -> str:
    return ", ".join(f"{count} {'question' if count == 1 else 'questions'} {reason}" for reason, count in left_out.items())


if __name__ == "__main__":
    sys.exit(guarded(main))
