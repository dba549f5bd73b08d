"""Policy and value heads, learned from finished searches.

One row per node of a reasoning tree. What is read is the policy's context there: question and steps, token for token. What is learned:

    value    the share of the answers below the node that are right, as a probability V: the logit of one output
    policy   where it pays to go from the node, by thought factor: the visits of its children in a tree whose visits were counted (MCTS),
             the right answers below them in any other. A step that the policy wrote freely has the factor whose opening it wrote.

Loss: the mean over nodes of the cross-entropy of V, plus `policy_weight` times the mean over visits (or right answers) of -log P, so that a
node that was hardly searched says little. Samples (best-of-N) are what to begin with: a search with even priors goes everywhere. The
visits of the search that these heads then guide are what to go on with.

Questions are held out by their hash. On these V is compared with the base rate, and P with the uniform prior that it is to replace.

Source: AlphaZero (arXiv:1712.01815). The trunk is a copy of the policy's; with `finetune=head` its weights stay, so that one network
could serve all three. Outcomes are those of the search that was run and not of the policy alone, and only answers count: a path that was
given up says nothing about the value above it.
"""

from __future__ import annotations

import math
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agents.answers import canonical
from agents.domain import Domain
from agents.engines import loop
from agents.engines.tokenizer import HFTokenizer
from agents.engines.transformers import no_progress_bar
from agents.engines.transformers_heads import head_outputs, load_heads
from agents.heads import VALUE, factor_label
from agents.prompts import PromptFamily, Prompts
from configs import RunConfig
from configs.schema.training import HeadsTrainingConfig
from graphs.checked import CheckedThought, read_checked
from graphs.tasks import assert_trainable
from graphs.tree import ROOT, ReasoningTree
from training.model_folder import base_folder, save_model
from training.trainers import OnStep, common_arguments, on_one_device, per_process, progress_callback

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float64]

MEASURED_AT_ONCE = 64
_LEAST = 1e-6


@dataclass(frozen=True, slots=True)
class HeadRow:
    """One node, and what the search found below it. `F` thought factors."""

    input_ids: tuple[int, ...]
    """The policy's context at the node."""
    right: int
    """Samples below it that ended with a right answer."""
    answers: int
    """Samples below it that ended with an answer."""
    visits: tuple[int, ...]
    """Visits of its children by thought factor, or right answers below them, [F]; all 0 where there was nothing."""
    question_hash: str
    node: int


@dataclass(frozen=True, slots=True)
class HeadMeasure:
    """What heads say of held-out nodes, beside what can be said without reading anything. NaN where nothing was measured."""

    nodes: int
    """Nodes with answers below them."""
    value_loss: float
    """Mean over these of the cross-entropy of V to the share of right answers, in nats."""
    base_rate_loss: float
    """The same of one V for all nodes: the mean share below the trained ones."""
    perfect_loss: float
    """The same of the share itself: what no V can be below."""
    calibration_error: float
    """Mean over nodes of |mean V - mean share| in their tenth of V."""
    searched_nodes: int
    """Nodes with visits, or right answers, below them."""
    policy_loss: float = math.nan
    """Mean over visits (or right answers) of -log P, in nats."""
    uniform_loss: float = math.nan
    """The same of the uniform prior over all factors."""
    agreement: float = math.nan
    """Share of the searched nodes at which the likeliest factor is the most visited one."""
    chance_agreement: float = math.nan
    """Share at which the factor is that has the most visits of all, in the trained ones."""

    def as_json(self) -> dict[str, Any]:
        """Returns plain values; null for what was not measured."""
        return {name: None if math.isnan(number) else number for name, number in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class HeadsResult:
    """What a training of heads came to."""

    labels: tuple[str, ...]
    rows: int
    held_out_rows: int
    losses: tuple[float, ...]
    """Of each optimizer step."""
    seconds: float
    measure: HeadMeasure


def learn_heads(config: RunConfig, folder: Path, *, on_step: OnStep | None = None) -> HeadsResult:
    """Trains heads for the policy of `config` as `config.training` says, and writes the model to `folder`.

    Raises:
        ValueError: a trace belongs to a held-out split, or there is nothing to learn from.
        BadDataError, FileNotFoundError: see `graphs.checked.read_checked`.
        EngineUnavailableError: the policy's weights are not on this machine.
    """
    training = config.training
    assert isinstance(training, HeadsTrainingConfig)
    base = base_folder(config.engine_of("policy").options()["model"])
    prompts = Prompts(PromptFamily(config.policy.prompts), HFTokenizer(str(base)), wording=Domain.of(base).wording)
    factors = tuple(factor.name for factor in config.policy.factors)
    rows: list[HeadRow] = []
    for run in training.from_runs:
        _, thoughts, _ = loop.run(read_checked(run))
        assert_trainable([thought.question for thought in thoughts])
        for thought in thoughts:
            rng = random.Random(f"{training.seed}/{thought.question.hash}")
            rows += head_rows(thought, prompts, factors, most=training.heads.nodes_per_question, rng=rng)
    return fit_heads(rows, base, folder, factors, training, on_step=on_step)


def head_rows(thought: CheckedThought, prompts: Prompts, factors: Sequence[str], *, most: int, rng: random.Random) -> list[HeadRow]:
    """Returns the rows of one thought: at most `most` of the nodes that something is known of, in their order."""
    tree = thought.tree
    right, answers = outcomes_below(thought)
    weights = tree.visit_count.tolist() if tree.visit_count[ROOT] else right
    visits = [visits_by_factor(tree, node, factors, weights) for node in range(len(tree))]
    known = [node for node in range(len(tree)) if answers[node] or any(visits[node])]
    chosen = sorted(rng.sample(known, min(most, len(known))))
    return [
        HeadRow(
            input_ids=prompts.context(thought.question, tree.path_steps(node))[0],
            right=right[node],
            answers=answers[node],
            visits=visits[node],
            question_hash=thought.question.hash,
            node=node,
        )
        for node in chosen
    ]


def outcomes_below(thought: CheckedThought) -> tuple[list[int], list[int]]:
    """Returns, for each node, how many of the samples at or below it ended with a right answer, and how many with an answer. Both [N]."""
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


def visits_by_factor(tree: ReasoningTree, node: int, factors: Sequence[str], weights: Sequence[int]) -> tuple[int, ...]:
    """Returns the sum of `weights`, [N], of a node's children by the thought factor that they were written under, [F]."""
    visits = dict.fromkeys(factors, 0)
    for child in tree.children[node]:
        name = tree.step(child).factor
        if name in visits:
            visits[name] += weights[child]
    return tuple(visits.values())


def fit_heads(
    rows: Sequence[HeadRow],
    base: Path,
    folder: Path,
    factors: Sequence[str],
    training: HeadsTrainingConfig,
    *,
    on_step: OnStep | None = None,
) -> HeadsResult:
    """Trains heads over a copy of the model of `base`, writes it to `folder` and measures it on the questions held out.

    A policy head is made where some tree says under which thought factors it pays to go on.

    Raises:
        ValueError: there are no rows or no answers, or all of them belong to one side of the split.
    """
    from transformers import PrinterCallback, Trainer, TrainingArguments

    start = time.monotonic()
    options = training.heads
    learned = [row for row in rows if not is_held_out(row.question_hash, options.held_out)]
    held_out = [row for row in rows if is_held_out(row.question_hash, options.held_out)]
    if not learned or not held_out:
        raise ValueError(
            f"{len(rows)} nodes of {len({row.question_hash for row in rows})} questions leave {len(learned)} to learn from and "
            f"{len(held_out)} to measure on, and both must be some; record more questions, or change training.heads.held_out"
        )
    if not (any(row.answers for row in learned) and any(row.answers for row in held_out)):
        raise ValueError("there is no answer to learn the value of; raise the budget of the searches that were recorded")
    has_policy = any(any(row.visits) for row in learned)
    labels = (VALUE, *(factor_label(name) for name in factors)) if has_policy else (VALUE,)
    losses: list[float] = []
    batch_size = min(options.batch_size, len(learned))
    steps = max(1, math.ceil(options.epochs * len(learned) / batch_size))
    model = _with_new_heads(base, labels, training)
    with tempfile.TemporaryDirectory() as scratch, no_progress_bar():
        arguments = TrainingArguments(
            **common_arguments(training, scratch, batch_size=per_process(batch_size, "training.heads.batch_size")),
            learning_rate=options.learning_rate,
            weight_decay=options.weight_decay,
            max_steps=steps,
            warmup_steps=int(options.warmup_ratio * steps),
            lr_scheduler_type="linear",
            remove_unused_columns=False,
        )
        trainer: Any = Trainer(
            model=_with_loss(model, options.policy_weight if has_policy else 0.0),
            args=on_one_device(arguments),
            train_dataset=list(learned),
            data_collator=lambda batch: {"rows": batch},
            callbacks=[progress_callback(losses, on_step)],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        save_model(model, base, folder)
    measure = measure_heads(model.eval(), held_out, learned, has_policy=has_policy)
    return HeadsResult(labels, len(learned), len(held_out), tuple(losses), time.monotonic() - start, measure)


def is_held_out(question_hash: str, share: float) -> bool:
    """Whether the heads are measured on a question; a function of its hash, so that every run says the same."""
    return random.Random(f"heads/{question_hash}").random() < share


def measure_heads(model: Any, rows: Sequence[HeadRow], learned: Sequence[HeadRow], *, has_policy: bool) -> HeadMeasure:
    """Returns what the heads of `model` say of `rows`."""
    import torch

    with torch.inference_mode():
        batches = (rows[start : start + MEASURED_AT_ONCE] for start in range(0, len(rows), MEASURED_AT_ONCE))
        outputs = torch.cat([head_outputs(model, [row.input_ids for row in batch]).cpu() for batch in batches]).double()
    measure = _measure_values(outputs[:, 0].sigmoid().numpy(), rows, learned)
    return _measure_policy(measure, outputs[:, 1:].log_softmax(-1).numpy(), rows, learned) if has_policy else measure


def _measure_values(values: Floats, rows: Sequence[HeadRow], learned: Sequence[HeadRow]) -> HeadMeasure:
    answered = np.array([row.answers > 0 for row in rows])
    shares = np.array([row.right / row.answers for row in rows if row.answers])
    values = values[answered]
    base_rate = float(np.mean([row.right / row.answers for row in learned if row.answers]))
    tenth = np.minimum((values * 10).astype(int), 9)
    errors = [abs(float((values[tenth == number] - shares[tenth == number]).sum())) for number in range(10)]
    return HeadMeasure(
        nodes=len(shares),
        value_loss=_cross_entropy(shares, values),
        base_rate_loss=_cross_entropy(shares, np.full_like(shares, base_rate)),
        perfect_loss=_cross_entropy(shares, shares),
        calibration_error=sum(errors) / len(shares),
        searched_nodes=sum(any(row.visits) for row in rows),
    )


def _measure_policy(measure: HeadMeasure, logprobs: Floats, rows: Sequence[HeadRow], learned: Sequence[HeadRow]) -> HeadMeasure:
    searched = [number for number, row in enumerate(rows) if any(row.visits)]
    if not searched:
        return measure
    visits = np.array([rows[number].visits for number in searched])  # [S, F]
    logprobs = logprobs[searched]
    most_visited = int(np.sum([row.visits for row in learned], axis=0).argmax())
    favourite = visits.argmax(-1)
    return replace(
        measure,
        policy_loss=float(-(visits * logprobs).sum() / visits.sum()),
        uniform_loss=math.log(visits.shape[1]),
        agreement=float((logprobs.argmax(-1) == favourite).mean()),
        chance_agreement=float((favourite == most_visited).mean()),
    )


def _cross_entropy(shares: Floats, values: Floats) -> float:
    p = np.clip(values, _LEAST, 1 - _LEAST)
    return float(-(shares * np.log(p) + (1 - shares) * np.log(1 - p)).mean())


def heads_loss(outputs: torch.Tensor, rows: Sequence[HeadRow], *, policy_weight: float) -> torch.Tensor:
    """Returns the loss of raw outputs, [B, 1 + F], value first; see the module."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    answers = torch.tensor([row.answers for row in rows], device=outputs.device)
    known = answers > 0
    target = torch.tensor([row.right for row in rows], device=outputs.device) / answers.clamp(min=1)
    each = binary_cross_entropy_with_logits(outputs[:, 0], target, reduction="none")
    loss = (each * known).sum() / known.sum().clamp(min=1)
    if policy_weight > 0:
        visits = torch.tensor([row.visits for row in rows], device=outputs.device, dtype=outputs.dtype)
        loss = loss - policy_weight * (visits * outputs[:, 1:].log_softmax(-1)).sum() / visits.sum().clamp(min=1)
    return loss


def _with_new_heads(base: Path, labels: Sequence[str], training: HeadsTrainingConfig) -> Any:
    """Returns a copy of the model of `base` with a linear layer that says nothing yet: V is 1/2, and P uniform."""
    import torch

    names = dict(enumerate(labels))
    with _no_load_report():
        model = load_heads(
            base, dtype=training.dtype, num_labels=len(labels), id2label=names, label2id={name: number for number, name in names.items()}
        )
    torch.nn.init.zeros_(model.score.weight)
    model.config.problem_type = "regression"  # raw outputs, wherever it is served
    if training.heads.finetune == "head":
        model.base_model.requires_grad_(False)
    return model


@contextmanager
def _no_load_report() -> Iterator[None]:
    """Silences transformers' warning that the weights of the heads are not in the folder: they are about to be learned."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def _with_loss(model: Any, policy_weight: float) -> Any:
    """Returns the model as transformers' Trainer wants one: a module whose forward says the loss."""
    import torch

    class WithLoss(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, rows: Sequence[HeadRow]) -> dict[str, torch.Tensor]:
            return {"loss": heads_loss(head_outputs(self.model, [row.input_ids for row in rows]), rows, policy_weight=policy_weight)}

    return WithLoss()
