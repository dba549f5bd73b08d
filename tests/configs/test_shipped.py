"""Everything that is shipped composes and validates."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from configs import compose, group_options
from configs.options import MISSING, groups, options
from configs.schema import (
    BestOfNConfig,
    CritiqueLoopConfig,
    GreedyConfig,
    Gsm8kTaskConfig,
    SftGrpoTrainingConfig,
    SpeakingCritic,
)
from tests.configs.shipped import CHOICES, FILES, words_for


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_composes(choice: str, tmp_path: Path) -> None:
    config = compose(words_for(choice, tmp_path))
    group, _, name = choice.partition("=")
    model = next((each for each in groups().get(group, ()) if each.value == name), None)
    if model is not None:
        assert type(getattr(config, group)) is model.model


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_yaml_file_is_a_choice(path: Path) -> None:
    assert path.stem in group_options(path.parent.name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_yaml_file_says_what_it_is_for(path: Path) -> None:
    comments = [
        line
        for line in path.read_text().splitlines()
        if line.startswith("# ") and "@package" not in line
    ]
    assert comments


@pytest.mark.parametrize("group", groups())
def test_every_option_can_be_set_without_a_plus(group: str, tmp_path: Path) -> None:
    for choice in groups()[group]:
        words = words_for(f"{group}={choice.value}", tmp_path) if choice.value else []
        taken = {word.partition("=")[0] for word in words}
        words += [
            f"{option.key}={_written(option.default)}"
            for option in options()
            if option.group == group
            and option.choice == choice.value
            and option.default != MISSING
            and option.key not in taken
        ]
        compose(words)


def _written(value: object) -> str:
    """Returns a value in Hydra's grammar, which has no quotes around the keys of a
    mapping.
    """
    return re.sub(r'"(\w+)": ', r"\1: ", json.dumps(value))


def test_the_experiments_choose_what_their_names_say() -> None:
    assert isinstance(compose(["experiment=pocket_loop"]).search, CritiqueLoopConfig)
    assert isinstance(compose(["experiment=pocket_greedy"]).search, GreedyConfig)
    best_of_n = compose(["experiment=pocket_best_of_n"])
    assert isinstance(best_of_n.search, BestOfNConfig)
    assert best_of_n.critic.kind == "none"
    smol = compose(["experiment=gsm8k_smol"])
    assert isinstance(smol.task, Gsm8kTaskConfig)
    assert isinstance(smol.critic, SpeakingCritic)
    assert {
        smol.policy.prompts,
        smol.critic.prompts,
        smol.reflector.prompts,
        smol.summarizer.prompts,
    } == {"chat"}
    assert isinstance(compose(["experiment=sft_grpo"]).training, SftGrpoTrainingConfig)


def test_the_levels_of_effort_are_ordered() -> None:
    low, medium, high = (compose([f"budget={name}"]).budget for name in ("low", "medium", "high"))
    for name in ("max_tokens", "max_calls", "max_nodes", "max_depth"):
        assert getattr(low, name) <= getattr(medium, name) <= getattr(high, name)


def test_presets_without_factors_differ_in_nothing_else() -> None:
    for family in ("pocket", "chat"):
        with_factors, without = (
            compose([f"policy={name}"]).policy for name in (family, f"{family}_no_factors")
        )
        assert with_factors.factors
        assert without == with_factors.model_copy(update={"factors": ()})
