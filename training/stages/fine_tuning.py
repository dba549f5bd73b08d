"""The stage that fine-tunes the policy on traces with right answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.types import LongthoughtError, Question
from configs.schema.training import PolicyTraining, SftConfig
from graphs.traces.store import TraceStore
from training.data.records import Records, make_records
from training.stages.base import Stage, StageResult, TrainingRun


@dataclass(frozen=True, slots=True)
class FineTune(Stage):
    """SFT on the traces of finished runs, or of this run."""

    training: PolicyTraining
    sft: SftConfig
    from_runs: tuple[Path, ...] = ()
    """Folders of runs; empty: the traces of this run."""
    must_learn: bool = False
    """Whether having no usable trace is an error; otherwise the stage is skipped."""
    name: str = "sft"
    title: str = "SFT"
    trains_policy: bool = True

    def run(self, run: TrainingRun, questions: Sequence[Question]) -> StageResult:
        from training.loops.fine_tune import fine_tune

        records = self._records(run)
        counted = {
            "records": len(records.rows),
            "learned_tokens": records.learned_tokens,
            "left_out": dict(records.left_out),
        }
        if not records.rows:
            if self.must_learn:
                raise LongthoughtError(
                    f"no trace of {len(self.from_runs)} runs can be learned from: "
                    f"{dict(records.left_out)}"
                )
            return counted | {"steps": 0, "losses": [], "seconds": 0.0, "folder": None}
        folder = run.model_folder(self.name)
        with run.progress(self.title, 1) as progress:
            result = fine_tune(
                records.rows, run.base, folder, self.training, self.sft, on_step=progress.step
            )
        return counted | {
            "steps": result.steps,
            "losses": result.losses,
            "seconds": result.seconds,
            "folder": str(folder),
        }

    def _records(self, run: TrainingRun) -> Records:
        traces = [*run.store] if not self.from_runs else []
        damaged = 0
        for source in self.from_runs:
            with TraceStore.read(source) as other:
                traces += [*other]
                damaged += len(other.damaged)
        resources, longest = run.resources, self.sft.max_length
        context = resources.engine.info.context_length
        records = make_records(
            traces,
            resources.policy.prompts,
            kind=self.sft.thought,
            max_length=context if longest is None else min(context, longest),
            tokenizer_hash=resources.engine.info.tokenizer_hash,
            openings={factor.name: factor.opening for factor in run.config.policy.factors},
            seed=self.training.seed,
        )
        if damaged:
            records.left_out["damaged"] = damaged
        return records

    def describe(self, result: StageResult) -> list[str]:
        left_out = ", ".join(f"{count} {reason}" for reason, count in result["left_out"].items())
        losses = result["losses"]
        curve = (
            (f"loss {losses[0]:.3f} to {losses[-1]:.3f} nats")
            if losses
            else "skipped: nothing to learn from"
        )
        return [
            f"SFT: {result['records']} records ({result['learned_tokens']} learned tokens; traces "
            f"left out: {left_out or 'none'}), {result['steps']} steps, {curve}, "
            f"{result['seconds']:.0f} s"
        ]
