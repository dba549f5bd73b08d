"""Trains the policy: SFT on traces, GRPO, or the whole wheel, published into the running engine and measured before and after.

    python -m training.run [experiment=wheel] [training=sft training.from_runs=[runs/NAME]] [run=NAME] [key=value ...]

`runs/NAME` then holds the trained model, report.md, metrics.json, the resolved config and the traces. The same command with the same name
goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from configs import RunConfig, compose, to_yaml
from configs.cli import add_override_arguments, parse, split_overrides
from graphs.terminal import console, guarded
from training.report import metrics, report, summary
from training.wheel import Wheel


def run(config: RunConfig) -> tuple[Path, dict[str, Any]]:
    """Carries out one training run and returns its directory and its metrics."""
    _silence_libraries()
    assert config.training is not None
    name = config.run.name or f"{datetime.now():%Y%m%d-%H%M%S}-{config.training.method}"
    folder = config.run.output_dir / name
    wheel = Wheel(config, folder)
    finished = [phase for phase in wheel.names() if wheel.phases.result(phase) is not None]
    if finished:
        console.print(f"run {name}: finished already: {', '.join(finished)}", markup=False)
    try:
        results = wheel.turn()
    except KeyboardInterrupt:
        console.print(f"finished phases are kept; go on with run={name} and the same options", markup=False, soft_wrap=True)
        raise
    found = metrics(results)
    (folder / "metrics.json").write_text(json.dumps(found, indent=2) + "\n")
    (folder / "report.md").write_text(report(results, run=name, model=wheel.model, config_yaml=to_yaml(config)))
    for line in summary(results):
        print(line.replace("**", ""))
    return folder, found


def _silence_libraries() -> None:
    """TRL warns at every import that it does not know our vLLM, whose weights it never touches here."""
    warnings.filterwarnings("ignore", message="TRL currently supports vLLM versions")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.run", description="Trains the policy and measures what it gained.")
    add_override_arguments(parser)
    arguments = parse(parser, argv)
    config = compose(split_overrides(arguments), require=("training",))
    folder, _ = run(config)
    print(f"see {folder}/report.md")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
