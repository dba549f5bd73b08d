"""The result of a run: metrics as JSON, and a report in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from agents.types import UsageByRole
from graphs.evaluation.intervals import Proportion
from graphs.terminal.answers import UNCALIBRATED
from graphs.terminal.console import counted
from graphs.thought.statistics import tree_statistics
from graphs.traces.trace import Trace
from graphs.tree import ReasoningTree


@dataclass(slots=True)
class Tally:
    """Running totals over traces; holds counts only, so its memory does not grow with
    the number of questions.
    """

    questions: int = 0
    model: str | None = None
    """Name of the model that the engine reported; None before the first trace."""
    statuses: Counter[str] = field(default_factory=Counter)
    correct: Counter[str] = field(default_factory=Counter)
    """Right answers by group; the group "all" holds every question."""
    scored: Counter[str] = field(default_factory=Counter)
    """Questions whose answer was compared with the gold answer, by group."""
    not_scored: int = 0
    """Questions without a gold answer; no accuracy includes them."""
    unchecked: Counter[str] = field(default_factory=Counter)
    """Answers that the checker could not compare with the gold answer, by outcome of
    the check; no accuracy includes them."""
    usage: UsageByRole = field(default_factory=UsageByRole)
    tree: Counter[str] = field(default_factory=Counter)
    """Sums over trees of each tree statistic, by name."""
    unread_reflections: int = 0
    actions: Counter[str] = field(default_factory=Counter)
    cut_steps: int = 0
    samplings: set[str] = field(default_factory=set)
    """The sampling parameters of the policy's steps, as text."""
    rules: Counter[str] = field(default_factory=Counter)

    def add(self, trace: Trace) -> None:
        """Counts one trace."""
        self.questions += 1
        self.model = trace.engine.model
        self.statuses[trace.status] += 1
        if trace.correct is not None:
            for group in _groups(trace):
                self.scored[group] += 1
                self.correct[group] += trace.correct
        self.not_scored += not trace.question.is_scored
        if trace.is_unchecked:
            self.unchecked[trace.check or "unknown"] += 1
        for role, usage in trace.usage.items():
            self.usage.add(role, usage)
        tree = ReasoningTree.replay(trace.question, trace.events)
        self.tree.update(
            {
                name: value
                for name, value in asdict(tree_statistics(tree)).items()
                if name != "branching"
            }
        )
        steps = [step for step in tree.steps if step is not None]
        self.cut_steps += sum(step.finish_reason == "length" for step in steps)
        self.samplings.update(str(step.sampling) for step in steps)
        for reflections in tree.reflections:
            for reflection in reflections:
                self.actions[reflection.action] += 1
                self.unread_reflections += not reflection.parsed
        self.rules.update(record.rule_id for record in trace.safety if record.rule_id is not None)

    def add_all(self, traces: Iterable[Trace]) -> Tally:
        """Counts many traces and returns the tally."""
        for trace in traces:
            self.add(trace)
        return self

    def metrics(
        self, *, seconds: float | None, failed: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Returns all counts as JSON values. `seconds`: wall-clock time of the run,
        None if it was resumed.
        """
        total = self.usage.total
        n = max(self.questions, 1)
        return {
            "questions": self.questions,
            "statuses": dict(self.statuses),
            "accuracy": {
                group: _as_json(Proportion(self.correct[group], self.scored[group]))
                for group in sorted(self.scored, key=_in_order)
            },
            "not_scored": self.not_scored,
            "sampling": sorted(self.samplings),
            "unchecked": dict(self.unchecked),
            "tokens_by_role": {
                role: {
                    "generated": usage.generated_tokens,
                    "prompt": usage.prompt_tokens,
                    "cached_prompt": usage.cached_prompt_tokens,
                }
                | {"calls": usage.calls}
                for role, usage in sorted(self.usage.roles.items())
            },
            "generated_tokens_per_question": total.generated_tokens / n,
            "prefix_cache_hit_rate": total.cached_prompt_tokens / total.prompt_tokens
            if total.prompt_tokens
            else None,
            "tree": {
                **{
                    f"{name}_per_question": self.tree[name] / n
                    for name in ("nodes", "depth", "known_wrong", "backtracks")
                },
                "cut_steps": self.cut_steps,
                "unparsed_verdicts": self.tree["unparsed"],
                "steps_without_claim": self.tree["no_claim"],
                "uncalibrated_verdicts": self.tree["uncalibrated"],
                "unread_reflections": self.unread_reflections,
                "reflections": dict(self.actions),
            },
            "safety_rules_cited": dict(self.rules),
            "failed": failed or {},
            "seconds": seconds,
            "generated_tokens_per_second": total.generated_tokens / seconds if seconds else None,
        }


def report(metrics: dict[str, Any], *, run: str, model: str | None, config_yaml: str) -> str:
    """Returns the Markdown report of a run. `model`: name of the model, None if
    unknown.
    """
    statuses = ", ".join(
        f"{count} {status}" for status, count in sorted(metrics["statuses"].items())
    )
    title = "Model not known" if model is None else f"Model `{model}`"
    lines = [
        f"# Run {run}",
        "",
        f"{title}; {counted(metrics['questions'], 'questions')}: {statuses or 'none'}.",
        "",
    ]
    if metrics["sampling"]:
        lines += [f"Sampling of the policy: {'; '.join(metrics['sampling'])}.", ""]
    if metrics["accuracy"] or metrics["not_scored"]:
        lines += ["## Accuracy", ""]
    if metrics["accuracy"]:
        lines += [
            "| group | right | of | accuracy | 95 % interval (Wilson) |",
            "|---|---|---|---|---|",
        ]
        for group, share in metrics["accuracy"].items():
            low, high = share["interval"]
            lines.append(
                f"| {group} | {share['right']} | {share['of']} | {share['value']:.3f} | "
                f"{low:.3f} to {high:.3f} |"
            )
        lines.append("")
    if metrics["not_scored"]:
        lines += [f"Not scored: {unscored(metrics)}.", ""]
    if metrics["unchecked"]:
        outcomes = ", ".join(
            f"{count} {outcome}" for outcome, count in sorted(metrics["unchecked"].items())
        )
        lines += [f"Answers that could not be checked, excluded from accuracy: {outcomes}.", ""]
    lines += [
        "## Cost",
        "",
        "| role | generated tokens | prompt tokens | of these cached | calls |",
        "|---|---|---|---|---|",
    ]
    for role, usage in metrics["tokens_by_role"].items():
        lines.append(
            f"| {role} | {usage['generated']} | {usage['prompt']} | {usage['cached_prompt']} | "
            f"{usage['calls']} |"
        )
    lines += [
        "",
        f"{metrics['generated_tokens_per_question']:.1f} generated tokens per question, all roles.",
    ]
    if metrics["seconds"]:
        lines.append(
            f"{metrics['seconds']:.1f} s, {metrics['generated_tokens_per_second']:.0f} generated "
            "tokens per second."
        )
    tree = metrics["tree"]
    lines += [
        "",
        "## Trees",
        "",
        f"Per question: {tree['nodes_per_question']:.1f} nodes, depth "
        f"{tree['depth_per_question']:.1f}, {tree['known_wrong_per_question']:.1f} nodes known to "
        f"be wrong, {tree['backtracks_per_question']:.2f} backtracks.",
        f"Steps cut off: {tree['cut_steps']}. Verdicts that could not be read: "
        f"{tree['unparsed_verdicts']}. Reflections that could not be read: "
        f"{tree['unread_reflections']}. Reflections: {tree['reflections'] or 'none'}.",
    ]
    if tree.get("steps_without_claim"):  # metrics of older versions have none
        lines[-1] += f" Steps without a claim: {tree['steps_without_claim']}."
    if tree.get("uncalibrated_verdicts"):
        lines += ["", f"{UNCALIBRATED} ({tree['uncalibrated_verdicts']} steps)."]
    if metrics["safety_rules_cited"]:
        lines += ["", f"Safety rules cited: {metrics['safety_rules_cited']}."]
    if metrics["failed"]:
        lines += ["", "## Questions that could not be asked", ""]
        lines += [f"- {name}: {reason}" for name, reason in metrics["failed"].items()]
    return "\n".join(
        [*lines, "", "## Configuration", "", "```yaml", config_yaml.strip(), "```", ""]
    )


def unscored(metrics: Mapping[str, Any]) -> str:
    """Returns the number of unscored questions and the reason as text."""
    few, all_of = metrics["not_scored"], metrics["questions"]
    count = (
        f"{few} of {all_of} questions"
        if few < all_of
        else f"all {all_of} questions"
        if few > 1
        else "the question"
    )
    return f"{count} (no gold answer)"


def _groups(trace: Trace) -> list[str]:
    family = trace.question.metadata.get("family")
    level = trace.question.metadata.get("level")
    groups = ["all"]
    if family is not None:
        groups.append(str(family))
        if level is not None:
            groups.append(f"{family} level {level}")
    return groups


def _in_order(group: str) -> list[tuple[int, str]]:
    """Returns a sort key that orders numbers in names numerically: level 2 before level
    10.
    """
    return [(int(word), "") if word.isdigit() else (-1, word) for word in group.split()]


def _as_json(share: Proportion) -> dict[str, Any]:
    return {
        "right": share.successes,
        "of": share.total,
        "value": share.value,
        "interval": list(share.interval),
    }
