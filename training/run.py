"""Trains the policy, or heads that a search reads, and measures what the policy gained.

    python -m training.run [experiment=sft_grpo] [run=NAME] [key=value ...]
    python -m training.run training=sft training.from_runs=[runs/NAME]

`runs/NAME` then holds the trained model, report.md, metrics.json, the resolved config
and the traces. The same command with the same name goes on where it stopped.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from agents.files import write_text
from agents.types import EngineError, StorageError
from configs import RunConfig, compose, to_yaml
from configs.cli import Parser, add_override_arguments, parse, split_overrides
from graphs.reasoner.terminal import METRICS, console, guarded, resuming
from training.pipeline import Pipeline
from training.report import metrics, report, summary


def run(config: RunConfig) -> tuple[Path, dict[str, Any]]:
    """Carries out one training run and returns its directory and its metrics."""
    _silence_libraries()
    if config.training is None:
        raise ValueError("training is null; choose training=sft_grpo, sft, grpo or heads")
    name = config.run.name or f"{datetime.now():%Y%m%d-%H%M%S}-{config.training.method}"
    folder = config.run.output_dir / name
    pipeline = Pipeline(config, folder)
    if finished := pipeline.finished():
        names = ", ".join(stage.name for stage in finished)
        console.print(f"run {name}: finished already: {names}", markup=False)
    try:
        results = pipeline.run()
        found = metrics(pipeline.stages, results)
        write_text(folder / METRICS, json.dumps(found, indent=2) + "\n")
        text = report(
            pipeline.stages, results, run=name, model=pipeline.model, config_yaml=to_yaml(config)
        )
        write_text(folder / "report.md", text)
    except (KeyboardInterrupt, EngineError, StorageError):
        console.print(
            f"finished stages are kept; go on with {resuming(folder)} and the same options",
            markup=False,
            soft_wrap=True,
        )
        raise
    print("\n".join(summary(pipeline.stages, results)))
    return folder, found


def _silence_libraries() -> None:
    """TRL warns at every import that it does not know our vLLM, whose weights it never
    touches here.
    """
    warnings.filterwarnings("ignore", message="TRL currently supports vLLM versions")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(
        prog="python -m training.run",
        description="Trains the policy, or heads, on traces and measures the gain.",
        examples=(
            ("experiment=sft_grpo", "traces, SFT, GRPO, publication and evaluation"),
            ("training=sft training.from_runs=[runs/NAME]", "SFT on the traces of a run"),
            ("run=NAME experiment=sft_grpo", "the same command resumes a stopped training"),
        ),
        common=(
            *("experiment", "training", "task", "search", "engine", "engine.model"),
            *("training.from_runs", "run.name", "run.seed"),
        ),
    )
    add_override_arguments(parser)
    arguments = parse(parser, argv)
    config = compose(split_overrides(arguments), require=("training",))
    folder, _ = run(config)
    print(f"see {folder}/report.md")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
