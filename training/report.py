"""The report of a training run, as JSON metrics and as Markdown. A training without
gain is reported as "no gain".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graphs.evaluation.intervals import PairedDifference, Proportion
from training.stages.base import Stage, StageResult
from training.stages.evaluation import Evaluate, Evaluation, evaluation_of

Results = Mapping[str, StageResult]
"""Stage name -> result."""


def metrics(stages: Sequence[Stage], results: Results) -> dict[str, Any]:
    """Returns the metrics of all stages as plain values: accuracies with intervals,
    paired comparisons, and the result of every other stage under its name.
    """
    found: dict[str, Any] = {"accuracy": {}, "comparison": {}}
    for stage, evaluation in _evaluations(stages, results):
        groups = {"all": evaluation.accuracy, **evaluation.by_group()}
        found["accuracy"][stage.name] = {
            group: _as_json(share) for group, share in groups.items()
        } | {
            "unchecked": evaluation.unchecked,
            "answered": evaluation.answered,
            "tokens_per_question": evaluation.generated_tokens / max(1, len(evaluation.correct)),
            "seconds": evaluation.seconds,
        }
        publication = results[stage.name]["publication"]
        if publication is not None:
            found.setdefault("publications", {})[stage.name] = publication
    for later, earlier, difference in comparisons(stages, results):
        found["comparison"][f"{later.name} - {earlier.name}"] = {
            "difference": difference.value,
            "interval": list(difference.interval),
            "gained": difference.only_second,
            "lost": difference.only_first,
            "p_value": difference.p_value,
            "verdict": difference.verdict,
        }
    return found | {
        stage.name: results[stage.name] for stage in stages if not isinstance(stage, Evaluate)
    }


def comparisons(
    stages: Sequence[Stage], results: Results
) -> list[tuple[Evaluate, Evaluate, PairedDifference]]:
    """Returns (later, earlier, difference): each evaluation compared with the first one
    and with the previous one.
    """
    measured = _evaluations(stages, results)
    pairs = {
        (later, earlier): None for later in range(1, len(measured)) for earlier in (0, later - 1)
    }
    return [
        (
            measured[later][0],
            measured[earlier][0],
            PairedDifference.of(measured[earlier][1].correct, measured[later][1].correct),
        )
        for later, earlier in pairs
    ]


def report(
    stages: Sequence[Stage], results: Results, *, run: str, model: Path, config_yaml: str
) -> str:
    """Returns the report in Markdown."""
    described = [f"- {line}" for stage in stages for line in stage.describe(results[stage.name])]
    lines = [f"# Training run {run}", "", *_accuracy(stages, results)]
    if described:
        lines += ["## Training", "", *described, ""]
    if any(stage.trains_policy for stage in stages):
        lines += [
            *(f"The trained model: `{model}`", ""),
            *(f"Use it: `longthought ask QUESTION engine.model={model}`", ""),
        ]
    lines += ["## Configuration", "", "```yaml", config_yaml.rstrip(), "```"]
    return "\n".join(lines) + "\n"


def summary(stages: Sequence[Stage], results: Results) -> list[str]:
    """Returns a short summary as lines of plain text."""
    measured = _evaluations(stages, results)
    if not measured:
        return [line for stage in stages for line in stage.describe(results[stage.name])]
    lines = [f"{stage.title}: {evaluation.accuracy}" for stage, evaluation in measured]
    return lines + [
        f"{later.title} against {earlier.title}: {_in_words(difference)}"
        for later, earlier, difference in comparisons(stages, results)
    ]


def _evaluations(stages: Sequence[Stage], results: Results) -> list[tuple[Evaluate, Evaluation]]:
    return [
        (stage, evaluation_of(results[stage.name]))
        for stage in stages
        if isinstance(stage, Evaluate)
    ]


def _accuracy(stages: Sequence[Stage], results: Results) -> list[str]:
    measured = _evaluations(stages, results)
    if not measured:
        is_trained = any(stage.trains_policy for stage in stages)
        why = "Nothing was measured (training.evaluate=0 or training.publish=false)."
        return [why, ""] if is_trained else []
    lines = [
        "Greedy accuracy of the policy alone on held-out questions, with 95 % Wilson intervals:",
        "",
    ]
    titles = [stage.title for stage, _ in measured]
    lines += ["| questions | " + " | ".join(titles) + " |", "|---" * (len(titles) + 1) + "|"]
    groups = [{"all": evaluation.accuracy, **evaluation.by_group()} for _, evaluation in measured]
    lines += [
        f"| {name} | " + " | ".join(str(shares[name]) for shares in groups) + " |"
        for name in groups[0]
    ]
    lines += [
        "",
        "Paired on the same questions (difference with 95 % interval; McNemar's exact test):",
        "",
    ]
    lines += [
        f"- {later.title} against {earlier.title}: {_in_words(difference, mark='**')}"
        for later, earlier, difference in comparisons(stages, results)
    ]
    if unchecked := sum(evaluation.unchecked for _, evaluation in measured):
        lines.append(f"- {unchecked} answers could not be checked and count as wrong")
    return [*lines, ""]


def _in_words(difference: PairedDifference, *, mark: str = "") -> str:
    low, high = difference.interval
    return (
        f"{difference.value:+.3f} [{low:+.3f}, {high:+.3f}], {difference.only_second} gained, "
        f"{difference.only_first} lost, p = {difference.p_value:.2g}: "
        f"{mark}{difference.verdict}{mark}"
    )


def _as_json(share: Proportion) -> dict[str, Any]:
    return {
        "right": share.successes,
        "of": share.total,
        "value": share.value,
        "interval": list(share.interval),
    }
