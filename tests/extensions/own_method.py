"""A training method of one's own: the policy learns the answers without thoughts.

A row is a question of the train split and its gold answer. The loss is the negative
log-likelihood of the answer's tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from agents.types import Question
from configs.schema.training import PolicyTraining
from training.loops.model_folder import load_model, save_model
from training.stages.base import Stage, StageResult, TrainingRun


class AnswerOptions(PolicyTraining):
    """Options of `Answers`."""

    questions: int = Field(16, ge=1)
    """Questions of the train split."""
    epochs: int = Field(2, ge=1)
    """Passes over the questions."""
    learning_rate: float = Field(1e-3, gt=0)
    """Learning rate of AdamW."""


@dataclass(frozen=True, slots=True)
class LearnAnswers(Stage):
    """Trains all weights, one question per optimizer step."""

    training: AnswerOptions
    name: str = "answers"
    title: str = "answers"
    trains_policy: bool = True

    @property
    def num_questions(self) -> int:
        return self.training.questions

    def run(self, run: TrainingRun, questions: Sequence[Question]) -> StageResult:
        import torch

        policy = run.resources.policy
        rows = [
            (
                policy.prompts.policy(question),
                policy.engine.tokenizer.encode(f"Answer: {question.gold}"),
            )
            for question in questions
        ]
        torch.manual_seed(self.training.seed)
        model = load_model(run.base, dtype=self.training.dtype).train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=self.training.learning_rate)
        losses: list[float] = []
        with run.progress(self.title, self.training.epochs) as progress:
            for _ in range(self.training.epochs):
                steps = [self._step(model, optimizer, *row) for row in rows]
                losses.append(sum(steps) / len(steps))
                progress.advance(f"loss {losses[-1]:.3f}")
        folder = save_model(model.eval(), run.base, run.model_folder(self.name))
        return {"losses": losses, "folder": str(folder)}

    @staticmethod
    def _step(model: Any, optimizer: Any, prompt: Sequence[int], answer: Sequence[int]) -> float:
        """Returns the loss before the step, in nats per token of the answer."""
        import torch

        ids = torch.tensor([[*prompt, *answer]])  # [1, T]
        labels = ids.clone()
        labels[:, : len(prompt)] = -100  # no loss
        loss = model(input_ids=ids, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    def describe(self, result: StageResult) -> list[str]:
        losses = result["losses"]
        return [f"answers: loss {losses[0]:.3f} to {losses[-1]:.3f} nats per token"]


class Answers:
    """One stage."""

    config = AnswerOptions

    def stages(self, training: AnswerOptions) -> Sequence[Stage]:
        return [LearnAnswers(training)]
