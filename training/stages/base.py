"""The law of a stage, and what the pipeline hands to it.

A stage is one part of a training method: it writes traces, trains the policy, or
measures it. The pipeline calls `run` once, keeps the result as JSON, and hands it to
`describe` for the report, also after a restart, when `run` is not called again. So a
result holds plain values only, and a stage that is stopped in the middle keeps what it
needs to resume in `TrainingRun.folder`.
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
"""The result of a stage, as JSON holds it. A stage that trains the policy has `folder`
in it: the folder of the trained model, null where nothing could be learned."""


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

    Law: `run` depends on `run.config`, on the questions that it is given and on the
    policy in `run.base`; it leaves nothing behind but its result, `run.folder` and
    `run.store`. A stage is a frozen dataclass, whose options come with it.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """Key of the result, unique in the method, and a file name."""

    @property
    @abstractmethod
    def title(self) -> str:
        """How progress and report call the stage."""

    @property
    def num_questions(self) -> int:
        """Questions of the train split that the stage asks; no two stages are given the
        same.
        """
        return 0

    @property
    def trains_policy(self) -> bool:
        """Whether the stage leaves new weights of the policy, which are then published
        and measured.
        """
        return False

    @property
    def leaves_model(self) -> bool:
        """Whether the stage writes a model folder; that of the last one is the
        run's.
        """
        return self.trains_policy

    @abstractmethod
    def run(self, run: TrainingRun, questions: Sequence[Question]) -> StageResult:
        """Returns the result.

        Args:
            run: what the stage works with.
            questions: `num_questions` of the train split, or those that there are of a
                smaller one.

        Raises:
            ValueError, LongthoughtError: the stage cannot be run; the stages before it
                stay finished.
        """

    def describe(self, result: StageResult) -> list[str]:
        """Returns the lines of the report, each without a bullet."""
        return []


@dataclass(slots=True)
class TrainingRun:
    """What a stage works with. The engine is opened when a stage first asks for
    `resources`.
    """

    config: RunConfig
    folder: Path
    """Folder of the run."""
    store: TraceStore
    """The run's traces."""
    held_out: Sequence[Question] = ()
    """Questions that the policy is measured on."""
    policy: Path | None = None
    """Folder of the weights that the stages before have trained; None: the configured
    model."""
    served: Path | None = None
    """Folder of the weights that the engine serves; None where they are not known."""
    is_last: bool = False
    """Whether no later stage of the method leaves a model."""
    _resources: Resources | None = None
    _reasoner: Reasoner | None = None
    _opened: ExitStack = field(default_factory=ExitStack)

    @property
    def resources(self) -> Resources:
        """The open resources; the traces of their graph go to the run's store.

        Raises:
            EngineUnavailableError: the engine cannot be opened.
            RunConflictError: the run was begun with other weights, rules or
                calibrations.
            ValueError: the training publishes and the engine takes no new weights.
        """
        if self._resources is None:
            reasoner = Reasoner(
                self.config, sink=self.store.record, run=self.folder.absolute().name
            )
            with starting(self.config):
                self._opened.enter_context(reasoner)
            resources = loop.run(find_resources(Context(resources=reasoner.key)))
            self.store.hold_to(resources.contents)
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
        """Returns the folder that a stage writes its model to: `training.output` or
        `model` if it is the last that leaves one, else one of its own.
        """
        training = training_of(self.config)
        return (training.output or self.folder / "model") if self.is_last else self.folder / stage

    def progress(self, title: str, total: int) -> StageProgress:
        """Returns the progress display of a stage."""
        return StageProgress(title, total, shown=self.config.run.show_progress)

    def close(self) -> None:
        """Closes the engine, if it was opened."""
        self._opened.close()
