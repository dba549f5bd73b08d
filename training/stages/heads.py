"""The stage that fits policy and value heads to the trees of finished runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from agents.types import Question
from configs.schema.training import HeadsTrainingConfig
from graphs.traces.checked import format_left_out
from training.loops.model_folder import base_folder
from training.stages.base import Stage, StageResult, TrainingRun


@dataclass(frozen=True, slots=True)
class FitHeads(Stage):
    """Fits heads over a copy of the policy, which stays unchanged. Opens no engine."""

    training: HeadsTrainingConfig
    name: str = "heads"
    title: str = "heads"
    leaves_model: bool = True

    def run(self, run: TrainingRun, questions: Sequence[Question]) -> StageResult:
        from training.loops.fit_heads import collect_rows, fit_heads

        collected = collect_rows(run.config, self.training)
        run.store.require_same_contents(collected.contents)
        base = base_folder(run.config.engine_of("policy").keywords()["model"])
        folder = run.model_folder(self.name)
        with run.progress(self.title, 1) as progress:
            result = fit_heads(
                *(collected.rows, base, folder, run.config.policy.factors, self.training),
                on_step=progress.step,
            )
        return {
            "labels": result.labels,
            "rows": result.rows,
            "held_out_rows": result.held_out_rows,
            "left_out": collected.left_out,
            "losses": result.losses,
            "seconds": result.seconds,
            "folder": str(folder),
            "held_out": result.measure.as_json(),
        }

    def describe(self, result: StageResult) -> list[str]:
        held_out, losses = result["held_out"], result["losses"]
        lines = [
            f"{result['rows']} nodes in {len(losses)} steps, loss {losses[0]:.3f} to "
            f"{losses[-1]:.3f}, {result['seconds']:.0f} s; the heads are in {result['folder']}",
            f"value head on {held_out['nodes']} held-out nodes: cross-entropy "
            f"{held_out['value_loss']:.3f} nats (one value for all "
            f"{held_out['base_rate_loss']:.3f}, "
            f"the outcomes themselves {held_out['perfect_loss']:.3f}), calibration error "
            f"{held_out['calibration_error']:.3f}",
        ]
        if len(result["labels"]) == 1:
            lines.append(
                "no policy head: no tree has a choice between thought factors of the policy, or "
                "training.heads.policy_weight is 0"
            )
        elif held_out["searched_nodes"]:
            lines.append(
                f"policy head on {held_out['searched_nodes']} held-out nodes: "
                f"{held_out['policy_loss']:.3f} nats (one distribution for all "
                f"{held_out['marginal_loss']:.3f}, even priors {held_out['uniform_loss']:.3f}); "
                f"its likeliest factor is the most visited at {held_out['agreement']:.0%} of them "
                f"(always the most frequent factor: {held_out['chance_agreement']:.0%})"
            )
        else:
            lines.append("policy head: not measured, because no held-out node was searched")
        if result["left_out"]:
            lines.append(f"left out: {format_left_out(Counter(result['left_out']))}")
        return lines
