"""One training run: the pipeline, its metrics and its report."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

from agents.files import write_text
from agents.types import EngineError, StorageError
from configs import RunConfig, to_yaml
from graphs.terminal.console import METRICS, console, resuming, run_name
from training.pipeline import Pipeline
from training.report import metrics, report, summary
from training.stages.base import training_of


def run(config: RunConfig) -> tuple[Path, dict[str, Any]]:
    """Carries out one training run and returns its directory and its metrics."""
    _silence_libraries()
    name = run_name(config.run, training_of(config).method)
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
