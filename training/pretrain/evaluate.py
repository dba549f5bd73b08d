"""Evaluates the pocket model on validation questions: accuracy per family and level,
and the quality of its critic.

Greedy, majority and coverage refer to the *native* thought (the model alone, one
generation). The critic is evaluated on the policy's own proposals. Its pooled rates
mislead: a critic may recognise hard questions without recognising the right sibling. So
the main figure is the sibling accuracy: how often the right one of two siblings, a
right and a wrong step with the same parent, scores higher.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agents.families import FAMILIES, Problem
from graphs.evaluation.intervals import Proportion
from training.pretrain.export import load_checkpoint
from training.pretrain.judging import CRITIC_FORMS, Judge, Node, Thought, nodes_of, truths_of
from training.pretrain.mixture import draw_problem

NUM_SAMPLES = 16
JUDGED_SAMPLES = 8


def share(flags: Sequence[bool]) -> dict[str, Any]:
    """Returns the share of true flags with its confidence interval and n, rounded."""
    low, high = Proportion(sum(flags), len(flags)).interval
    return {
        "share": round(sum(flags) / len(flags), 4) if flags else None,
        "low": round(low, 4),
        "high": round(high, 4),
        "n": len(flags),
    }


def majority(thoughts: Sequence[Thought]) -> str | None:
    """Returns the most frequent answer, the first one among ties; None if no thought
    has an answer.
    """
    answers = Counter(thought.answer for thought in thoughts if thought.answer is not None)
    return answers.most_common(1)[0][0] if answers else None


def sibling_accuracy(
    scores: Mapping[Node, float], truths: Mapping[Node, bool]
) -> tuple[float, int]:
    """Returns the share of pairs of a right step and a wrong sibling in which the right
    one scores higher (ties count half; NaN without pairs), and the number of pairs.
    """
    families: dict[tuple[int, tuple[str, ...]], list[Node]] = defaultdict(list)
    for node in truths:
        families[node.question, node.path[:-1]].append(node)
    wins, pairs = 0.0, 0
    for siblings in families.values():
        for good in (node for node in siblings if truths[node]):
            for bad in (node for node in siblings if not truths[node]):
                wins += (scores[good] > scores[bad]) + 0.5 * (scores[good] == scores[bad])
                pairs += 1
    return (wins / pairs if pairs else math.nan), pairs


def critic_report(
    judge: Judge, problems: Sequence[Problem], thoughts: Sequence[Sequence[Thought]]
) -> dict[str, Any]:
    """Returns true positive rate, true negative rate and sibling accuracy of both
    critic forms on the policy's proposals.
    """
    logprobs = nodes_of([samples[:JUDGED_SAMPLES] for samples in thoughts])
    truths = truths_of(problems, logprobs)
    report: dict[str, Any] = {
        "nodes": len(truths),
        "right_share": round(sum(truths.values()) / max(1, len(truths)), 4),
    }
    accuracy, pairs = sibling_accuracy(logprobs, truths)
    report["sibling_pairs"], report["sibling_logprob"] = pairs, round(accuracy, 4)
    for form in CRITIC_FORMS:
        scores = {
            node: judged.probability
            for node, judged in judge.verdicts(problems, truths, form).items()
        }
        report[form] = {
            "true_positive": share([scores[node] > 0.5 for node, right in truths.items() if right]),
            "true_negative": share(
                [scores[node] <= 0.5 for node, right in truths.items() if not right]
            ),
            "sibling": round(sibling_accuracy(scores, truths)[0], 4),
        }
    return report


def position_accuracy(problems: Sequence[Problem], greedy: Sequence[Thought]) -> list[float]:
    """Returns, for each step position, the share of greedy thoughts whose step is right
    given its prefix.
    """
    flags: dict[int, list[bool]] = defaultdict(list)
    for problem, thought in zip(problems, greedy, strict=True):
        for depth, truth in enumerate(problem.check_steps(thought.steps)):
            flags[depth].append(problem.verdict(truth))
    return [round(sum(flags[depth]) / len(flags[depth]), 3) for depth in sorted(flags)]


def evaluate_level(judge: Judge, problems: Sequence[Problem], temperature: float) -> dict[str, Any]:
    """Returns all figures of one level."""
    greedy = [samples[0] for samples in judge.think(problems, 1, 0.0)]
    thoughts = judge.think(problems, NUM_SAMPLES, temperature)

    def correct(problem: Problem, answer: str | None) -> bool:
        return answer is not None and problem.is_correct(answer)

    pairs = list(zip(problems, thoughts, strict=True))
    return {
        "greedy": share([correct(p, t.answer) for p, t in zip(problems, greedy, strict=True)]),
        f"majority@{NUM_SAMPLES}": share([correct(p, majority(samples)) for p, samples in pairs]),
        f"coverage@{NUM_SAMPLES}": share(
            [any(correct(p, t.answer) for t in samples) for p, samples in pairs]
        ),
        "sample": round(
            sum(correct(p, t.answer) for p, samples in pairs for t in samples)
            / (NUM_SAMPLES * len(problems)),
            4,
        ),
        "greedy_tokens": round(sum(t.num_tokens for t in greedy) / len(greedy), 1),
        "reflected": round(
            sum(t.reflected for samples in thoughts for t in samples)
            / (NUM_SAMPLES * len(problems)),
            4,
        ),
        "by_position": position_accuracy(problems, greedy),
        "critic": critic_report(judge, problems, thoughts),
    }


def validation_problems(family: str, level: int, count: int, seed: int) -> list[Problem]:
    """Returns at most `count` distinct validation questions of a level, fixed by
    `seed`.
    """
    rng = random.Random(f"{seed}/{family}/{level}")
    problems: dict[str, Problem] = {}
    for _ in range(100 * count):
        problem = draw_problem(rng, family, "validation", level)
        problems.setdefault(problem.text, problem)
        if len(problems) == count:
            break
    return list(problems.values())


def evaluate_checkpoint(
    path: Path,
    *,
    num_questions: int,
    seed: int,
    families: Sequence[str] | None = None,
    temperature: float = 1.0,
) -> dict[str, dict[int, dict[str, Any]]]:
    """Evaluates a checkpoint on every family and level; prints one line for each, and
    writes CHECKPOINT.evaluation.json.
    """
    judge = Judge(load_checkpoint(path), seed)
    report: dict[str, dict[int, dict[str, Any]]] = {}
    for family in (FAMILIES[name] for name in families or FAMILIES):
        report[family.name] = {}
        for level in family.levels:
            started = time.monotonic()
            result = evaluate_level(
                judge, validation_problems(family.name, level, num_questions, seed), temperature
            )
            report[family.name][level] = result
            print(
                json.dumps(
                    {
                        "family": family.name,
                        "level": level,
                        "seconds": round(time.monotonic() - started),
                        **result,
                    }
                ),
                flush=True,
            )
    path.with_suffix(".evaluation.json").write_text(json.dumps(report, indent=1) + "\n")
    return report
