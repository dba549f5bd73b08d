"""A reward of one's own, named in the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.engines.base import Completion
from agents.types import Question
from configs import compose
from tests.extensions import own_reward
from tests.training.tiny_pocket import make_tiny_pocket
from training.data.rollouts import Rollout
from training.driver import run
from training.loops.rewards import reward_of

TOKENS = 48


def test_an_own_reward_is_learned_from(tmp_path: Path) -> None:
    model = make_tiny_pocket(tmp_path / "tiny")
    words = ["training=grpo", f"training.grpo.reward={own_reward.__name__}:shorter_is_better"]
    words += ["training.grpo.max_steps=1", "training.grpo.prompts_per_step=2"]
    words += ["training.grpo.num_generations=4", f"training.grpo.max_completion_tokens={TOKENS}"]
    words += ["engine=transformers", f"engine.model={model}", "critic=none", "search=greedy"]
    words += ["task.families=[legs]", "task.split=test", "training.evaluate=0"]
    _, found = run(compose([*words, f"run.output_dir={tmp_path}", "run=mine"]))
    [step] = found["grpo"]["steps"]
    assert -TOKENS <= step["reward"] < -1


def much(question: Question, rollout: Rollout) -> str:
    return "much"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (f"{__name__}:missing", "names nothing"),
        (f"{__name__}:TOKENS", "must be a function"),
    ],
)
def test_a_wrong_object_is_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        reward_of(name)


def test_a_reward_that_is_no_number_is_refused() -> None:
    completion = Completion("", (5,), (-1.0,), "stop")
    rollout = Rollout((1,), completion, answer=None, correct=False)
    with pytest.raises(ValueError, match="returned 'much'"):
        reward_of(f"{__name__}:much")(Question(text="?"), rollout)
