"""Renders a comparison as Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from graphs.evaluation.search_comparison.loss_attribution import CAUSES
from graphs.evaluation.search_comparison.report.summary import VOTE

TARGET_CLOSURE, TARGET_SHARE = 0.4, 1 / 7
_TITLES = {
    "others": "Families that do not verify themselves",
    "self_verifying": "Families that verify themselves",
    "transfer": "Other tasks, with the same settings",
    "others_first": "Families that do not verify themselves, first questions",
    "self_verifying_first": "Families that verify themselves, first questions",
    "transfer_first": "Other tasks, first questions",
}

_LEGEND = (
    "Intervals are 95 %: bootstrap over questions within families and, where there are several, "
    "over training seeds of the critic. FLOPs = 2 x parameters x (generated + uncached prompt "
    "tokens), all roles; per parameter where their number is not known. Settings were chosen on "
    "validation questions (choices.json; its numbers point into comparison.strategies of "
    "comparison.json).",
    "",
    "- *N* is a search's own budget: samples; tries at a step (critique_loop), simulations "
    "(mcts), rewritings (sequential_revision). "
    "Equal N is not equal cost; FLOPs are reported beside it.",
    "- *majority*, *weighted_vote*, *best_of_n* and *logprob_vote* are computed on N of the same "
    "stored samples, a mean over many draws: the most frequent answer, the same weighted by the "
    "critic's scores, the answer of the best score, the vote weighted by log-probability.",
    "- *logprob_beam* is a beam search by the policy's log-probability. It, greedy, majority and "
    "logprob_vote need no critic: the bases.",
    "- Critics: *none*; *working* is learned, and works a step out before its verdict; *random*, "
    "*length* and *logprob* (the policy's own log-probability) are controls; *oracleE* is the "
    "exact checker, whose verdicts are flipped with probability E.",
)


def tables(document: Mapping[str, Any], figures: Sequence[str]) -> str:
    """Returns the report of the contents of comparison.json."""
    lines = ["# Comparison of searches", "", *_LEGEND]
    if document["missing"]:
        lines += [
            "",
            f"**Not finished: {len(document['missing'])} cells**, among them "
            f"{', '.join(document['missing'][:3])}.",
        ]
    for group, summary in document["groups"].items():
        lines += ["", f"## {_TITLES[group]}", "", *_group(group, summary)]
    lines += ["", *(f"![{name}]({name})" for name in figures)]
    return "\n".join(lines) + "\n"


def _group(group: str, summary: Mapping[str, Any]) -> list[str]:
    families = ", ".join(
        f"{name} (levels {', '.join(map(str, levels)) or 'all'})"
        for name, levels in summary["families"].items()
    )
    lines = [f"{families}; {summary['questions']} test questions.", ""]
    if group == "others":
        lines += [*_headline(summary), ""]
    lines += [
        *_closures(summary),
        "",
        *_to_reach(summary),
        "",
        *_rows(summary, checked=group == "self_verifying"),
    ]
    if summary["controls"]:
        lines += ["", *_controls(summary)]
    if summary["noise_sweep"]:
        lines += ["", *_noise_sweep(summary)]
    return [*lines, "", *_loss_attribution(summary)]


def _headline(summary: Mapping[str, Any]) -> list[str]:
    chosen = summary["closures"].get(summary["strategy"])
    if chosen is None:
        return [f"Chosen on validation: {summary['strategy']}; its closure was not measured."]
    verdict = "above 0" if chosen["is_above_0"] else "not above 0"
    target = "met" if (chosen["closure"]["value"] or 0.0) >= TARGET_CLOSURE else "not met"
    lines = [
        f"**{summary['strategy']}** (chosen on validation) at N = {summary['budget']}: closure "
        f"{_estimate(chosen['closure'])}, lower bound {verdict}, target {TARGET_CLOSURE:g} "
        f"{target}; {chosen['critics']} training seed(s) of the critic."
    ]
    reached = summary["to_reach_the_vote"]["methods"].get(summary["strategy"])
    if summary["to_reach_the_vote"]["target"] is not None:
        met = reached is not None and reached["share_of_flops"] <= TARGET_SHARE
        share = "is not reached" if reached is None else f"takes {_reached(reached)}"
        control = summary["to_reach_the_vote"]["methods"].get(VOTE)
        lines += [
            "The accuracy of the weighted vote at N = "
            f"{summary['to_reach_the_vote']['target']['n']} {share}; target, at most "
            f"{TARGET_SHARE:.3f} times, {'met' if met else 'not met'}.",
            "Control, the vote itself at another N: "
            f"{'not reached' if control is None else _reached(control)}.",
        ]
    return lines


def _reached(found: Mapping[str, Any]) -> str:
    return (
        f"{found['share_of_flops']:.3f} times its FLOPs at N = {found['n']}, with "
        f"{_estimate(found['difference'])} more accuracy"
    )


def _by_closure(item: tuple[str, Mapping[str, Any]]) -> float:
    value = item[1]["closure"]["value"]
    return math.inf if value is None else -float(value)


def _closures(summary: Mapping[str, Any]) -> list[str]:
    lines = [
        f"Closure = (accuracy - base) / (coverage - base) at N = {summary['budget']}. Base: the "
        "best that needs no critic at the same N or, with more samples, at the method's own "
        "FLOPs. Coverage: some of N samples is right in all its steps.",
        "",
        "| method | closure | accuracy | base | best base | coverage |",
        "|---|---|---|---|---|---|",
    ]
    for method, found in sorted(summary["closures"].items(), key=_by_closure):
        base = found["base_method"]
        lines.append(
            f"| {method} | {_estimate(found['closure'])} | {found['accuracy']:.3f} | "
            f"{found['base']:.3f} | {base['method']} {base['n']} | {found['coverage']:.3f} |"
        )
    return lines


def _to_reach(summary: Mapping[str, Any]) -> list[str]:
    target = summary["to_reach_the_vote"]["target"]
    if target is None:
        return ["The weighted vote was not measured."]
    lines = [
        f"FLOPs to reach the weighted vote at N = {target['n']} (accuracy "
        f"{target['accuracy']:.3f}, {target['flops']:.3g} FLOPs), "
        "the cheapest measured N of each method:",
        "",
        "| method | N | share of its FLOPs | difference |",
        "|---|---|---|---|",
    ]
    for method, found in summary["to_reach_the_vote"]["methods"].items():
        if found is None:
            lines.append(f"| {method} | not reached | | |")
        else:
            lines.append(
                f"| {method} | {found['n']} | {found['share_of_flops']:.3f} | "
                f"{_estimate(found['difference'])} |"
            )
    return lines


def _rows(summary: Mapping[str, Any], *, checked: bool) -> list[str]:
    with_check = "| with its free check " if checked else ""
    lines = [
        f"| method | N | critic | accuracy {with_check}| FLOPs | generated tokens |",
        "|---" * (7 if checked else 6) + "|",
    ]
    for row in sorted(summary["rows"], key=lambda row: (row["method"], row["critic"], row["n"])):
        free = f"| {_estimate(row['accuracy_with_free_check'])} " if checked else ""
        lines.append(
            f"| {row['method']} | {row['n']} | {row['critic']} | {_estimate(row['accuracy'])} "
            f"{free}| {row['flops']:.3g} | {row['generated_tokens']:.1f} |"
        )
    return lines


def _controls(summary: Mapping[str, Any]) -> list[str]:
    lines = ["| control | search | difference to the majority | beats it |", "|---|---|---|---|"]
    for row in summary["controls"]:
        beats = "yes" if row["beats_majority"] else "no"
        lines.append(
            f"| {row['critic']} | {row['method']} | {_estimate(row['difference_to_majority'])} | "
            f"{beats} |"
        )
    return lines


def _noise_sweep(summary: Mapping[str, Any]) -> list[str]:
    searches = list(
        dict.fromkeys(name for setting in summary["noise_sweep"] for name in setting["gains"])
    )
    lines = [
        "Noise sweep: how often a critic prefers the right one of two siblings, in all such "
        "pairs and in those where the policy prefers the wrong one, and the gain of search "
        "with it over the best base.",
        "",
        "| critic | within-sibling accuracy | where the policy prefers the wrong one | pairs | "
        + " | ".join(searches)
        + " |",
        "|---" * (4 + len(searches)) + "|",
    ]
    for setting in summary["noise_sweep"]:
        gains = " | ".join(
            f"{setting['gains'][name]:+.3f}" if name in setting["gains"] else ""
            for name in searches
        )
        lines.append(
            f"| {setting['critic']} | {_number(setting['sibling_accuracy'])} | "
            f"{_number(setting['hard_sibling_accuracy'])} | {setting['sibling_pairs']} | {gains} |"
        )
    return lines


def _loss_attribution(summary: Mapping[str, Any]) -> list[str]:
    lines = [
        "Loss attribution, from one run or one draw of N stored samples, as shares of all "
        "questions: *selection*, a derivation with only right steps was found and another "
        "answer given; *proposal*, no right next step was sampled; *pruning*, a right step "
        "was sampled and not expanded; *budget*, the search ended before.",
        "",
        "| method | N | critic | " + " | ".join(CAUSES) + " |",
        "|---" * (3 + len(CAUSES)) + "|",
    ]
    for row in summary["loss_attribution"]:
        shares = " | ".join(f"{row['shares'][cause]:.3f}" for cause in CAUSES)
        lines.append(f"| {row['method']} | {row['n']} | {row['critic']} | {shares} |")
    return lines


def _estimate(estimate: Mapping[str, float | None]) -> str:
    return f"{_number(estimate['value'])} [{_number(estimate['low'])}, {_number(estimate['high'])}]"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
