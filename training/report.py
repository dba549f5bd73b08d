"""What a training came to: metrics for machines, a report for people. A training without gain says so."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

from graphs.evaluation.intervals import PairedDifference, Proportion
from graphs.traces.checked import told
from training.wheel import evaluation

_TITLES = {"before": "before", "after_sft": "after SFT", "after_grpo": "after GRPO"}


def metrics(results: dict[str, Any]) -> dict[str, Any]:
    """Returns the numbers of all phases as JSON-able values: accuracies with intervals, paired comparisons, training curves."""
    found: dict[str, Any] = {"accuracy": {}, "comparison": {}}
    measured = {name: evaluation(results[name]) for name in _TITLES if name in results}
    for name, result in measured.items():
        groups = {"all": result.accuracy, **result.by_group()}
        found["accuracy"][name] = {group: _as_json(share) for group, share in groups.items()} | {
            "unchecked": result.unchecked,
            "answered": result.answered,
            "tokens_per_question": result.generated_tokens / max(1, len(result.correct)),
            "seconds": result.seconds,
        }
        publication = results[name]["publication"]
        if publication is not None:
            found.setdefault("publications", {})[name] = publication
    for name, comparison in comparisons(results).items():
        found["comparison"][name] = {
            "difference": comparison.value,
            "interval": list(comparison.interval),
            "gained": comparison.only_second,
            "lost": comparison.only_first,
            "p_value": comparison.p_value,
            "verdict": comparison.verdict,
        }
    return found | {name: results[name] for name in ("traces", "sft", "grpo") if name in results}


def comparisons(results: dict[str, Any]) -> dict[str, PairedDifference]:
    """Returns each later evaluation compared with the first one, and GRPO with SFT, by "LATER - EARLIER"."""
    measured = {name: evaluation(results[name]) for name in _TITLES if name in results}
    pairs = [("after_sft", "before"), ("after_grpo", "before"), ("after_grpo", "after_sft")]
    return {
        f"{later} - {earlier}": PairedDifference.of(measured[earlier].correct, measured[later].correct)
        for later, earlier in pairs
        if later in measured and earlier in measured
    }


def report(results: dict[str, Any], *, run: str, model: Path, config_yaml: str) -> str:
    """Returns the report in Markdown."""
    lines = [f"# Training run {run}", "", *_accuracy(results), *_training(results), f"The trained model: `{model}`", ""]
    lines += [f"Use it: `python -m graphs.ask QUESTION engine.model={model}`", "", *_configuration(config_yaml)]
    return "\n".join(lines) + "\n"


def heads_report(found: dict[str, Any], *, run: str, config_yaml: str) -> str:
    """Returns the report of a training of heads in Markdown."""
    lines = [f"# Training run {run}", "", *(f"- {line}" for line in heads_lines(found)), "", *_configuration(config_yaml)]
    return "\n".join(lines) + "\n"


def _configuration(config_yaml: str) -> list[str]:
    return ["## Configuration", "", "```yaml", config_yaml.rstrip(), "```"]


def summary(results: dict[str, Any]) -> list[str]:
    """Returns the result in a few lines of plain text."""
    lines = [f"{_TITLES[name]}: {evaluation(results[name]).accuracy}" for name in _TITLES if name in results]
    return lines + [f"{_title(name)}: {_in_words(comparison)}" for name, comparison in comparisons(results).items()]


def heads_lines(found: dict[str, Any]) -> list[str]:
    """Returns what a training of heads came to, in sentences: against what could be said without reading anything."""
    held_out = found["held_out"]
    lines = [
        f"{found['rows']} nodes in {len(found['losses'])} steps, loss {found['losses'][0]:.3f} to {found['losses'][-1]:.3f}, "
        f"{found['seconds']:.0f} s; the heads are in {found['folder']}"
    ]
    lines.append(
        f"value head on {held_out['nodes']} held-out nodes: cross-entropy {held_out['value_loss']:.3f} nats (one value for all "
        f"{held_out['base_rate_loss']:.3f}, the outcomes themselves {held_out['perfect_loss']:.3f}), calibration error "
        f"{held_out['calibration_error']:.3f}"
    )
    if held_out["searched_nodes"] and len(found["labels"]) > 1:
        lines.append(
            f"policy head on {held_out['searched_nodes']} held-out nodes: {held_out['policy_loss']:.3f} nats (one distribution for all "
            f"{held_out['marginal_loss']:.3f}, even priors {held_out['uniform_loss']:.3f}); its favourite is where the trees went at "
            f"{held_out['agreement']:.0%} of them (the favourite of all: {held_out['chance_agreement']:.0%})"
        )
    elif len(found["labels"]) > 1:
        lines.append("policy head: not measured, for no held-out node was searched")
    else:
        lines.append("no policy head: no tree says between which thought factors of the policy there was a choice, or its weight is 0")
    if found["left_out"]:
        lines.append(f"left out: {told(Counter(found['left_out']))}")
    return lines


def _accuracy(results: dict[str, Any]) -> list[str]:
    measured = {name: evaluation(results[name]) for name in _TITLES if name in results}
    if not measured:
        return ["Nothing was measured (training.evaluate=0 or training.publish=false).", ""]
    names = list(measured)
    lines = ["Greedy accuracy of the policy alone on held-out questions, with 95 % Wilson intervals:", ""]
    lines += ["| questions | " + " | ".join(_TITLES[name] for name in names) + " |", "|---" * (len(names) + 1) + "|"]
    groups = {name: {"all": result.accuracy, **result.by_group()} for name, result in measured.items()}
    lines += [f"| {group} | " + " | ".join(str(groups[name][group]) for name in names) + " |" for group in groups[names[0]]]
    lines += ["", "Paired on the same questions (difference with 95 % interval; McNemar's exact test):", ""]
    lines += [f"- {_title(name)}: {_in_words(comparison)}" for name, comparison in comparisons(results).items()]
    unchecked = sum(result.unchecked for result in measured.values())
    return [*lines, *([f"- {unchecked} answers could not be judged and count as wrong"] if unchecked else []), ""]


def _in_words(comparison: PairedDifference) -> str:
    low, high = comparison.interval
    return (
        f"{comparison.value:+.3f} [{low:+.3f}, {high:+.3f}], {comparison.only_second} gained, {comparison.only_first} lost, "
        f"p = {comparison.p_value:.2g}: **{comparison.verdict}**"
    )


def _title(name: str) -> str:
    later, earlier = name.split(" - ")
    return f"{_TITLES[later]} against {_TITLES[earlier]}"


def _training(results: dict[str, Any]) -> list[str]:
    lines = []
    if traces := results.get("traces"):
        lines.append(f"- traces: {traces['traces']} questions through the graph, {traces['right']} right, {traces['seconds']:.0f} s")
    if sft := results.get("sft"):
        left_out = ", ".join(f"{count} {reason}" for reason, count in sft["left_out"].items()) or "none"
        curve = f"loss {sft['losses'][0]:.3f} to {sft['losses'][-1]:.3f} nats" if sft["losses"] else "skipped: nothing to learn from"
        lines.append(
            f"- SFT: {sft['records']} records ({sft['learned_tokens']} learned tokens; traces left out: {left_out}), "
            f"{sft['steps']} steps, {curve}, {sft['seconds']:.0f} s"
        )
    if grpo := results.get("grpo"):
        steps = grpo["steps"]
        fifth = max(1, len(steps) // 5)
        first, last = (_mean([step["reward"] for step in part]) for part in (steps[:fifth], steps[-fifth:]))
        dropped = sum(step["dropped_groups"] for step in steps) / sum(step["groups"] for step in steps)
        lines.append(
            f"- GRPO: {len(steps)} steps, mean reward {first:.3f} (first fifth) to {last:.3f} (last fifth), {dropped:.0%} of the groups "
            f"without variance, KL(sampler || trainer) at most {max([step['sampler_kl'] or 0.0 for step in steps]):.1e} nats a token, "
            f"{grpo['seconds']:.0f} s"
        )
    for name in _TITLES:
        publication = (results.get(name) or {}).get("publication")
        if publication is not None:
            lines.append(
                f"- published {_TITLES[name].removeprefix('after ')}: version {publication['version']} in {publication['seconds']:.2f} s, "
                f"largest logprob difference to transformers {publication['max_difference']:.1e} nats over {publication['tokens']} tokens"
            )
    return ["## Training", "", *lines, ""] if lines else []


def _mean(values: list[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _as_json(share: Proportion) -> dict[str, Any]:
    return {"right": share.successes, "of": share.total, "value": share.value, "interval": list(share.interval)}
