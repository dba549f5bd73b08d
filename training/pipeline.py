"""The pipeline: runs each stage of a training method once, and evaluates the policy in
between.

    before       greedy accuracy of the policy alone on held-out questions
    STAGE        a stage of the method
    after_STAGE  the same held-out questions, where the stage trained the policy
    ...

A resumed run skips finished stages; an interrupted stage resumes from its files in the
run's folder. The engine is opened once, and only if a remaining stage needs it; trained
weights are loaded into the running engine (training/loops/publish.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from agents.files import read_json, write_text
from agents.types import LongthoughtError
from configs import RunConfig, config_hash, to_yaml
from graphs.traces.store import TraceStore
from training.methods import build_stages
from training.stages.base import Stage, StageResult, TrainingRun, training_of
from training.stages.evaluation import Evaluate
from training.stages.questions import load_held_out, load_training


class StageResults:
    """The results of the finished stages of a run: one JSON file each, written
    atomically when the stage ends.

    A stage's traces and model folder are written before its result, so a killed process
    repeats at most one stage.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "stages"

    def __getitem__(self, name: str) -> StageResult:
        return read_json(self._file(name))

    def __contains__(self, name: str) -> bool:
        return self._file(name).is_file()

    def record(self, name: str, result: StageResult) -> StageResult:
        """Writes the result of a stage, and returns it as read back from JSON."""
        text = json.dumps(result)
        write_text(self._file(name), text + "\n")
        values: dict[str, Any] = json.loads(text)
        return values

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"


class Pipeline:
    """A training run in `folder`, whose name is the run's."""

    def __init__(self, config: RunConfig, folder: Path) -> None:
        self.config = config
        self.training = training_of(config)
        self.folder = folder
        self.results = StageResults(folder)
        self.stages = tuple(self._with_evaluations(build_stages(self.training)))

    @property
    def model(self) -> Path:
        """Folder of the trained model."""
        return self.training.output or self.folder / "model"

    def finished(self) -> list[Stage]:
        """Returns the stages that have a result."""
        return [stage for stage in self.stages if stage.name in self.results]

    def run(self) -> dict[str, StageResult]:
        """Runs the remaining stages, and returns stage name -> result for all stages.

        Raises:
            RunConflictError: the run was begun with another configuration, or another
                process runs it.
            ValueError, LongthoughtError: a stage cannot run. Finished results stay; if
                there are none, the store is removed, because it would reject corrected
                options.
        """
        text = to_yaml(self.config)
        with TraceStore.open(
            self.folder, config_hash=config_hash(self.config), config_yaml=text
        ) as store:
            write_text(self.folder / "config.yaml", text)
            try:
                self._run_stages(store)
            except (ValueError, LongthoughtError):
                if not self.finished() and not len(store):
                    store.remove()
                raise
        return {stage.name: self.results[stage.name] for stage in self.stages}

    def _run_stages(self, store: TraceStore) -> None:
        left = [stage for stage in self.stages if stage.name not in self.results]
        if not left:
            return
        held_out = load_held_out(self.config, self.training.num_held_out)
        questions = load_training(self.config, sum(stage.num_questions for stage in self.stages))
        store.require_same_questions([*held_out, *questions])
        run = TrainingRun(self.config, self.folder, store, held_out)
        last = next((stage for stage in reversed(self.stages) if stage.leaves_model), None)
        begin = 0
        try:
            for stage in self.stages:
                own = questions[begin : begin + stage.num_questions] or questions
                begin += stage.num_questions
                if stage.name in self.results:
                    result = self.results[stage.name]
                else:
                    run.is_last = stage is last
                    result = self.results.record(stage.name, stage.run(run, own))
                if stage.trains_policy and result["folder"] is not None:
                    run.policy = Path(result["folder"])
        finally:
            run.close()

    def _with_evaluations(self, stages: Sequence[Stage]) -> Iterator[Stage]:
        """Yields the stages of the method, with an evaluation before the first stage
        and after each stage that trains the policy.
        """
        is_measured = self.training.num_held_out > 0 and any(
            stage.trains_policy for stage in stages
        )
        if is_measured:
            yield Evaluate("before", "before")
        for stage in stages:
            yield stage
            if is_measured and stage.trains_policy:
                yield Evaluate(f"after_{stage.name}", f"after {stage.title}")
