"""The stage that trains the policy by GRPO, with rollouts from the serving engine."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

from agents.types import Question
from configs.schema.training import GrpoConfig, PolicyTraining
from training.stages.base import Stage, StageResult, TrainingRun


@dataclass(frozen=True, slots=True)
class Reinforce(Stage):
    """GRPO with outcome rewards."""

    training: PolicyTraining
    grpo: GrpoConfig
    name: str = "grpo"
    title: str = "GRPO"
    trains_policy: bool = True

    @property
    def num_questions(self) -> int:
        return self.grpo.max_steps * self.grpo.prompts_per_step

    def run(self, run: TrainingRun, questions: Sequence[Question]) -> StageResult:
        from training.loops.reinforce import reinforce

        folder, base, resources = run.model_folder(self.name), run.base, run.resources
        run.served = None  # GRPO publishes new weights at every step
        with run.progress(self.title, self.grpo.max_steps) as progress:
            result = reinforce(
                *(questions, resources.policy, resources.is_correct, base, folder),
                *(self.training, self.grpo),
                concurrency=run.config.run.concurrency,
                checkpoints=run.folder / "checkpoints",
                on_step=progress.step,
            )
        return {
            "steps": [dataclasses.asdict(step) for step in result.steps],
            "seconds": result.seconds,
            "folder": str(folder),
        }

    def describe(self, result: StageResult) -> list[str]:
        steps = result["steps"]
        fifth = max(1, len(steps) // 5)
        first, last = (
            _mean([step["reward"] for step in part]) for part in (steps[:fifth], steps[-fifth:])
        )
        dropped = sum(step["dropped_groups"] for step in steps) / sum(
            step["groups"] for step in steps
        )
        divergence = max(step["sampler_kl"] or 0.0 for step in steps)
        return [
            f"GRPO: {len(steps)} steps, mean reward {first:.3f} (first fifth) to {last:.3f} (last "
            f"fifth), {dropped:.0%} of the groups without variance, KL(sampler || trainer) at most "
            f"{divergence:.1e} nats a token, {result['seconds']:.0f} s"
        ]


def _mean(values: list[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
