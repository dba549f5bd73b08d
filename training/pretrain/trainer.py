"""The training loop: packed batches, one long schedule, a checkpoint every few minutes,
a log line every hundred steps.

The schedule ends after `steps` (exactly reproducible) or after `minutes` of wall time.
A checkpoint contains everything that the next step depends on, so with `steps` a
resumed run ends with the same weights as an uninterrupted one.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from training.pretrain.documents import DocumentBuilder, DocumentOptions
from training.pretrain.export import load_folder
from training.pretrain.mixture import PHASE_1, PHASE_2, POLICY_ONLY, Mixture, PhaseShares
from training.pretrain.model import ModelShape, PocketModel
from training.pretrain.optimizer import MuonAdam, native_dtype, rate_factor
from training.pretrain.packing import Batch, TrieDocument, pack
from training.pretrain.tokenizer import Codec

CHECKPOINT_NAME = "last.pt"
_POOL = 64
_LOG_EVERY = 100


@dataclass(frozen=True)
class TrainOptions:
    """Options of one run. `steps` takes precedence over `minutes`."""

    out: Path
    start_from: Path | None = None
    """Model folder with the initial weights; None: random weights."""
    minutes: float = 50.0
    steps: int | None = None
    seed: int = 1
    recipe: Literal["pocket", "pocket-base"] = "pocket"
    """`pocket` trains every role; `pocket-base` the policy alone, with error dose 0."""
    muon_rate: float = 0.006
    adam_rate: float = 1e-3
    num_rows: int = 10
    row_length: int = 256
    phase_2_from: float = 0.5
    checkpoint_minutes: float = 5.0
    compile: bool = True
    documents: DocumentOptions = field(default_factory=DocumentOptions)


def hidden_states(
    model: PocketModel, use_compile: bool, example: Batch | None = None
) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Returns the model's forward, compiled if the machine has a C++ compiler; if
    compilation fails, prints the error and returns the model itself.
    """
    if not use_compile:
        return model
    compiled = torch.compile(model, dynamic=False)
    if example is not None:
        try:
            compiled(example.ids, example.positions, example.mask).sum().backward()
            model.zero_grad(set_to_none=True)
        except Exception as error:  # torch.compile raises many types; training has not started
            print(
                f"torch.compile does not work here ({type(error).__name__}); training in eager "
                "mode",
                flush=True,
            )
            torch.compiler.reset()
            model.zero_grad(set_to_none=True)
            return model
    return compiled


class Trainer:
    """One training run: model, optimizer, documents and progress."""

    def __init__(self, options: TrainOptions) -> None:
        torch.manual_seed(options.seed)
        self.options, self.codec = options, Codec()
        base = options.recipe == "pocket-base"
        document_options = (
            DocumentOptions(**{**asdict(options.documents), "error_dose": 0.0})
            if base
            else options.documents
        )
        self.dtype = native_dtype()
        self.model = PocketModel(ModelShape(self.codec.size), self.codec.numbers).to(self.dtype)
        if options.start_from:
            load_folder(self.model, options.start_from)
        self.optimizer = MuonAdam(
            self.model, muon_rate=options.muon_rate, adam_rate=options.adam_rate, dtype=self.dtype
        )
        self.mixture = Mixture(
            self.codec, DocumentBuilder(self.codec, document_options), random.Random(options.seed)
        )
        self.pool: list[TrieDocument] = []
        self.step = self.num_tokens = 0
        self.elapsed_s = 0.0
        self.losses: dict[str, float] = {}
        self.resumed_batch: Batch | None = None
        self.log_path = options.out / "log.jsonl"

    @property
    def progress(self) -> float:
        """Completed share of the schedule; the run ends at 1."""
        return (
            self.step / self.options.steps
            if self.options.steps
            else self.elapsed_s / (60 * self.options.minutes)
        )

    def shares(self) -> PhaseShares:
        """Returns the shares of the kinds of documents in the current phase."""
        if self.options.recipe == "pocket-base":
            return POLICY_ONLY
        return PHASE_1 if self.progress < self.options.phase_2_from else PHASE_2

    def next_batch(self) -> Batch:
        """Returns a batch of whole documents; those that did not fit stay in the
        pool.
        """
        while len(self.pool) < _POOL:
            self.pool += self.mixture.draw(_POOL, self.shares(), lambda: self.model)
        batch, left = pack(
            self.pool[:_POOL], self.options.num_rows, self.options.row_length, self.dtype
        )
        self.pool = left + self.pool[_POOL:]
        return batch

    def train(self) -> None:
        """Trains to the end of the schedule and writes checkpoints and the log; does
        nothing if the schedule has already ended.
        """
        if self.progress >= 1.0:
            print(
                f"the schedule has already ended at step {self.step}; nothing is left to train",
                flush=True,
            )
            return
        self.options.out.mkdir(parents=True, exist_ok=True)
        batch = self.resumed_batch or self.next_batch()
        forward = hidden_states(self.model, self.options.compile, batch)
        started, elapsed_before, saved_at = time.monotonic(), self.elapsed_s, self.elapsed_s
        halfway_saved = self.progress >= 0.5
        while True:
            self._update(forward, batch)
            self.elapsed_s = elapsed_before + time.monotonic() - started
            if self.step % _LOG_EVERY == 0:
                self.log()
            if self.progress >= 1.0:
                break
            batch = self.next_batch()
            if self.elapsed_s - saved_at > 60 * self.options.checkpoint_minutes:
                self.save(batch)
                saved_at = self.elapsed_s
            if not halfway_saved and self.progress >= 0.5:
                halfway_saved = True
                torch.save({"model": self.model.state_dict()}, self.options.out / "halfway.pt")
        self.log()
        self.save(None)

    def _update(self, forward: Callable[[Tensor, Tensor, Tensor], Tensor], batch: Batch) -> None:
        hidden = forward(batch.ids, batch.positions, batch.mask)
        chosen = hidden.view(-1, hidden.shape[-1])[batch.predictors]
        losses = F.cross_entropy(self.model.logits(chosen), batch.targets, reduction="none")
        loss = (losses * batch.weights).sum() / batch.weights.sum()
        loss.backward()  # type: ignore[no-untyped-call]
        self._track_losses(losses.detach(), batch)
        self.optimizer.step(rate_factor(self.step, self.progress))
        self.step += 1
        self.num_tokens += batch.num_tokens

    def _track_losses(self, losses: Tensor, batch: Batch) -> None:
        """Updates the moving averages of the losses of policy, working, verdicts (by
        critic form) and reflector, in nats.
        """
        before = batch.ids.view(-1)[batch.predictors]
        documents = self.options.documents
        verdict = (batch.targets == self.codec.special("right")) | (
            batch.targets == self.codec.special("wrong")
        )
        parts = {
            "policy": batch.weights == documents.policy_weight,
            "working": (batch.weights == documents.verdict_weight) & ~verdict,
            "verdict_token": verdict & (before == self.codec.special("critic")),
            "verdict_working": verdict & (before != self.codec.special("critic")),
            "reflector": batch.weights == documents.reflector_weight,
        }
        for name, chosen in parts.items():
            if bool(chosen.any()):
                value = float(losses[chosen].mean())
                self.losses[name] = (
                    value if name not in self.losses else 0.98 * self.losses[name] + 0.02 * value
                )

    def log(self) -> None:
        """Appends one line to the log and prints it."""
        losses = {name: round(value, 4) for name, value in self.losses.items()}
        line = {
            "step": self.step,
            "tokens": self.num_tokens,
            "elapsed_s": round(self.elapsed_s, 1),
            "progress": round(self.progress, 4),
            **losses,
        }
        with self.log_path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)

    def save(self, next_batch: Batch | None) -> None:
        """Writes the checkpoint to a temporary file and renames it, so that a kill
        never leaves a partial checkpoint.
        """
        state: dict[str, Any] = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rng": self.mixture.rng.getstate(),
            "thoughts": self.mixture.thoughts,
            "pool": self.pool,
            "next_batch": None if next_batch is None else next_batch._asdict(),
            "step": self.step,
            "num_tokens": self.num_tokens,
            "elapsed_s": self.elapsed_s,
            "losses": self.losses,
        }
        partial = self.options.out / f"{CHECKPOINT_NAME}.partial"
        torch.save(state, partial)
        partial.replace(self.options.out / CHECKPOINT_NAME)

    def restore(self) -> None:
        """Restores the checkpoint in `options.out`."""
        state = torch.load(self.options.out / CHECKPOINT_NAME, weights_only=False)
        self.optimizer.load_state_dict(state["optimizer"])
        self.mixture.rng.setstate(state["rng"])
        self.mixture.thoughts, self.pool = state["thoughts"], state["pool"]
        self.resumed_batch = Batch(**state["next_batch"]) if state["next_batch"] else None
        self.step, self.num_tokens = state["step"], state["num_tokens"]
        self.elapsed_s, self.losses = state["elapsed_s"], state["losses"]
