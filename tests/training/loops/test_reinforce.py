"""GRPO with rollouts from a serving engine: one step at a time on a tiny model that
knows some answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from agents.answers import checker_for
from agents.engines import loop
from agents.engines.base import Completion
from agents.engines.scripted.engine import Rule, ScriptedEngine
from agents.engines.transformers.engine import TransformersEngine
from agents.prompts import PromptFamily, Prompts
from agents.roles.policy import Policy, PolicySettings
from agents.types import EngineError, Question
from configs.schema import PolicyConfig
from configs.schema.training import GrpoConfig, GrpoTrainingConfig
from tests.scripted_pocket import SPECIAL
from tests.settings import settings_of
from training.data.rollouts import Rollout, roll_out
from training.loops.model_folder import load_model
from training.loops.publish import logprob_differences, publish
from training.loops.reinforce import (
    RolloutSource,
    last_checkpoint,
    make_trainer,
    reinforce,
    reward_advantages,
)
from training.loops.rewards import outcome

G = 8


async def check(question: Question, answer: str | None) -> bool | None:
    return (
        False
        if answer is None
        else (await checker_for(question.task).check(question, answer)).correct
    )


@pytest.fixture
def policy(taught_pocket: Path) -> Iterator[Policy]:
    engine = loop.run(TransformersEngine.open(model=str(taught_pocket)))
    yield Policy(
        engine,
        Prompts(PromptFamily("pocket"), engine.tokenizer),
        settings_of(PolicySettings, PolicyConfig()),
    )
    loop.run(engine.close())


def training(**options: object) -> GrpoTrainingConfig:
    grpo = {
        "learning_rate": 3e-4,
        "max_steps": 1,
        "prompts_per_step": 4,
        "num_generations": G,
        "max_completion_tokens": 96,
    } | options
    return GrpoTrainingConfig(grpo=GrpoConfig(**grpo), micro_batch_size=8)


def both(training: GrpoTrainingConfig) -> tuple[GrpoTrainingConfig, GrpoConfig]:
    return training, training.grpo


def rewards(groups: list[list[Rollout]]) -> list[list[float | None]]:
    question = Question(text="What is it?", gold="1")
    return [[outcome(question, one) for one in group] for group in groups]


def rollout(correct: bool | None, tokens: int = 3) -> Rollout:
    return Rollout(
        (1, 2), Completion("", tuple(range(tokens)), (-1.0,) * tokens, "stop"), None, correct
    )


def test_one_step_publishes_what_it_trained(
    policy: Policy, taught_pocket: Path, taught_questions: list[Question], tmp_path: Path
) -> None:
    progress: list[str] = []
    options = training()
    result = reinforce(
        *(taught_questions, policy, check, taught_pocket, tmp_path / "model", *both(options)),
        on_step=lambda step, of, text: progress.append(text),
    )
    [step] = result.steps
    assert 0 < step.reward < 1, "the taught pocket must be unsure for this test"
    assert step.max_ratio_error is not None and step.max_ratio_error < 1e-3, (
        "rollouts are on-policy"
    )
    assert (
        step.sampler_kl is not None
        and step.sampler_kl < 1e-6
        and step.capped == 0
        and step.unscored == 0
    )
    assert step.dropped_groups < step.groups == 4
    # before the first step, and after it
    assert policy.engine.version == 2  # type: ignore[attr-defined]
    assert progress and "reward" in progress[0]
    prompts = [policy.prompts.policy(question) for question in taught_questions]
    trained, base = (
        load_model(folder, dtype="float32") for folder in (tmp_path / "model", taught_pocket)
    )
    rollouts = loop.run(
        roll_out(policy, check, taught_questions, n=2, temperature=1.0, max_tokens=32, seed=5)
    )
    completions = [[found.completion for found in group] for group in rollouts]
    assert max(logprob_differences(trained, prompts, completions)) < 1e-4
    assert max(logprob_differences(base, prompts, completions)) > 1e-3, (
        "the step must have moved the weights"
    )


def test_every_step_samples_from_the_weights_of_the_last(
    policy: Policy, taught_pocket: Path, taught_questions: list[Question], tmp_path: Path
) -> None:
    options = training(
        max_steps=3,
        learning_rate=1e-3,
        prompts_per_step=2,
        beta=0.01,
        loss_type="dr_grpo",
        scale_rewards="none",
    )
    result = reinforce(
        taught_questions, policy, check, taught_pocket, tmp_path / "model", *both(options)
    )
    assert len(result.steps) == 3
    errors = [step.max_ratio_error for step in result.steps]
    assert any(error is not None for error in errors)
    assert all(error is None or error < 1e-3 for error in errors)


def test_a_stopped_training_ends_as_if_it_had_not_been_stopped(
    policy: Policy, taught_pocket: Path, taught_questions: list[Question], tmp_path: Path
) -> None:
    options = training(max_steps=4, prompts_per_step=2)
    whole = reinforce(
        taught_questions, policy, check, taught_pocket, tmp_path / "whole", *both(options)
    )

    def stop(step: int, of: int, text: str) -> None:
        if step == 3:
            raise KeyboardInterrupt

    checkpoints = tmp_path / "checkpoints"
    with pytest.raises(KeyboardInterrupt):
        reinforce(
            taught_questions,
            policy,
            check,
            taught_pocket,
            tmp_path / "resumed",
            *both(options),
            checkpoints=checkpoints,
            on_step=stop,
        )
    assert len(list(checkpoints.glob("checkpoint-*"))) == 2, (
        "a kill while one is written leaves the one before"
    )
    # killed before the end of the last one
    (last_checkpoint(checkpoints) or tmp_path).joinpath("rollout_steps.json").unlink()
    resumed = reinforce(
        taught_questions,
        policy,
        check,
        taught_pocket,
        tmp_path / "resumed",
        *both(options),
        checkpoints=checkpoints,
    )
    assert not checkpoints.exists()
    assert [step.reward for step in resumed.steps] == [step.reward for step in whole.steps]
    first, second = (
        load_model(tmp_path / name, dtype="float32").state_dict() for name in ("whole", "resumed")
    )
    assert all(torch.allclose(first[name], second[name], atol=1e-5) for name in first)


def test_the_newest_whole_checkpoint_counts_and_partial_ones_are_removed(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path / "nowhere") is None
    for step in (8, 9, 10, 11):
        (tmp_path / f"checkpoint-{step}").mkdir()
    assert last_checkpoint(tmp_path) is None and not list(tmp_path.iterdir())
    for step in (8, 9, 10, 11):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if step in (9, 10):
            (tmp_path / f"checkpoint-{step}" / "rollout_steps.json").write_text("[]")
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
    assert {folder.name for folder in tmp_path.iterdir()} == {"checkpoint-9", "checkpoint-10"}


def test_the_reward_rises(
    policy: Policy, taught_pocket: Path, taught_questions: list[Question], tmp_path: Path
) -> None:
    options = training(max_steps=16, learning_rate=1e-4, prompts_per_step=8)
    rewards = [
        step.reward
        for step in reinforce(
            taught_questions, policy, check, taught_pocket, tmp_path / "model", *both(options)
        ).steps
    ]
    assert sum(rewards[-4:]) > 1.05 * sum(rewards[:4])


def test_a_batch_holds_the_engines_ids_and_masks(
    policy: Policy, taught_pocket: Path, taught_questions: list[Question], tmp_path: Path
) -> None:
    source = RolloutSource(policy, check, taught_questions, taught_pocket, tmp_path)
    trainer = make_trainer(source, *both(training(importance_cap=None)))
    rows = [
        Rollout((1, 2), Completion("", (5, 6, 7), (-1.0, -2.0, -3.0), "stop"), None, True),
        *[rollout(False, tokens=2)] * (G - 1),
    ]
    dropped = [rollout(True, tokens=5)] * G
    advantages, reward, _ = reward_advantages(rewards([rows, dropped]))
    batch = trainer._batch([*rows, *dropped], advantages)
    assert reward == (1 + G) / (2 * G)
    assert batch["completion_ids"].shape == (G, 3), "rows of the group without variance are gone"
    assert batch["completion_ids"][0].tolist() == [5, 6, 7] and batch["prompt_ids"][0].tolist() == [
        1,
        2,
    ]
    assert batch["completion_mask"][1].tolist() == [1, 1, 0]
    assert batch["sampling_per_token_logps"][0].tolist() == [-1, -2, -3]
    assert batch["advantages"][1].tolist() == [pytest.approx(float(advantages.values[1]))] * 2 + [0]
    assert int(batch["num_items_in_batch"]) == 3 + 2 * (G - 1)


def test_a_step_without_a_useful_group_has_no_gradient(
    policy: Policy, taught_pocket: Path, taught_questions: list[Question], tmp_path: Path
) -> None:
    async def always(question: Question, answer: str | None) -> bool | None:
        return True

    options = training(prompts_per_step=2)
    result = reinforce(
        taught_questions, policy, always, taught_pocket, tmp_path / "model", *both(options)
    )
    assert (result.steps[0].dropped_groups, result.steps[0].reward) == (2, 1.0)
    before, after = (
        load_model(folder, dtype="float32").state_dict()
        for folder in (taught_pocket, tmp_path / "model")
    )
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_group_with_an_unjudged_answer_is_dropped_and_counted() -> None:
    advantages, reward, unjudged = reward_advantages(
        rewards([[rollout(True), rollout(None)], [rollout(True), rollout(False)]])
    )
    assert (advantages.kept.tolist(), advantages.dropped_groups, unjudged) == (
        [False, False, True, True],
        1,
        1,
    )
    assert reward == pytest.approx(2 / 3)


def test_an_unjudged_group_does_not_change_what_the_others_are_divided_by() -> None:
    judged = [[rollout(True), rollout(False)], [rollout(False), rollout(False)]]
    with_unjudged, alone = (
        reward_advantages(rewards(groups), scale="batch")[0]
        for groups in ([*judged, [rollout(True), rollout(None)]], judged)
    )
    assert with_unjudged.values[:4].tolist() == alone.values.tolist()


def test_adapters_are_trained_and_published_merged(
    policy: Policy, taught_pocket: Path, taught_questions: list[Question], tmp_path: Path
) -> None:
    options = training(max_steps=2, beta=0.1, prompts_per_step=2).model_copy(
        update={"finetune": "lora"}
    )
    result = reinforce(
        taught_questions, policy, check, taught_pocket, tmp_path / "model", *both(options)
    )
    errors = [step.max_ratio_error for step in result.steps]
    assert any(error is not None for error in errors)
    assert all(error is None or error < 1e-3 for error in errors)


def test_held_out_questions_and_missing_answers_are_refused(
    policy: Policy, taught_pocket: Path, tmp_path: Path
) -> None:
    from graphs.tasks import load_task

    held_out = load_task("pocket", split="test", size=2, families=("legs",)).questions
    without = [
        Question(text=text)
        for text in map("How much is {} + 2?".format, range(40))
        if Question(text=text).hash
    ]
    with pytest.raises(ValueError, match="must not be trained on"):
        reinforce(held_out, policy, check, taught_pocket, tmp_path, *both(training()))
    with pytest.raises(ValueError, match="no gold answer"):
        from graphs.tasks import split_of_question

        reinforce(
            [q for q in without if split_of_question(q) == "train"],
            policy,
            check,
            taught_pocket,
            tmp_path,
            *both(training()),
        )


def test_wrong_weights_are_found_by_their_logprobs(
    policy: Policy, taught_pocket: Path, tiny_pocket: Path, taught_questions: list[Question]
) -> None:
    prompts = [policy.prompts.policy(question) for question in taught_questions[:4]]
    publication = publish(policy.engine, taught_pocket, prompts)
    assert publication.max_difference < 1e-4 and publication.tokens > 50
    engine = policy.engine

    async def pretend(folder: Path) -> int:
        return 9

    engine.publish = pretend  # type: ignore[attr-defined]
    with pytest.raises(EngineError, match=r"does not serve the weights.*largest difference"):
        publish(engine, tiny_pocket, prompts)


def test_a_rollout_is_read_as_a_search_reads_it(policy: Policy) -> None:
    tokenizer, question = policy.engine.tokenizer, Question(text="?", gold="13")
    ids = tuple(
        tokenizer.encode(
            "<|propose|> 3 cat * 4 = 12 ; total 12\n\n<|conclude|> Answer: 12\n\n<|conclude|> "
            "Answer: 13<|eos|>"
        )
    )
    assert policy.read_answer(question, Completion("", ids, (0.0,) * len(ids), "stop")) == "13"
    assert policy.read_answer(question, Completion("", ids[:4], (0.0,) * 4, "length")) is None
    assert (
        policy.read_answer(question, Completion("", ids[:-1], (0.0,) * (len(ids) - 1), "length"))
        is None
    )


async def test_a_role_token_ends_a_rollout_and_stays_in_it() -> None:
    said = "<|propose|> 12 + 1 = 13 ; total 13<|critic|>"
    rule = Rule(reply=f"{said}<|right|>\n\n<|conclude|> Answer: 13")
    engine = ScriptedEngine(script=[rule], special_tokens=SPECIAL)
    policy = Policy(
        engine,
        Prompts(PromptFamily("pocket"), engine.tokenizer),
        settings_of(PolicySettings, PolicyConfig()),
    )
    [[found]] = await roll_out(
        policy, check, [Question(text="?", gold="13")], n=1, temperature=1.0, max_tokens=64
    )
    ids = found.completion.token_ids
    assert engine.tokenizer.decode(ids, skip_special_tokens=False) == said and len(
        found.completion.logprobs
    ) == len(ids)
    assert (
        found.answer is None and found.correct is False and found.completion.finish_reason == "stop"
    )


async def test_rollouts_come_in_the_order_of_the_questions(
    policy: Policy, taught_questions: list[Question]
) -> None:
    work = roll_out(
        policy, check, taught_questions, n=3, temperature=1.0, max_tokens=8, seed=1, concurrency=2
    )
    found = await asyncio.wrap_future(loop.submit(work))
    assert [group[0].prompt for group in found] == [
        policy.prompts.policy(question) for question in taught_questions
    ]
    assert all(len(group) == 3 for group in found)
