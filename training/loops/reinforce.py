"""Outcome-reward GRPO of the policy: TRL's loss and loop, our rollouts, advantages and
publication.

In each optimizer step the serving engine samples G thoughts per question, the exact
checker scores them, the weights are updated and published into the engine before the
next step. Sampling and training alternate strictly, so rollouts are on-policy up to
rounding, which the truncated importance weight corrects and the metrics report.

We override TRL's `_generate_and_score_completions`, which returns padded ids, masks,
advantages [B, T] and old logprobs; everything after it (loss types, clipping, KL,
accumulation) is TRL's own. The loss uses the engine's token ids unchanged.

Groups without variance carry no preference: their rows are left out of the batch, and
counted. If no group is left, the step has no gradient and only Adam's momentum moves
the weights.

Source: DeepSeekMath (arXiv:2402.03300), section 4.1; our own part is
training/loops/credit.py.
"""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PrinterCallback, TrainerCallback
from trl import GRPOConfig, GRPOTrainer
from trl.trainer.utils import pad

from agents.engines import loop
from agents.engines.transformers.engine import no_progress_bar
from agents.files import storing, write_text
from agents.roles.policy import Policy
from agents.types import Question
from configs.schema.training import GrpoConfig, PolicyTraining
from graphs.tasks import assert_trainable
from training.data.rollouts import Check, Rollout, roll_out
from training.loops.credit import Advantages, group_advantages, importance_weights, token_advantages
from training.loops.model_folder import load_model, load_tokenizer, save_model
from training.loops.publish import require_publisher
from training.loops.rewards import Reward, outcome, reward_of
from training.loops.trainers import OnStep, common_arguments, lora, on_one_device, per_process

_CHECKPOINTS = 10  # number of checkpoints per training
# the `GrpoStep`s of a checkpoint; written last, so its presence marks a complete
# checkpoint
_STEPS = "rollout_steps.json"


@dataclass(slots=True)
class GrpoStep:
    """Metrics of one optimizer step."""

    reward: float
    """Mean of the known rewards of the step's rollouts; in [0, 1] for the outcome
    reward."""
    dropped_groups: int
    """Groups left out because all their rewards are equal."""
    groups: int
    unscored: int
    """Completions with an unknown reward; their groups are left out, too."""
    max_ratio_error: float | None
    """Largest |pi_trainer / pi_sampler - 1| over the tokens in the loss, 0 if exactly
    on-policy; None without tokens."""
    sampler_kl: float | None
    """KL(sampler || trainer) per such token, in nats: the estimator r - 1 - log r (k3),
    r = pi_trainer / pi_sampler."""
    capped: float | None
    """Share of such tokens whose importance weight reached the cap."""
    tokens: float
    """Mean length of a completion."""
    truncated: float
    """Share of completions truncated at max_completion_tokens."""
    rollout_seconds: float
    train_seconds: float = 0.0
    publish_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class GrpoResult:
    """Result of a training."""

    steps: tuple[GrpoStep, ...]
    seconds: float


@dataclass(slots=True)
class RolloutSource:
    """Samples the trainer's rollouts from the engine, and publishes its weights to the
    engine.
    """

    policy: Policy
    check: Check
    questions: Sequence[Question]
    base: Path
    """Folder of the initial model; published folders copy its other files."""
    scratch: Path
    """Temporary folder for weights to be published."""
    concurrency: int = 64
    reward: Reward = outcome
    steps: list[GrpoStep] = field(default_factory=list)

    def sample(
        self, indices: Sequence[int], *, n: int, temperature: float, max_tokens: int, seed: int
    ) -> list[list[Rollout]]:
        """Returns `n` rollouts of each question in `indices`; called from the trainer's
        thread.
        """
        asked = [self.questions[index] for index in indices]
        work = roll_out(
            *(self.policy, self.check, asked),
            n=n,
            temperature=temperature,
            max_tokens=max_tokens,
            seed=seed,
            concurrency=self.concurrency,
        )
        return loop.run(work)

    def rewards(
        self, indices: Sequence[int], rollouts: Sequence[Sequence[Rollout]]
    ) -> list[list[float | None]]:
        """Returns the reward of each rollout; None if unknown."""
        return [
            [self.reward(self.questions[index], rollout) for rollout in group]
            for index, group in zip(indices, rollouts, strict=True)
        ]

    def publish(self, model: Any) -> float:
        """Loads the weights of `model` into the engine; returns the time, in
        seconds.
        """
        start = time.monotonic()
        publisher = require_publisher(self.policy.engine)
        folder = save_model(model, self.base, self.scratch / f"weights-{publisher.version + 1}")
        loop.run(publisher.publish(folder))
        for old in self.scratch.glob("weights-*/*.safetensors"):
            if old.parent != folder:
                old.unlink()
        return time.monotonic() - start


def reinforce(
    questions: Sequence[Question],
    policy: Policy,
    check: Check,
    base: Path,
    folder: Path,
    training: PolicyTraining,
    grpo: GrpoConfig,
    *,
    concurrency: int = 64,
    checkpoints: Path | None = None,
    on_step: OnStep | None = None,
) -> GrpoResult:
    """Trains the model of `base`, which the policy's engine serves, and writes the
    result to `folder`; the engine serves it at the end.

    With a folder for `checkpoints` (about ten per training, the last two are kept), an
    interrupted training resumes from the last checkpoint, with the same questions and
    seeds, so the result is the same as without the interruption. The folder is removed
    at the end.

    Raises:
        ValueError: a question belongs to a held-out split or has no gold answer, or the
            engine cannot load weights or reports raw logprobs.
        StorageError: a checkpoint or the result cannot be written.
    """
    assert_trainable(questions)
    require_publisher(policy.engine)
    if policy.engine.info.logprobs_mode != "processed":
        raise ValueError(
            "the engine reports logprobs before temperature, so importance ratios would be biased; "
            "set engine=vllm"
        )
    if without := next((question.hash for question in questions if question.gold is None), None):
        raise ValueError(
            f"question {without} has no gold answer, so it gives no reward; choose a task with "
            "answers"
        )
    reward, start = reward_of(grpo.reward), time.monotonic()
    with tempfile.TemporaryDirectory() as scratch, no_progress_bar():
        source = RolloutSource(policy, check, questions, base, Path(scratch), concurrency, reward)
        trainer = make_trainer(source, training, grpo, checkpoints=checkpoints, on_step=on_step)
        last = None if checkpoints is None else last_checkpoint(checkpoints)
        if last is not None:
            source.steps = [GrpoStep(**step) for step in json.loads((last / _STEPS).read_text())]
        with storing(checkpoints or folder, is_folder=True):
            trainer.train(resume_from_checkpoint=None if last is None else str(last))
        save_model(trainer.model, base, folder)
    if checkpoints is not None:
        shutil.rmtree(checkpoints, ignore_errors=True)
    return GrpoResult(tuple(source.steps), time.monotonic() - start)


def last_checkpoint(checkpoints: Path) -> Path | None:
    """Returns the newest complete checkpoint, or None; removes incomplete
    checkpoints.
    """
    whole: list[Path] = []
    for folder in checkpoints.glob("checkpoint-*"):
        if (folder / _STEPS).is_file():
            whole.append(folder)
        else:
            shutil.rmtree(folder)
    return max(whole, key=lambda folder: int(folder.name.rpartition("-")[2]), default=None)


def make_trainer(
    source: RolloutSource,
    training: PolicyTraining,
    grpo: GrpoConfig,
    *,
    checkpoints: Path | None = None,
    on_step: OnStep | None = None,
) -> EngineGRPOTrainer:
    """Returns a trainer of the model in `source.base`, ready for `train()`."""
    from datasets import Dataset

    groups = per_process(grpo.prompts_per_step, "training.grpo.prompts_per_step")
    common = common_arguments(
        training, str(source.scratch / "trainer"), batch_size=groups * grpo.num_generations
    )
    if checkpoints is not None:  # two are kept, so that one is whole while the next is written
        common |= {"output_dir": str(checkpoints), "save_strategy": "steps", "save_total_limit": 2}
        common["save_steps"] = max(1, grpo.max_steps // _CHECKPOINTS)
    arguments = GRPOConfig(
        **common,
        learning_rate=grpo.learning_rate,
        lr_scheduler_type="constant",
        weight_decay=grpo.weight_decay,
        max_steps=grpo.max_steps,
        num_generations=grpo.num_generations,
        max_completion_length=grpo.max_completion_tokens,
        temperature=grpo.temperature,
        beta=grpo.beta,
        epsilon=grpo.epsilon,
        loss_type=grpo.loss_type,
        scale_rewards=grpo.scale_rewards,
    )
    trainer = EngineGRPOTrainer(
        model=load_model(source.base, dtype=training.dtype),
        reward_funcs=_outcome,
        args=on_one_device(arguments),
        train_dataset=Dataset.from_list(
            [{"prompt": question.hash, "index": i} for i, question in enumerate(source.questions)]
        ),
        processing_class=load_tokenizer(source.base),
        peft_config=lora(training),
        callbacks=[_PublishEveryStep(source, on_step)],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.source = source
    trainer.importance_cap = grpo.importance_cap
    return trainer


def _outcome(**_: Any) -> list[float]:
    raise RuntimeError("rewards come with the rollouts; TRL's reward functions are not called")


class EngineGRPOTrainer(GRPOTrainer):  # type: ignore[misc]  # trl is untyped
    """TRL's trainer with rollouts from our engine. B rows, P prompt tokens, T
    completion tokens.
    """

    source: RolloutSource
    importance_cap: float | None

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Tensor]:
        args, source = self.args, self.source
        start = time.monotonic()
        indices = [row["index"] for row in inputs][:: self.num_generations]
        rollouts = source.sample(
            indices,
            n=self.num_generations,
            temperature=args.temperature,
            max_tokens=self.max_completion_length,
            seed=args.seed * 100_003 + self.state.global_step,
        )
        seconds = time.monotonic() - start
        rewards = source.rewards(indices, rollouts)
        advantages, reward, unscored = reward_advantages(rewards, scale=args.scale_rewards)
        rows = [rollout for group in rollouts for rollout in group]
        batch = self._batch(rows, advantages)
        sampled, mask = (
            batch["sampling_per_token_logps"],
            batch["completion_mask"] * batch["tool_mask"],
        )
        with torch.no_grad():
            self._add_old_logprobs(batch)
        weights = importance_weights(
            batch["old_per_token_logps"], sampled, mask, cap=self.importance_cap or float("inf")
        )
        if self.importance_cap is not None:
            batch["advantages"] = batch["advantages"] * weights
        ratio = importance_weights(batch["old_per_token_logps"], sampled, mask, cap=float("inf"))
        counted = mask.bool()
        has_tokens = bool(counted.any())
        step = GrpoStep(
            reward=reward,
            dropped_groups=advantages.dropped_groups,
            groups=len(rollouts),
            unscored=unscored,
            max_ratio_error=float((ratio - 1).abs().max()) if has_tokens else None,
            sampler_kl=float((ratio - 1 - ratio.log())[counted].mean()) if has_tokens else None,
            capped=float((weights < ratio)[counted].float().mean()) if has_tokens else None,
            tokens=sum(len(row.completion.token_ids) for row in rows) / len(rows),
            truncated=sum(row.completion.finish_reason == "length" for row in rows) / len(rows),
            rollout_seconds=seconds,
        )
        source.steps.append(step)
        self._metrics["train"]["reward"].append(step.reward)
        self._metrics["train"]["frac_reward_zero_std"].append(step.dropped_groups / step.groups)
        return batch

    def _batch(self, rows: Sequence[Rollout], advantages: Advantages) -> dict[str, Tensor]:
        """Returns padded tensors of the rows in kept groups, filled up with rows masked
        from the loss to whole micro-batches on every device.
        """
        device = self.accelerator.device
        kept = [index for index, keep in enumerate(advantages.kept.tolist()) if keep]
        most = int(self.accelerator.gather(torch.tensor([len(kept)], device=device)).max())
        parts = self.args.steps_per_generation
        size = max(1, -(-most // parts)) * parts
        num_padding = size - len(kept)
        chosen = [rows[index] for index in kept] + [rows[0]] * num_padding
        is_real = torch.tensor([1] * len(kept) + [0] * num_padding)
        values = torch.cat([advantages.values[kept], torch.zeros(num_padding)])

        def padded(values: list[Tensor], side: str, filler: float = 0) -> Tensor:
            tensor: Tensor = pad(values, padding_value=filler, padding_side=side).to(device)
            return tensor

        prompts = [torch.tensor(row.prompt) for row in chosen]
        completions = [torch.tensor(row.completion.token_ids) for row in chosen]
        mask = padded([torch.ones_like(ids) for ids in completions], "right")
        loss_mask = mask * is_real.to(device).unsqueeze(1)
        return {
            "prompt_ids": padded(prompts, "left", self._tokenizer.pad_token_id),
            "prompt_mask": padded([torch.ones_like(ids) for ids in prompts], "left"),
            "completion_ids": padded(completions, "right", self._tokenizer.pad_token_id),
            "completion_mask": mask,
            # TRL's name for the tokens of a completion that the loss counts
            "tool_mask": loss_mask,
            "advantages": token_advantages(values.to(device), loss_mask),
            "sampling_per_token_logps": padded(
                [torch.tensor(row.completion.logprobs) for row in chosen], "right"
            ),
            "num_items_in_batch": self.accelerator.gather(loss_mask.sum()).sum(),
        }

    def _add_old_logprobs(self, batch: dict[str, Tensor]) -> None:
        """Adds logprobs of the current weights, and of the reference policy if the loss
        has a KL term.
        """
        ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
        attention = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
        kept, micro = batch["completion_ids"].shape[1], self.args.per_device_train_batch_size

        def logprobs(model: Any) -> Tensor:
            found: Tensor = self._get_per_token_logps_and_entropies(
                model, ids, attention, kept, batch_size=micro
            )[0]
            return found

        batch["old_per_token_logps"] = logprobs(self.model)
        if self.beta == 0.0:
            return
        if self.ref_model is not None:
            batch["ref_per_token_logps"] = logprobs(self.ref_model)
        else:  # adapters: the reference is the model without them
            with self.accelerator.unwrap_model(self.model).disable_adapter():
                batch["ref_per_token_logps"] = logprobs(self.model)


def reward_advantages(
    rewards: Sequence[Sequence[float | None]], *, scale: Any = "group"
) -> tuple[Advantages, float, int]:
    """Returns the advantages of all rollouts in order, the mean of the known rewards,
    and the number of unknown rewards.

    A group with an unknown reward (None) is dropped.
    """
    values = torch.tensor(
        [[math.nan if reward is None else reward for reward in group] for group in rewards]
    )
    unknown = values.isnan()
    known = values[~unknown]
    mean = float(known.mean()) if known.numel() else math.nan
    return (
        group_advantages(values.view(-1), values.shape[1], scale=scale),
        mean,
        int(unknown.sum()),
    )


class _PublishEveryStep(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """Publishes the weights after every optimizer step, and before the first step,
    because the engine may serve other weights.
    """

    def __init__(self, source: RolloutSource, on_step: OnStep | None) -> None:
        self.source = source
        self.on_step = on_step
        self._begun = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        self.source.publish(rest["model"])

    def on_step_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        self._begun = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        step = self.source.steps[-1]
        step.publish_seconds = self.source.publish(rest["model"])
        step.train_seconds = max(
            0.0, time.monotonic() - self._begun - step.publish_seconds - step.rollout_seconds
        )
        if self.on_step is not None:
            text = (
                f"reward {step.reward:.3f}, {step.groups - step.dropped_groups} of {step.groups} "
                "groups have right and wrong answers"
            )
            self.on_step(state.global_step, state.max_steps, text)

    def on_save(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        steps = json.dumps([dataclasses.asdict(step) for step in self.source.steps])
        write_text(Path(args.output_dir) / f"checkpoint-{state.global_step}" / _STEPS, steps)
