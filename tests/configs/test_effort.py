"""`effort=`: search and budget chosen together."""

from __future__ import annotations

import pytest

from configs import ConfigError, compose, group_options
from configs.describe import describe
from configs.schema import AutoConfig, BeamConfig, BestOfNConfig, GreedyConfig, PosteriorConfig

LEVELS = ("low", "medium", "high")


def test_help_lists_the_levels_and_auto() -> None:
    assert sorted(group_options("effort")) == sorted(["auto", *LEVELS])
    shown = describe()
    assert "effort=NAME  with NAME one of: auto, high, low, medium" in shown
    assert "Presets of these: wide_posterior." in " ".join(shown.split())


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_sets_search_budget_and_the_models_own_thinking_only(
    level: str,
) -> None:
    config = compose([f"effort={level}"])
    assert config.budget == compose([f"budget={level}"]).budget
    assert config.policy.reasoning_effort == level
    default = compose()
    unchanged = {name: getattr(default, name) for name in ("search", "budget", "policy")}
    assert config.model_copy(update=unchanged) == default
    assert config.policy.model_copy(update={"reasoning_effort": None}) == default.policy


def test_more_effort_may_draw_more_samples() -> None:
    low, medium, high = (compose([f"effort={level}"]).search for level in LEVELS)
    assert isinstance(low, GreedyConfig) and medium == PosteriorConfig()
    assert (
        isinstance(high, PosteriorConfig) and high.num_samples == 64 > PosteriorConfig().num_samples
    )


def test_auto_searches_as_medium_does() -> None:
    auto, medium = compose(["effort=auto"]), compose(["effort=medium"])
    assert auto.budget == medium.budget and isinstance(auto.search, AutoConfig)
    assert auto.search.model_dump(exclude={"strategy"}) == medium.search.model_dump(
        exclude={"strategy"}
    )


@pytest.mark.parametrize("words", [["effort=high", "search=beam"], ["search=beam", "effort=high"]])
def test_a_word_for_a_group_wins_and_leaves_nothing_of_the_level_behind(words: list[str]) -> None:
    config = compose(words)
    assert config.search == BeamConfig() and config.budget == compose(["budget=high"]).budget


def test_every_search_and_budget_can_stand_in_a_levels_place() -> None:
    assert compose(["effort=high", "budget=low"]).budget == compose(["budget=low"]).budget
    for strategy in set(group_options("search")) - {"custom"}:  # which needs an object
        assert (
            compose(["effort=high", f"search={strategy}"]).search
            == compose([f"search={strategy}"]).search
        )


def test_a_word_for_an_option_wins() -> None:
    config = compose(["effort=high", "search.num_samples=100", "budget.max_tokens=500"])
    assert isinstance(config.search, PosteriorConfig)
    assert (config.search.num_samples, config.search.confidence, config.budget.max_tokens) == (
        100,
        0.99,
        500,
    )


@pytest.mark.parametrize(
    "words", [["experiment=demo", "effort=high"], ["effort=high", "experiment=demo"]]
)
def test_effort_wins_over_the_experiment_which_keeps_the_rest(words: list[str]) -> None:
    config, demo = compose(words), compose(["experiment=demo"])
    assert config.task == demo.task and config.engine == demo.engine
    assert (
        config.search == compose(["effort=high"]).search
        and config.budget == compose(["effort=high"]).budget
    )


def test_effort_refuses_an_experiment_that_sets_options_of_its_search() -> None:
    with pytest.raises(
        ConfigError,
        match=r"search\.selection is an option of "
        r"search=best_of_n.*search=posterior was chosen",
    ):
        compose(["experiment=pocket_best_of_n", "effort=medium", "critic=pocket"])
    config = compose(["experiment=pocket_best_of_n", "effort=low", "search=best_of_n"])
    assert isinstance(config.search, BestOfNConfig) and config.budget.max_tokens == 1024


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (
            "effort=hihg",
            "effort (hihg) is no such option; did you mean effort=high? choose one of: auto, high, "
            "low, medium",
        ),
        ("efort=high", "efort is no option and no group; did you mean effort?"),
        ("effort=null", "effort=null must choose one option of effort"),
        ("effort=low,high", "add -m"),
        ("effort.search=beam", "effort.search is no option"),
    ],
)
def test_another_name_is_refused(word: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose([word])
    assert said in str(caught.value) and "Traceback" not in str(caught.value)
