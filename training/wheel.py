"""One turn of the wheel: traces, fine-tuning on them, reinforcement, each published into the running engine and measured.

    before      greedy accuracy of the policy alone on held-out questions
    traces      questions of the train split through the whole graph       (wheel without from_runs)
    sft         fine-tuning on the traces with right answers               (wheel, sft)
    after_sft   the same held-out questions
    grpo        reinforcement with rollouts from the serving engine        (wheel, grpo)
    after_grpo  the same held-out questions

Every phase is done once: a run that is started again under its name goes on where it stopped, inside traces and grpo, too. The engine is
opened once, and only if a phase is left to do; weights go into it while it runs (training/loops/publish.py), so whoever else speaks through that
engine speaks with the new weights, too.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents.engines import loop
from agents.files import write_text
from agents.types import BadDataError, LongthoughtError, Question
from configs import RunConfig, config_hash, to_yaml
from configs.schema.task import Gsm8kTaskConfig, UserTaskConfig
from configs.schema.training import GrpoTrainingConfig, HeadsTrainingConfig, SftTrainingConfig, WheelTrainingConfig
from graphs.reasoner.graph import Reasoner
from graphs.reasoner.resources import Resources, find_resources
from graphs.reasoner.state import Context
from graphs.reasoner.terminal import starting
from graphs.run import run_questions
from graphs.tasks import load_task
from graphs.traces.store import TraceStore
from training.data.records import Records, make_records
from training.evaluate import Evaluation, evaluate
from training.loops.model_folder import base_folder
from training.loops.publish import Publication, publish, require_publisher, serving_dtype
from training.phases import Phases
from training.progress import PhaseProgress

_CHECKED_PROMPTS = 8  # prompts whose logprobs are compared after a publication


class Wheel:
    """A training run in `folder`, whose name is the run's."""

    def __init__(self, config: RunConfig, folder: Path) -> None:
        if config.training is None or isinstance(config.training, HeadsTrainingConfig):
            method = "null" if config.training is None else config.training.method
            raise ValueError(f"training ({method}) trains no policy; choose training=sft, grpo or wheel")
        self.config = config
        self.training = config.training
        self.folder = folder
        self.phases = Phases(folder)
        self.model = self.training.output or folder / "model"
        self._served: Path | None = None
        if not self.training.publish and not isinstance(self.training, SftTrainingConfig):
            raise ValueError(
                "training.publish=false leaves GRPO without rollouts of its own weights; set it to true, or choose training=sft"
            )

    def turn(self) -> dict[str, Any]:
        """Carries out what is left to do and returns the result of every phase by its name.

        Raises:
            RunConflictError: the run was begun with another configuration, or another process is at it.
            ValueError, LongthoughtError: a phase cannot be done; what was finished before stays.
        """
        text = to_yaml(self.config)
        with TraceStore.open(self.folder, config_hash=config_hash(self.config), config_yaml=text) as store:
            write_text(self.folder / "config.yaml", text)
            if any(self.phases.result(name) is None for name in self.names()):
                self._turn(store)
        return {name: found for name in self.names() if (found := self.phases.result(name)) is not None}

    def names(self) -> list[str]:
        """Returns the phases of this training, in order."""
        training = self.training
        measured = training.evaluate > 0 and training.publish
        wanted = {
            "before": measured,
            "traces": isinstance(training, WheelTrainingConfig) and not training.from_runs,
            "sft": not isinstance(training, GrpoTrainingConfig),
            "after_sft": measured and not isinstance(training, GrpoTrainingConfig),
            "grpo": not isinstance(training, SftTrainingConfig),
            "after_grpo": measured and not isinstance(training, SftTrainingConfig),
        }
        return [name for name, is_wanted in wanted.items() if is_wanted]

    def _turn(self, store: TraceStore) -> None:
        held_out = load_held_out(self.config)
        questions = load_training(self.config)
        store.hold_to_questions([*held_out, *questions])
        reasoner = Reasoner(self.config, sink=store.record, run=self.folder.absolute().name)
        with starting(self.config):
            reasoner.__enter__()
        try:
            resources = loop.run(find_resources(Context(resources=reasoner.key)))
            store.hold_to(resources.contents)
            if self.training.publish:
                require_publisher(resources.engine)
            self._served = base = base_folder(resources.engine.info.model)
            works = {
                "before": lambda: self._evaluate("before", resources, held_out, base),
                "traces": lambda: self._write_traces(questions, reasoner.key, store),
                "sft": lambda: self._fine_tune(resources, store, base),
                "after_sft": lambda: self._evaluate("after SFT", resources, held_out, self._sft_folder(base)),
                "grpo": lambda: self._reinforce(resources, questions, self._sft_folder(base)),
                "after_grpo": lambda: self._evaluate("after GRPO", resources, held_out, self.model),
            }
            for name in self.names():
                self.phases.once(name, works[name])
        finally:
            reasoner.__exit__(None, None, None)

    def _evaluate(self, title: str, resources: Resources, questions: Sequence[Question], folder: Path) -> dict[str, Any]:
        publication = self._serve(resources, folder, questions)
        with self._progress(f"evaluation {title}", len(questions)) as progress:
            work = evaluate(
                *(resources.policy, resources.is_correct, questions),
                max_tokens=self.config.policy.max_answer_tokens,
                concurrency=self.config.run.concurrency,
                on_done=progress.advance,
            )
            found = loop.run(work)
        return found.as_json() | {"publication": None if publication is None else dataclasses.asdict(publication)}

    def _write_traces(self, questions: Sequence[Question], key: str, store: TraceStore) -> dict[str, Any]:
        assert isinstance(self.training, WheelTrainingConfig)
        start = time.monotonic()
        finished = store.finished()
        asked = questions[: self.training.traces]
        missing = [question for question in asked if (question.hash, 0) not in finished]
        with self._progress("traces", len(missing)) as progress:
            work = run_questions(missing, key, concurrency=self.config.run.concurrency, on_answer=lambda answer: progress.advance())
            outcome = loop.run(work)
        right = sum(row["correct"] is True for row in store.visible())
        return {"traces": len(store), "right": right, "failed": outcome.failed, "seconds": time.monotonic() - start}

    def _fine_tune(self, resources: Resources, store: TraceStore, base: Path) -> dict[str, Any]:
        from training.loops.fine_tune import fine_tune

        assert not isinstance(self.training, GrpoTrainingConfig)
        records = self._records(resources, store)
        found: dict[str, Any] = {"records": len(records.rows), "learned_tokens": records.learned_tokens, "left_out": dict(records.left_out)}
        if not records.rows:
            if isinstance(self.training, SftTrainingConfig):
                raise LongthoughtError(f"no trace of {len(self.training.from_runs)} runs can be learned from: {dict(records.left_out)}")
            return found | {"steps": 0, "losses": [], "seconds": 0.0, "folder": None}
        folder = self.model if isinstance(self.training, SftTrainingConfig) else self.folder / "sft"
        with self._progress("SFT", 1) as progress:
            result = fine_tune(records.rows, base, folder, self.training, on_step=progress.step)
        return found | {"steps": result.steps, "losses": result.losses, "seconds": result.seconds, "folder": str(folder)}

    def _records(self, resources: Resources, store: TraceStore) -> Records:
        training = self.training
        assert not isinstance(training, GrpoTrainingConfig)
        traces = [*store] if not training.from_runs else []
        damaged = 0
        for run in training.from_runs:
            with TraceStore.read(run) as other:
                traces += [*other]
                damaged += len(other.damaged)
        context = resources.engine.info.context_length
        records = make_records(
            traces,
            resources.policy.prompts,
            kind=training.sft.thought,
            max_length=context if training.sft.max_length is None else min(context, training.sft.max_length),
            tokenizer_hash=resources.engine.info.tokenizer_hash,
            openings={factor.name: factor.opening for factor in self.config.policy.factors},
            seed=training.seed,
        )
        if damaged:
            records.left_out["damaged"] = damaged
        return records

    def _reinforce(self, resources: Resources, questions: Sequence[Question], base: Path) -> dict[str, Any]:
        from training.loops.reinforce import reinforce

        training = self.training
        assert not isinstance(training, SftTrainingConfig)
        used = training.traces if isinstance(training, WheelTrainingConfig) and not training.from_runs else 0
        fresh = questions[used:] or questions
        self._served = None  # from here on the engine follows the trainer
        with self._progress("GRPO", training.grpo.max_steps) as progress:
            result = reinforce(
                *(fresh, resources.policy, resources.is_correct, base, self.model, training),
                concurrency=self.config.run.concurrency,
                checkpoints=self.folder / "checkpoints",
                on_step=progress.step,
            )
        return {"steps": [dataclasses.asdict(step) for step in result.steps], "seconds": result.seconds, "folder": str(self.model)}

    def _serve(self, resources: Resources, folder: Path, questions: Sequence[Question]) -> Publication | None:
        """Has the engine serve the weights of a folder, compared with transformers; None where it does already."""
        if folder == self._served:
            return None
        prompts = [resources.policy.prompts.policy(question) for question in questions[:_CHECKED_PROMPTS]]
        dtype = serving_dtype(self.config.engine_of("policy").options(), base_folder(resources.engine.info.model))
        publication = publish(resources.engine, folder, prompts, dtype=dtype)
        self._served = folder
        return publication

    def _sft_folder(self, base: Path) -> Path:
        """Returns the model that SFT left, the base where there was none."""
        found = self.phases.result("sft")
        return Path(found["folder"]) if found is not None and found["folder"] else base

    def _progress(self, title: str, total: int) -> PhaseProgress:
        return PhaseProgress(title, total, shown=self.config.run.show_progress)


def load_held_out(config: RunConfig) -> list[Question]:
    """Returns the questions that the policy is measured on; none where nothing is measured.

    Raises:
        BadDataError: there are none of that split.
    """
    training = config.training
    count = 0 if training is None or isinstance(training, HeadsTrainingConfig) else training.evaluate
    if count == 0 or isinstance(config.task, UserTaskConfig):
        return []
    options = config.task.model_dump(exclude={"name"})
    options["limit"] = min(count, options["limit"] or count)
    if "size" in options:
        options["size"] = max(options["size"], options["offset"] + options["limit"])
    return load_task(config.task.name, **options).questions


def load_training(config: RunConfig) -> list[Question]:
    """Returns questions of the task's train split: as many as traces and rollouts need, or all of a file that holds fewer.

    Raises:
        BadDataError: the task has no train split of its own, or its generator does not make so many different questions.
    """
    training, task = config.training, config.task
    assert training is not None and not isinstance(training, HeadsTrainingConfig)
    count = 0
    if isinstance(training, WheelTrainingConfig) and not training.from_runs:
        count += training.traces
    if not isinstance(training, SftTrainingConfig):
        count += training.grpo.max_steps * training.grpo.prompts_per_step
    if count == 0 or isinstance(task, UserTaskConfig):
        return []
    if isinstance(task, Gsm8kTaskConfig) and task.path is not None:
        raise BadDataError(
            f"task.path ({task.path}) holds the {task.split} split whole, so there is nothing to train on; leave it out to take both "
            "splits from the hub, or use task=jsonl, which is split by hash"
        )
    options = task.model_dump(exclude={"name"}) | {"split": "train", "limit": count, "offset": 0}
    if "size" in options:
        options["size"] = count
    return load_task(task.name, **options).questions


def evaluation(result: dict[str, Any]) -> Evaluation:
    """Returns the evaluation that a finished phase holds."""
    return Evaluation.from_json({name: value for name, value in result.items() if name != "publication"})
