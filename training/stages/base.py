"""The interface of a stage, and the state that the pipeline passes to it.

A stage is one part of a training method: it writes traces, trains the policy, or
evaluates it. The pipeline calls `run` once, stores the result as JSON, and passes the
result to `describe` for the report. After a restart a finished stage is not run again,
but `describe` is called. So a result holds plain values only, and a stage that can be
interrupted keeps its state for resuming in `TrainingRun.folder`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agents.engines import loop
from agents.types import Question
from configs import RunConfig
from configs.schema.training import TrainingOptions
from graphs.reasoner.reasoner import Reasoner
from graphs.reasoner.resources import Resources, find_resources
from graphs.reasoner.state import Context
from graphs.terminal.console import starting
from graphs.traces.store import TraceStore
from training.loops.model_folder import base_folder
from training.loops.publish import require_publisher
from training.stages.progress import StageProgress

StageResult = Mapping[str, Any]
"""The result of a stage as JSON values. The result of a stage that trains the policy
has the key `folder`: the folder of the trained model, null if there was no training
data."""


def training_of(config: RunConfig) -> TrainingOptions:
    """Returns the options of the training.

    Raises:
        ValueError: training is null.
    """
    if config.training is None:
        raise ValueError(
            "training is null, so there is nothing to train; choose training=sft_grpo, sft, grpo, "
            "heads or custom"
        )
    return config.training


class Stage(ABC):
    """One part of a training method.

    Law: `run` depends only on `run.config`, the questions passed to it and the policy
    in `run.base`; its only effects are its result, files in `run.folder` and traces in
    `run.store`. A stage is a frozen dataclass that holds its options.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """Key and file name of the result, unique in the method."""

    @property
    @abstractmethod
    def title(self) -> str:
        """Name of the stage in the progress display and the report."""

    @property
    def num_questions(self) -> int:
        """Number of questions of the train split that the stage asks; different stages
        get different questions.
        """
        return 0

    @property
    def trains_policy(self) -> bool:
        """Whether the stage writes new weights of the policy, which are then published
        and evaluated.
        """
        return False

    @property
    def leaves_model(self) -> bool:
        """Whether the stage writes a model folder; the last such folder is the run's
        model.
        """
        return self.trains_policy

    @abstractmethod
    def run(self, run: TrainingRun, questions: Sequence[Question]) -> StageResult:
        """Returns the result.

        Args:
            run: configuration, store, engine and policy of the training run.
            questions: `num_questions` of the train split, or fewer if the split is
                smaller.

        Raises:
            ValueError, LongthoughtError: the stage cannot run; the results of earlier
                stages stay.
        """

    def describe(self, result: StageResult) -> list[str]:
        """Returns the lines of the report, each without a bullet."""
        return []


@dataclass(slots=True)
class TrainingRun:
    """State of a training run, passed to its stages. The first access to `resources`
    opens the engine.
    """

    config: RunConfig
    folder: Path
    """Folder of the run."""
    store: TraceStore
    """The run's traces."""
    held_out: Sequence[Question] = ()
    """Questions for evaluating the policy."""
    policy: Path | None = None
    """Folder of the weights trained by earlier stages; None: the configured model."""
    served: Path | None = None
    """Folder of the weights that the engine serves; None if unknown."""
    is_last: bool = False
    """Whether no later stage of the method leaves a model."""
    _resources: Resources | None = None
    _reasoner: Reasoner | None = None
    _opened: ExitStack = field(default_factory=ExitStack)

    @property
    def resources(self) -> Resources:
        """The open resources; their graph records its traces in the run's store.

        Raises:
            EngineUnavailableError: the engine cannot be opened.
            RunConflictError: the run was begun with other weights, rules or
                calibrations.
            ValueError: the training publishes, and the engine cannot load new weights.
        """
        if self._resources is None:
            reasoner = Reasoner(
                self.config, sink=self.store.record, run=self.folder.absolute().name
            )
            with starting(self.config):
                self._opened.enter_context(reasoner)
            resources = loop.run(find_resources(Context(resources=reasoner.key)))
            self.store.require_same_contents(resources.contents)
            if training_of(self.config).publishes:
                require_publisher(resources.engine)
            self.served = base_folder(resources.engine.info.model)
            self._resources, self._reasoner = resources, reasoner
        return self._resources

    @property
    def reasoner_key(self) -> str:
        """Key of the open resources, for `run_questions`."""
        _ = self.resources
        assert self._reasoner is not None
        return self._reasoner.key

    @property
    def base(self) -> Path:
        """Folder of the model that the next stage starts from."""
        return self.policy or base_folder(self.resources.engine.info.model)

    def model_folder(self, stage: str) -> Path:
        """Returns the folder for a stage's model: `training.output` or `model` for the
        last stage that writes one, or else a folder named after the stage.
        """
        training = training_of(self.config)
        return (training.output or self.folder / "model") if self.is_last else self.folder / stage

    def progress(self, title: str, total: int) -> StageProgress:
        """Returns the progress display of a stage."""
        return StageProgress(title, total, shown=self.config.run.show_progress)

    def close(self) -> None:
        """Closes the engine, if it was opened."""
        self._opened.close()
