"""Measures and fits calibrations.

    python -m graphs.calibration RUN [--json]
    python -m graphs.calibration fit [key=value ...] [--samples 4] [--out FILE]

The first form prints the calibration curves of a stored run
(graphs/evaluation/calibration.py). The second form fits the calibration of a critic on
a task's validation questions (graphs/evaluation/fit_calibration.py):

    python -m graphs.calibration fit task=gsm8k task.path=train.jsonl task.limit=100
        experiment=chat engine.model=FOLDER run=judge

It samples solutions with the policy, judges every step with the critic, labels the
steps, and writes calibration.json into the run's folder; use it with
`critic.calibration=FILE`. Underneath is an ordinary stored run: the same command
resumes it. Test questions are refused.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from agents.files import write_text
from agents.types import BadDataError
from configs import RunConfig, compose
from configs.cli import Parser, add_override_arguments, parse, split_overrides
from configs.schema.critic import JudgingCritic
from graphs.evaluation import calibration
from graphs.evaluation.fit_calibration import (
    examples_of,
    fit_calibration,
    fit_families,
    labels_of,
    steps_per_thought,
    text,
)
from graphs.runs.driver import run
from graphs.terminal.console import console, guarded
from graphs.traces.checked import format_left_out, read_checked

OUT = "calibration.json"

_OWN = ("search", "search.num_samples", "search.selection", "critic.calibration")
"""Options that the fit sets itself."""


def main(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    return fit(words[1:]) if words[:1] == ["fit"] else calibration.main(words)


def fit(argv: Sequence[str]) -> int:
    """Fits and stores a calibration; the command `fit`."""
    parser = Parser(
        prog="python -m graphs.calibration fit",
        description="Fits the calibration of a critic on validation questions.",
        examples=(
            (
                "task=gsm8k task.path=train.jsonl task.limit=100 experiment=chat "
                "engine.model=FOLDER run=judge",
                "the one-token judge of a chat model",
            ),
            ("task=pocket critic=arithmetic", "a critic without a model"),
        ),
        common=("task", "task.path", "task.limit", "critic", "engine", "run.name"),
    )
    parser.add_argument("--samples", type=int, default=4, help="solutions per question (default 4)")
    parser.add_argument("--out", type=Path, help="file to write (default: in the run's folder)")
    parser.add_argument(
        "--force", action="store_true", help="keep the line of a critic that may be uninformative"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    add_override_arguments(parser)
    arguments = parse(parser, argv)
    config = config_of_fit(split_overrides(arguments), arguments.samples)
    folder, _, _ = run(config)
    _, thoughts, left_out = asyncio.run(read_checked(folder))
    if left_out:
        console.print(f"left out: {format_left_out(left_out)}", style="yellow", markup=False)
    labels = labels_of(thoughts)
    examples = examples_of(thoughts, labels)
    if not examples:
        raise BadDataError(
            f"{folder} holds no judged step of a sample with an answer; raise task.limit, or "
            "policy.max_answer_tokens if samples were cut"
        )
    fit_one = partial(
        fit_calibration,
        labels=labels,
        steps=steps_per_thought(thoughts),
        seed=config.run.seed,
        force=arguments.force,
    )
    known = sorted({thought.family for thought in thoughts if thought.problem is not None})
    fits = fit_families(examples, fit_one, known)
    kind, out = config.critic.kind, arguments.out or folder / OUT
    stored = {kind: {name: one.line() for name, one in fits.items()}}
    write_text(out, json.dumps(stored, indent=2, allow_nan=False) + "\n")
    print(json.dumps(stored) if arguments.json else text(fits, kind))
    console.print(f"use it with critic.calibration={out}", markup=False, soft_wrap=True)
    return 0


def config_of_fit(words: Sequence[str], samples: int) -> RunConfig:
    """Returns the configuration of the run that a fit reads.

    Raises:
        ConfigError, ValueError: the words do not describe validation questions and a
            critic that takes a calibration.
    """
    own = [word for word in words if word.partition("=")[0] in _OWN]
    if own:
        raise ValueError(
            f"{own[0]} is set by the fit, which samples whole solutions and judges every step; "
            "leave it out, and use --samples for the number of solutions"
        )
    split = [word for word in words if word.partition("=")[0] == "task.split"]
    if any(word != "task.split=validation" for word in split):
        raise ValueError(
            f"{split[0]}: a calibration is fitted on validation questions only; leave it out"
        )
    named = [word.partition("=")[0] for word in words]
    quiet = {
        "reflector": "none",
        "summarizer.kind": "extractive",
        "policy.logprobs": "always",  # the calibration curves read them
    }
    config = compose(
        [
            *words,
            *([] if split else ["task.split=validation"]),
            *(f"{key}={value}" for key, value in quiet.items() if key not in named),
            "search=best_of_n",
            f"search.num_samples={samples}",
            "search.selection=weighted_vote",
        ]
    )
    if not isinstance(config.critic, JudgingCritic):
        raise ValueError(f"critic={config.critic.kind} has no calibration; choose another critic")
    critic = config.critic.model_copy(update={"calibration": None})
    return config.model_copy(update={"critic": critic})


if __name__ == "__main__":
    sys.exit(guarded(main))
