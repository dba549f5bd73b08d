"""Laws of the group-normalised advantages and of the importance weights."""

from __future__ import annotations

import math
import statistics

import pytest
import torch

from training.loops.credit import Scale, group_advantages, importance_weights, token_advantages

REWARDS = torch.tensor([1.0, 0, 0, 1, 0, 0, 0, 0, 1, 1, 1, 0])
GROUP = 4


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_advantages_equal_a_naive_reference(scale: str) -> None:
    found = group_advantages(REWARDS, GROUP, scale=scale).values.tolist()  # type: ignore[arg-type]
    rewards = REWARDS.tolist()
    expected = []
    for start in range(0, len(rewards), GROUP):
        group = rewards[start : start + GROUP]
        mean, spread = statistics.mean(group), statistics.stdev(group)
        divisor = {"group": spread, "batch": statistics.stdev(rewards), "none": 1.0}[scale]
        expected += [(reward - mean) / divisor if spread > 0 else 0.0 for reward in group]
    assert found == pytest.approx(expected, abs=1e-6)


def test_advantages_of_a_group_sum_to_zero() -> None:
    rewards = torch.rand(40, generator=torch.Generator().manual_seed(0))
    assert group_advantages(rewards, 8).values.view(-1, 8).sum(1).abs().max() < 1e-5


def test_advantages_do_not_change_when_all_rewards_are_shifted_or_scaled() -> None:
    rewards = torch.rand(40, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(
        group_advantages(rewards, 8).values, group_advantages(3 * rewards + 5, 8).values, atol=1e-4
    )


def test_advantages_follow_a_permutation_inside_and_of_groups() -> None:
    rewards = torch.rand(24, generator=torch.Generator().manual_seed(2))
    inside = torch.cat(
        [torch.randperm(6, generator=torch.Generator().manual_seed(g)) + 6 * g for g in range(4)]
    )
    groups = torch.tensor([2, 0, 3, 1])
    order = inside.view(4, 6)[groups].flatten()
    assert torch.allclose(
        group_advantages(rewards, 6).values[order], group_advantages(rewards[order], 6).values
    )


def test_groups_without_variance_are_dropped_and_counted() -> None:
    found = group_advantages(REWARDS, GROUP)
    assert found.dropped_groups == 1
    assert found.kept.tolist() == [True] * 4 + [False] * 4 + [True] * 4
    assert found.values[4:8].tolist() == [0.0] * 4


def test_rounding_noise_makes_no_variance() -> None:
    assert (
        group_advantages(
            torch.tensor([0.1 + 0.2, 0.3, 0.3, 0.3], dtype=torch.float64), 4
        ).dropped_groups
        == 1
    )


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_a_group_with_an_unknown_reward_is_as_if_it_were_not_there(scale: Scale) -> None:
    unknown = torch.tensor([1.0, math.nan, 0, 0])
    found, without = (
        group_advantages(torch.cat([unknown, REWARDS]), GROUP, scale=scale),
        group_advantages(REWARDS, GROUP, scale=scale),
    )
    assert found.values.tolist() == [0.0] * GROUP + without.values.tolist()
    assert found.kept.tolist() == [False] * GROUP + without.kept.tolist()
    assert found.dropped_groups == without.dropped_groups + 1
    assert group_advantages(unknown, GROUP, scale=scale).values.tolist() == [0.0] * GROUP


@pytest.mark.parametrize(
    ("rewards", "size", "message"),
    [
        ([1.0, 0, 1], 2, "groups of 2"),
        ([1.0, 0], 1, "at least 2"),
        ([1.0, math.inf], 2, "infinite"),
    ],
)
def test_what_makes_no_groups_is_refused(rewards: list[float], size: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        group_advantages(torch.tensor(rewards), size)


def test_token_advantages_repeat_and_respect_the_mask() -> None:
    mask = torch.tensor([[1, 1, 0], [1, 0, 0]])
    assert token_advantages(torch.tensor([2.0, -1.0]), mask).tolist() == [[2, 2, 0], [-1, 0, 0]]


def test_importance_weights_are_the_capped_ratio_and_one_outside_the_mask() -> None:
    trainer = torch.log(torch.tensor([[0.5, 0.2, 0.9]]))
    sampler = torch.log(torch.tensor([[0.5, 0.05, 0.1]]))
    found = importance_weights(trainer, sampler, torch.tensor([[1, 1, 0]]), cap=2.0)
    assert torch.allclose(found, torch.tensor([[1.0, 2.0, 1.0]]))
    assert torch.allclose(
        importance_weights(trainer, sampler, torch.tensor([[1, 1, 0]]), cap=9.0),
        torch.tensor([[1.0, 4.0, 1.0]]),
    )
