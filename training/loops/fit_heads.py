"""Trains policy and value heads on finished searches.

One row per node of a reasoning tree. The input is the policy's context at the node,
question and steps token for token, without safety rules. The targets:

    value    the share of the answers below the node that are right, as a probability V:
             the logit of one output
    policy   the distribution P over thought factors at the node: the visits of its
             children in a tree with visit counts (MCTS), or else the right answers
             below them. A step sampled without a factor gets the factor whose opening
             it begins with, or else the factor without an opening.

Loss: the mean over nodes of the cross-entropy of V, plus `policy_weight` times the mean
over visits (or right answers) of -log P, so that a rarely visited node has little
weight. In a tree with visit counts, P is normalised over the factors tried at the node:
a factor that was not tried (search.min_prior) has no target. So begin with best-of-N
samples, because the visits of a search with uniform priors spread over all factors.
Visits of a search that these heads guide may be added (not measured), but are not
enough alone.

Questions are held out by hash. On held-out nodes V is compared with the base rate, and
P with the overall shares of the factors.

Source: AlphaZero (arXiv:1712.01815). The trunk is a copy of the policy; with
`finetune=head` its weights are frozen, so that one network could serve policy, value
and priors. Outcomes are those of the recorded search, not of the policy alone. Only
answers count: aborted and truncated paths are ignored.
"""

from __future__ import annotations

import math
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agents.answers import canonical
from agents.engines import loop
from agents.engines.heads_folder import VALUE, factor_label
from agents.engines.tokenizer import HFTokenizer
from agents.engines.transformers.engine import no_progress_bar
from agents.engines.transformers.heads import head_outputs, load_heads
from agents.engines.weights import hash_text, hash_weights
from agents.pocket.domain import Domain
from agents.prompts import PromptFamily, Prompts
from agents.types import LongthoughtError, Step, ThoughtFactor
from configs import RunConfig
from configs.schema.training import HeadsTrainingConfig
from graphs.tasks import assert_trainable
from graphs.traces.checked import CheckedThought, read_checked
from graphs.tree import ROOT
from training.loops.model_folder import base_folder, save_model
from training.loops.trainers import (
    OnStep,
    common_arguments,
    on_one_device,
    per_process,
    progress_callback,
)

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float64]

MEASURED_AT_ONCE = 64
_LEAST = 1e-6


@dataclass(frozen=True, slots=True)
class HeadRow:
    """One node, with the outcomes of the search below it. `F` thought factors."""

    input_ids: tuple[int, ...]
    """The policy's context at the node."""
    right: int
    """Samples below the node that ended with a right answer."""
    answers: int
    """Samples below the node that ended with an answer."""
    visits: tuple[int, ...]
    """Visits of the node's children by thought factor, or right answers below them,
    [F]."""
    tried: tuple[bool, ...]
    """Whether the factor could have been visited, [F]."""
    question_hash: str
    node: int

    @property
    def is_searched(self) -> bool:
        """Whether the row trains the policy head: it has visits and at least two tried
        factors.
        """
        return any(self.visits) and sum(self.tried) > 1


@dataclass(frozen=True, slots=True)
class HeadRows:
    """The rows of some runs, with their provenance."""

    rows: tuple[HeadRow, ...]
    left_out: Counter[str]
    """Reason -> number of questions."""
    contents: dict[str, str]
    """Hashes of the inputs that the configuration only names: the policy's weights, and
    the rows of each run."""


@dataclass(frozen=True, slots=True)
class HeadMeasure:
    """Losses of the heads on held-out nodes, with baselines that ignore the input. NaN
    if not measured.
    """

    nodes: int
    """Nodes with answers below them."""
    value_loss: float
    """Mean cross-entropy of V with the share of right answers, over these nodes, in
    nats."""
    base_rate_loss: float
    """`value_loss` of a constant V: the mean share of the training nodes."""
    perfect_loss: float
    """`value_loss` of the share itself: the lower bound."""
    calibration_error: float
    """Expected calibration error of V, with ten equal bins."""
    searched_nodes: int
    """Number of rows with `is_searched`."""
    policy_loss: float = math.nan
    """Mean over visits (or right answers) of -log P, normalised over the tried factors,
    in nats."""
    marginal_loss: float = math.nan
    """`policy_loss` of a constant P: the factors' shares of all visits of the training
    nodes."""
    uniform_loss: float = math.nan
    """`policy_loss` of uniform priors."""
    agreement: float = math.nan
    """Share of the searched nodes at which the likeliest factor is the most visited
    factor."""
    chance_agreement: float = math.nan
    """`agreement` of the constant P of `marginal_loss`."""

    def as_json(self) -> dict[str, Any]:
        """Returns plain values; NaN becomes None."""
        return {
            name: None if math.isnan(number) else number for name, number in asdict(self).items()
        }


@dataclass(frozen=True, slots=True)
class HeadsResult:
    """Result of training heads."""

    labels: tuple[str, ...]
    rows: int
    held_out_rows: int
    losses: tuple[float, ...]
    """Loss of each optimizer step."""
    seconds: float
    measure: HeadMeasure


def collect_rows(config: RunConfig, training: HeadsTrainingConfig) -> HeadRows:
    """Returns the rows of the runs that `training` names, for the policy of `config`.

    Raises:
        ValueError: a trace belongs to a held-out split, or was written with another
            tokenizer.
        BadDataError, FileNotFoundError: see `graphs.traces.checked.read_checked`.
        EngineUnavailableError: the policy's weights are not on this machine.
    """
    options = config.engine_of("policy").keywords()
    base = base_folder(options["model"])
    tokenizer = HFTokenizer(options["tokenizer"] or str(base))
    prompts = Prompts(
        PromptFamily(config.policy.prompts), tokenizer, wording=Domain.of(base).wording
    )
    rows: list[HeadRow] = []
    left_out: Counter[str] = Counter()
    contents = {"weights of the policy": hash_weights(base)}
    for run in training.from_runs:
        found: list[HeadRow] = []
        _, thoughts, without = loop.run(read_checked(run))
        left_out += without
        assert_trainable([thought.question for thought in thoughts])
        for thought in thoughts:
            if thought.tokenizer_hash != tokenizer.hash:
                raise ValueError(
                    f"{run} was recorded with another tokenizer than {base} has; its token ids "
                    "mean something else, so record the run again with this policy"
                )
            rng = random.Random(f"{training.seed}/{thought.question.hash}")
            found += head_rows(
                thought,
                prompts,
                config.policy.factors,
                most=training.heads.nodes_per_question,
                rng=rng,
            )
        contents[f"nodes of {run}"] = hash_text(repr(found))
        rows += found
    return HeadRows(tuple(rows), left_out, contents)


def head_rows(
    thought: CheckedThought,
    prompts: Prompts,
    factors: Sequence[ThoughtFactor],
    *,
    most: int,
    rng: random.Random,
) -> list[HeadRow]:
    """Returns the rows of one thought, in node order: at most `most`, sampled from the
    nodes with an answer or visits.
    """
    tree = thought.tree
    right, answers = outcomes_below(thought)
    has_visits = bool(tree.visit_count[ROOT])
    weights = tree.visit_count.tolist() if has_visits else right
    factor_of = {node: factor_written(tree.step(node), factors) for node in range(1, len(tree))}
    rows: list[HeadRow] = []
    for node in range(len(tree)):
        visits, tried = dict.fromkeys((factor.name for factor in factors), 0), set[str]()
        for child in tree.children[node]:
            name = factor_of[child]
            if name is not None:
                visits[name] += int(weights[child])
                tried.add(name)
        rows.append(
            HeadRow(
                input_ids=(),
                right=right[node],
                answers=answers[node],
                visits=tuple(visits.values()),
                tried=tuple(not has_visits or name in tried for name in visits),
                question_hash=thought.question.hash,
                node=node,
            )
        )
    known = [row for row in rows if row.answers or row.is_searched]
    chosen = sorted(rng.sample(known, min(most, len(known))), key=lambda row: row.node)
    return [
        replace(row, input_ids=prompts.context(thought.question, tree.path_steps(row.node))[0])
        for row in chosen
    ]


def factor_written(step: Step, factors: Sequence[ThoughtFactor]) -> str | None:
    """Returns the thought factor of a step: the recorded one, or else the factor whose
    opening the step begins with, or else the factor without an opening.
    """
    names = {factor.name for factor in factors}
    if step.factor is not None:
        return step.factor if step.factor in names else None
    text = step.content.reveal().text
    openings = {factor.name: factor.opening.strip() for factor in factors}
    begun = (name for name, opening in openings.items() if opening and text.startswith(opening))
    return next(begun, None) or next(
        (name for name, opening in openings.items() if not opening), None
    )


def outcomes_below(thought: CheckedThought) -> tuple[list[int], list[int]]:
    """Returns the number of samples at or below each node that ended with a right
    answer, [N], and with any answer, [N].
    """
    tree = thought.tree
    right, answers = [0] * len(tree), [0] * len(tree)
    for end in tree.ends:
        if not tree.answered[end]:
            continue
        is_right = thought.right[canonical(tree.step(end).answer or "", thought.question.task)]
        for node in (ROOT, *tree.path(end)):
            right[node] += is_right
            answers[node] += 1
    return right, answers


def fit_heads(
    rows: Sequence[HeadRow],
    base: Path,
    folder: Path,
    factors: Sequence[ThoughtFactor],
    training: HeadsTrainingConfig,
    *,
    on_step: OnStep | None = None,
) -> HeadsResult:
    """Trains heads over a copy of the model of `base`, writes the result to `folder`
    and measures it on the held-out questions.

    A policy head is trained only if some training row has `is_searched`.

    Raises:
        ValueError: see `split_rows`.
        EngineUnavailableError: the model class has no linear classification head.
        LongthoughtError: the training diverged.
    """
    from transformers import PrinterCallback, Trainer, TrainingArguments

    start = time.monotonic()
    options = training.heads
    learned, held_out = split_rows(rows, options.held_out)
    has_policy = options.policy_weight > 0 and any(row.is_searched for row in learned)
    labels = (VALUE, *(factor_label(factor.name) for factor in factors)) if has_policy else (VALUE,)
    losses: list[float] = []
    batch_size = min(options.batch_size, len(learned))
    steps = max(1, math.ceil(options.epochs * len(learned) / batch_size))
    model = _with_new_heads(base, labels, training)
    with tempfile.TemporaryDirectory() as scratch, no_progress_bar():
        arguments = TrainingArguments(
            **common_arguments(
                training, scratch, batch_size=per_process(batch_size, "training.heads.batch_size")
            ),
            learning_rate=options.learning_rate,
            weight_decay=options.weight_decay,
            max_steps=steps,
            warmup_steps=int(options.warmup_ratio * steps),
            lr_scheduler_type="linear",
            remove_unused_columns=False,
            logging_nan_inf_filter=False,
        )
        trainer: Any = Trainer(
            model=_with_loss(
                model, LossScale.of(learned, options.policy_weight if has_policy else 0.0)
            ),
            args=on_one_device(arguments),
            train_dataset=list(learned),
            data_collator=lambda batch: {"rows": batch},
            callbacks=[progress_callback(losses, on_step)],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    measure = measure_heads(model.eval(), held_out, learned, has_policy=has_policy)
    if not all(math.isfinite(number) for number in (*losses, measure.value_loss)):
        raise LongthoughtError(
            f"the training diverged: losses from {losses[0]:.3g} to {losses[-1]:.3g}, on held-out "
            f"nodes {measure.value_loss:.3g}; "
            "lower training.heads.learning_rate, or set training.dtype=float32"
        )
    save_model(model, base, folder)
    return HeadsResult(
        labels, len(learned), len(held_out), tuple(losses), time.monotonic() - start, measure
    )


def split_rows(rows: Sequence[HeadRow], share: float) -> tuple[list[HeadRow], list[HeadRow]]:
    """Returns the training rows, and the rows of the held-out questions.

    Raises:
        ValueError: one of the two has no node with an answer below it.
    """
    learned = [row for row in rows if not is_held_out(row.question_hash, share)]
    held_out = [row for row in rows if is_held_out(row.question_hash, share)]
    if not (any(row.answers for row in learned) and any(row.answers for row in held_out)):
        raise ValueError(
            f"{len(rows)} nodes of {len({row.question_hash for row in rows})} questions leave "
            f"{len(learned)} to learn from and {len(held_out)} to measure on, and both need some "
            "with an answer below them; record more questions, or change training.heads.held_out"
        )
    return learned, held_out


def is_held_out(question_hash: str, share: float) -> bool:
    """Whether a question is held out for measuring; a function of its hash, so equal in
    every run.
    """
    return random.Random(f"heads/{question_hash}").random() < share


def measure_heads(
    model: Any, rows: Sequence[HeadRow], learned: Sequence[HeadRow], *, has_policy: bool
) -> HeadMeasure:
    """Returns the losses of the heads of `model` on `rows`."""
    import torch

    with torch.inference_mode():
        batches = (
            rows[start : start + MEASURED_AT_ONCE]
            for start in range(0, len(rows), MEASURED_AT_ONCE)
        )
        outputs = torch.cat(
            [head_outputs(model, [row.input_ids for row in batch]).cpu() for batch in batches]
        ).double()
    measure = _measure_values(outputs[:, 0].sigmoid().numpy(), rows, learned)
    return (
        _measure_policy(measure, outputs[:, 1:].numpy(), rows, learned) if has_policy else measure
    )


def _measure_values(
    values: Floats, rows: Sequence[HeadRow], learned: Sequence[HeadRow]
) -> HeadMeasure:
    answered = np.array([row.answers > 0 for row in rows])
    shares = np.array([row.right / row.answers for row in rows if row.answers])
    values = values[answered]
    base_rate = float(np.mean([row.right / row.answers for row in learned if row.answers]))
    tenth = np.minimum(np.nan_to_num(values * 10).astype(int), 9)
    errors = [
        abs(float((values[tenth == number] - shares[tenth == number]).sum()))
        for number in range(10)
    ]
    return HeadMeasure(
        nodes=len(shares),
        value_loss=_cross_entropy(shares, values),
        base_rate_loss=_cross_entropy(shares, np.full_like(shares, base_rate)),
        perfect_loss=_cross_entropy(shares, shares),
        calibration_error=sum(errors) / len(shares),
        searched_nodes=sum(row.is_searched for row in rows),
    )


def _measure_policy(
    measure: HeadMeasure, logits: Floats, rows: Sequence[HeadRow], learned: Sequence[HeadRow]
) -> HeadMeasure:
    searched = [number for number, row in enumerate(rows) if row.is_searched]
    if not searched:
        return measure
    visits = np.array([rows[number].visits for number in searched])  # [S, F]
    tried = np.array([rows[number].tried for number in searched])
    logits = np.where(tried, logits[searched], -np.inf)
    in_all = np.sum([row.visits for row in learned if row.is_searched], axis=0) + _LEAST

    def loss(scores: Floats) -> float:
        """Returns the mean over visits of -log of the softmax of `scores`, [S, F]."""
        highest = scores.max(-1, keepdims=True)
        logprobs = scores - highest - np.log(np.exp(scores - highest).sum(-1, keepdims=True))
        return float(-(visits * np.where(tried, logprobs, 0.0)).sum() / visits.sum())

    favourite = visits.argmax(-1)
    marginal = np.where(tried, np.log(in_all), -np.inf)
    return replace(
        measure,
        policy_loss=loss(logits),
        marginal_loss=loss(marginal),
        uniform_loss=loss(np.where(tried, 0.0, -np.inf)),
        agreement=float((logits.argmax(-1) == favourite).mean()),
        chance_agreement=float((marginal.argmax(-1) == favourite).mean()),
    )


def _cross_entropy(shares: Floats, values: Floats) -> float:
    p = np.clip(values, _LEAST, 1 - _LEAST)
    return float(-(shares * np.log(p) + (1 - shares) * np.log(1 - p)).mean())


@dataclass(frozen=True, slots=True)
class LossScale:
    """Divisors of the sums over a batch: means over all training rows, so that the loss
    of a batch is the mean of its micro-batches' losses, however it is split.
    """

    answered: float
    """Share of the rows with answers."""
    visits: float
    """Mean visits per row."""
    policy_weight: float
    """0: no policy head."""

    @classmethod
    def of(cls, rows: Sequence[HeadRow], policy_weight: float) -> LossScale:
        """Returns the scale of these rows."""
        visits = sum(sum(row.visits) for row in rows if row.is_searched)
        return cls(
            sum(row.answers > 0 for row in rows) / len(rows), visits / len(rows), policy_weight
        )


def heads_loss(outputs: torch.Tensor, rows: Sequence[HeadRow], scale: LossScale) -> torch.Tensor:
    """Returns the loss of raw outputs, [B, 1 + F], value first; see the module
    docstring.
    """
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    answers = torch.tensor([row.answers for row in rows], device=outputs.device)
    target = torch.tensor([row.right for row in rows], device=outputs.device) / answers.clamp(min=1)
    each = binary_cross_entropy_with_logits(
        outputs[:, 0], target.to(outputs.dtype), reduction="none"
    )
    loss = (each * (answers > 0)).sum() / (scale.answered * len(rows))
    searched = [number for number, row in enumerate(rows) if row.is_searched]
    if scale.policy_weight > 0 and searched:
        visits = torch.tensor(
            [rows[number].visits for number in searched], device=outputs.device, dtype=outputs.dtype
        )
        tried = torch.tensor([rows[number].tried for number in searched], device=outputs.device)
        logprobs = (
            outputs[searched, 1:]
            .masked_fill(~tried, -math.inf)
            .log_softmax(-1)
            .masked_fill(~tried, 0.0)
        )
        loss = loss - scale.policy_weight * (visits * logprobs).sum() / (scale.visits * len(rows))
    return loss


def _with_new_heads(base: Path, labels: Sequence[str], training: HeadsTrainingConfig) -> Any:
    """Returns a copy of the model of `base` with a zero linear layer: V is 1/2 and P
    uniform.
    """
    import torch

    names = dict(enumerate(labels))
    with _no_load_report():
        model = load_heads(
            base,
            dtype=training.dtype,
            num_labels=len(labels),
            id2label=names,
            label2id={name: number for number, name in names.items()},
        )
    torch.nn.init.zeros_(model.score.weight)
    model.config.problem_type = "regression"  # raw outputs, wherever it is served
    if training.heads.finetune == "head":
        model.base_model.requires_grad_(False)
    return model


@contextmanager
def _no_load_report() -> Iterator[None]:
    """Silences transformers' warning about missing weights of the heads, which are
    still to be trained.
    """
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def _with_loss(model: Any, scale: LossScale) -> Any:
    """Returns the model wrapped for transformers' Trainer: a module whose forward
    returns the loss.
    """
    import torch

    class WithLoss(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, rows: Sequence[HeadRow]) -> dict[str, torch.Tensor]:
            return {
                "loss": heads_loss(
                    head_outputs(self.model, [row.input_ids for row in rows]), rows, scale
                )
            }

    return WithLoss()
