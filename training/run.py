"""Trains the policy: SFT on traces, GRPO, or the whole wheel, published into the running engine and measured before and after; or heads
that a search reads.

    python -m training.run [experiment=wheel] [training=sft training.from_runs=[runs/NAME]] [run=NAME] [key=value ...]

`runs/NAME` then holds the trained model, report.md, metrics.json, the resolved config and the traces. The same command with the same name
goes on where it stopped.
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
from configs import RunConfig, compose, config_hash, to_yaml
from configs.cli import Parser, add_override_arguments, parse, split_overrides
from configs.schema.training import HeadsTrainingConfig
from graphs.reasoner.terminal import METRICS, console, guarded, resuming
from graphs.traces.store import TraceStore
from training.loops.model_folder import base_folder
from training.phases import Phases
from training.progress import PhaseProgress
from training.report import heads_lines, heads_report, metrics, report, summary
from training.wheel import Wheel


def run(config: RunConfig) -> tuple[Path, dict[str, Any]]:
    """Carries out one training run and returns its directory and its metrics."""
    _silence_libraries()
    assert config.training is not None
    name = config.run.name or f"{datetime.now():%Y%m%d-%H%M%S}-{config.training.method}"
    folder = config.run.output_dir / name
    if isinstance(config.training, HeadsTrainingConfig):
        return folder, _learn_heads(config, config.training, folder)
    wheel = Wheel(config, folder)
    finished = [phase for phase in wheel.names() if wheel.phases.result(phase) is not None]
    if finished:
        console.print(f"run {name}: finished already: {', '.join(finished)}", markup=False)
    try:
        results = wheel.turn()
        found = metrics(results)
        write_text(folder / METRICS, json.dumps(found, indent=2) + "\n")
        write_text(folder / "report.md", report(results, run=name, model=wheel.model, config_yaml=to_yaml(config)))
    except (KeyboardInterrupt, EngineError, StorageError):
        console.print(f"finished phases are kept; go on with {resuming(folder)} and the same options", markup=False, soft_wrap=True)
        raise
    for line in summary(results):
        print(line.replace("**", ""))
    return folder, found


def _learn_heads(config: RunConfig, training: HeadsTrainingConfig, folder: Path) -> dict[str, Any]:
    """Trains heads and returns their metrics; where the run has finished before, those that it left."""
    from training.loops.fit_heads import collect_rows, fit_heads, split_rows

    model, text = training.output or folder / "model", to_yaml(config)
    collected = collect_rows(config)
    split_rows(collected.rows, training.heads.held_out)  # refuses too few of them before there is a run that holds to its options
    with TraceStore.open(folder, config_hash=config_hash(config), config_yaml=text) as store:
        write_text(folder / "config.yaml", text)
        store.hold_to(collected.contents)

        def work() -> dict[str, Any]:
            base = base_folder(config.engine_of("policy").options()["model"])
            with PhaseProgress("heads", 1, shown=config.run.show_progress) as progress:
                result = fit_heads(collected.rows, base, model, config.policy.factors, training, on_step=progress.step)
            left = {"labels": result.labels, "rows": result.rows, "held_out_rows": result.held_out_rows, "left_out": collected.left_out}
            return left | {"losses": result.losses, "seconds": result.seconds, "folder": str(model), "held_out": result.measure.as_json()}

        found = {"heads": Phases(folder).once("heads", work)}
    write_text(folder / METRICS, json.dumps(found, indent=2) + "\n")
    write_text(folder / "report.md", heads_report(found["heads"], run=folder.name, config_yaml=text))
    print("\n".join(heads_lines(found["heads"])))
    return found


def _silence_libraries() -> None:
    """TRL warns at every import that it does not know our vLLM, whose weights it never touches here."""
    warnings.filterwarnings("ignore", message="TRL currently supports vLLM versions")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(prog="python -m training.run", description="Trains the policy and measures what it gained.")
    add_override_arguments(parser)
    arguments = parse(parser, argv)
    config = compose(split_overrides(arguments), require=("training",))
    folder, _ = run(config)
    print(f"see {folder}/report.md")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
