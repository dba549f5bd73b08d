"""A training method of one's own, named in the configuration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from configs import ConfigError, compose
from configs.schema.training import TrainingOptions
from tests.extensions import own_method
from tests.training.tiny_pocket import make_tiny_pocket
from training.driver import run
from training.loops.model_folder import load_model
from training.methods import build_stages
from training.stages.base import Stage

ANSWERS = ["training=custom", f"training.object={own_method.__name__}:Answers"]


def test_an_own_method_trains_publishes_and_is_measured(tmp_path: Path) -> None:
    model = make_tiny_pocket(tmp_path / "tiny")
    words = ["engine=transformers", f"engine.model={model}", "critic=none", "search=greedy"]
    words += ["task.families=[legs]", "task.split=test", "training.evaluate=2"]
    words += [*ANSWERS, "training.options={questions: 4, epochs: 3}", "policy.max_answer_tokens=48"]
    folder, found = run(compose([*words, f"run.output_dir={tmp_path}", "run=mine"]))
    assert list(found["accuracy"]) == ["before", "after_answers"]
    assert found["publications"]["after_answers"]["max_difference"] < 1e-4
    losses = found["answers"]["losses"]
    assert len(losses) == 3 and losses[-1] < losses[0] - 0.5
    before, after = (
        load_model(path, dtype="float32").state_dict() for path in (model, folder / "model")
    )
    assert not any(torch.equal(before[name], after[name]) for name in before)


def test_shared_options_reach_the_method_beside_its_own() -> None:
    words = ["training.seed=7", "training.micro_batch_size=3", "training.options={epochs: 9}"]
    config = compose([*ANSWERS, *words, "task.split=test"])
    assert config.training is not None
    [stage] = build_stages(config.training)
    assert isinstance(stage, own_method.LearnAnswers)
    options = stage.training
    assert (options.seed, options.micro_batch_size, options.epochs) == (7, 3, 9)
    assert stage.num_questions == 16


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["training=custom"], r"training\.object is missing"),
        (["training=custom", "training.object=nowhere"], r"training\.object"),
        ([*ANSWERS, "task=user"], r"training\.method \(custom\) needs a set of questions"),
        ([*ANSWERS, "task.split=train"], r"task\.split \(train\)"),
    ],
)
def test_an_incomplete_configuration_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compose(words)


class Twice:
    """Returns two stages of one name."""

    config = own_method.AnswerOptions

    def stages(self, training: own_method.AnswerOptions) -> Sequence[Stage]:
        return [own_method.LearnAnswers(training)] * 2


class Nothing:
    """Returns no stage."""

    config = TrainingOptions

    def stages(self, training: TrainingOptions) -> Sequence[Stage]:
        return []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["training.object=no_such:Thing"], r"training\.object \(no_such:Thing\) names a module"),
        (["training.object=tests.extensions.own_critic:Short"], "TrainingOptions"),
        ([ANSWERS[1], "training.options={epochs: 0}"], r"training\.options\.epochs"),
        ([ANSWERS[1], "training.options={epoch: 2}"], "has epochs, learning_rate, questions"),
        ([ANSWERS[1], "training.options={seed: 2}"], r"set training\.seed"),
        ([f"training.object={__name__}:Twice"], "another name"),
        ([f"training.object={__name__}:Nothing"], "one or more"),
    ],
)
def test_a_wrong_object_is_refused_before_anything_is_asked(
    words: list[str], message: str, tmp_path: Path
) -> None:
    config = compose(["training=custom", *words, "task.split=test", f"run.output_dir={tmp_path}"])
    with pytest.raises(ValueError, match=message):
        run(config)
    assert not list(tmp_path.iterdir())
