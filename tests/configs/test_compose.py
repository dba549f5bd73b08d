"""What `compose` makes of good words."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from agents.types import Budget
from configs import ConfigError, RunConfig, compose, from_mapping, from_yaml, sweep, to_yaml
from configs.options import MISSING, Option, defaults, groups, options
from configs.schema import (
    CritiqueLoopConfig,
    OpenaiEngineConfig,
    ScriptedEngineConfig,
    ScriptRule,
    VllmEngineConfig,
    resolve_model,
)


def test_an_option_of_the_schema_needs_no_plus() -> None:
    search = compose(["search.beam_width=4"]).search
    assert isinstance(search, CritiqueLoopConfig)
    assert search.beam_width == 4


def test_a_configuration_is_frozen_and_hashable() -> None:
    config = compose()
    with pytest.raises(ValidationError, match="frozen"):
        config.run.seed = 1  # type: ignore[misc]
    assert hash(config) == hash(compose())


def test_values_are_kept_as_written() -> None:
    config = compose(
        [
            "task.families=[locks, countdown]",
            "engine.kv_cache_gib=2",
            "run.output_dir=a/b",
            "task.levels=[3,4]",
        ]
    )
    assert config.run.output_dir == Path("a/b")
    assert config.task.model_dump()["families"] == ("locks", "countdown")
    assert config.task.model_dump()["levels"] == (3, 4)
    assert isinstance(config.engine, VllmEngineConfig)
    assert config.engine.kv_cache_gib == 2.0


@pytest.mark.parametrize("name", ["first", "2024", "007", "a.b-c_d", "true"])
def test_run_name_has_a_short_form(name: str) -> None:
    assert compose([f"run={name}"]).run.name == name


def test_roles_share_the_engine_until_they_have_their_own() -> None:
    config = compose(
        ["engine@critic.engine=openai", "critic.engine.base_url=[http://a/v1, http://b/v1]"]
    )
    assert config.engine_of("policy") is config.engine
    critic = config.engine_of("critic")
    assert isinstance(critic, OpenaiEngineConfig)
    assert critic.base_url == ("http://a/v1", "http://b/v1")


def test_equal_engines_are_one_key() -> None:
    config = compose(["engine@policy.engine=vllm", "engine@critic.engine=vllm"])
    assert len({config.engine_of(role) for role in ("policy", "critic", "reflector")}) == 1


def test_engine_options_are_the_keywords_of_the_engine() -> None:
    options = compose(["engine=transformers"]).engine.keywords()
    assert "kind" not in options
    assert options["model"] == resolve_model("pocket") != "pocket"
    assert compose(["engine=openai"]).engine.keywords()["model"] is None


def test_a_script_can_be_written_on_the_command_line() -> None:
    engine = compose(
        ["engine=scripted", 'engine.script=[{reply: "one"}, {reply: [a, b], match: "?"}]']
    ).engine
    assert isinstance(engine, ScriptedEngineConfig)
    assert engine.script == (ScriptRule(reply="one"), ScriptRule(reply=("a", "b"), match="?"))
    assert "special_tokens" not in engine.keywords()


def test_the_budget_becomes_the_noun() -> None:
    budget = compose(["budget.max_seconds=2.5", "budget.max_calls=null"]).budget.to_budget()
    assert budget == Budget(
        max_tokens=4096,
        max_calls=None,
        max_nodes=128,
        max_depth=16,
        thinking_tokens=1024,
        max_seconds=2.5,
    )


def test_an_own_folder_of_experiments_can_be_searched(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\nrun:\n  seed: 7\n")
    assert compose([f"hydra.searchpath=[file://{tmp_path}]", "experiment=mine"]).run.seed == 7


def test_words_of_the_command_line_win_over_the_experiment() -> None:
    config = compose(["experiment=pocket_loop", "task.limit=3"])
    assert config.task.model_dump()["limit"] == 3


def test_requirements_are_met_or_refused() -> None:
    with pytest.raises(
        ConfigError,
        match=r"training is missing.*choose "
        r"training=sft \| grpo \| sft_grpo",
    ):
        compose(require=("training",))
    with pytest.raises(
        ConfigError,
        match=r"task \(user\) has no questions of its "
        r"own; choose task=pocket",
    ):
        compose(["task=user"], require=("task",))
    with pytest.raises(ConfigError, match=r"run\.name is missing.*set run\.name=VALUE"):
        compose(require=("run.name",))
    assert (
        compose(["training=grpo", "run=x"], require=("training", "task", "run.name")).training
        is not None
    )


@pytest.mark.parametrize(
    ("words", "jobs"),
    [
        (["search=greedy"], [["search=greedy"]]),
        (["search=greedy,best_of_n", "run.seed=range(0,2)"], 4),
        (["task.families=[a,b],[c]"], [["task.families=[a,b]"], ["task.families=[c]"]]),
        (
            ["policy.temperature=choice(0.5,1.0)", "run.name=x"],
            [["policy.temperature=0.5", "run.name=x"], ["policy.temperature=1.0", "run.name=x"]],
        ),
    ],
)
def test_a_sweep_is_every_combination(words: list[str], jobs: list[list[str]] | int) -> None:
    expanded = sweep(words)
    assert len(expanded) == jobs if isinstance(jobs, int) else expanded == jobs
    assert len({tuple(job) for job in expanded}) == len(expanded)


def test_a_sweep_over_groups_composes() -> None:
    names = [
        compose(job).search.strategy for job in sweep(["search=greedy,best_of_n,critique_loop"])
    ]
    assert names == ["greedy", "best_of_n", "critique_loop"]


def test_importing_loads_no_machine_learning_library() -> None:
    libraries = ("torch", "vllm", "transformers", "trl", "datasets")
    code = (
        f"import sys, configs; configs.compose(); print([name for name in {libraries} if name in "
        "sys.modules])"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )


def test_a_configuration_of_hydra_around_us_is_left_alone(tmp_path: Path) -> None:
    import hydra

    (tmp_path / "config.yaml").write_text("mine: 1\n")
    with hydra.initialize_config_dir(str(tmp_path), version_base="1.3"):
        compose()
        assert hydra.compose("config") == {"mine": 1}


_CHARACTERS = st.characters(exclude_categories=["Cs"])
_TEXTS = st.text(_CHARACTERS, min_size=1).filter(lambda text: text != MISSING)
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "an integer": st.integers(0, 10**6),
    "a number": st.floats(0, 10**6, allow_nan=False),
    "true or false": st.booleans(),
    "a text": _TEXTS,
    "a path": _TEXTS,
    "a list of texts": st.lists(_TEXTS, min_size=1, max_size=3),
    "a list of paths": st.lists(_TEXTS, min_size=1, max_size=3),
    "a list of integers": st.lists(st.integers(0, 9), max_size=3),
    "a list of {name, opening, description}s": st.lists(
        st.fixed_dictionaries({"name": _TEXTS, "opening": st.text(_CHARACTERS, max_size=9)}),
        max_size=3,
    ),
}


def _value(option: Option) -> st.SearchStrategy[Any]:
    words = option.rule.split(", ")[0]
    if " | " in words:
        return st.sampled_from(
            [
                int(word) if word.isdigit() else None if word == "null" else word
                for word in words.split(" | ")
            ]
        )
    return st.one_of(
        *(
            _VALUES.get(part, st.none())
            for part in words.split(" or ")
            if part not in ("false", "true")
        ),
        st.just(option.default),
    )


@st.composite
def _mappings(draw: st.DrawFn) -> dict[str, Any]:
    """Draws a choice for every group and up to four options that differ from their
    defaults.
    """
    needs = {"path": "questions.jsonl", "function": "package.module:reply", "from_runs": ["runs/a"]}
    tree: dict[str, Any] = {}
    chosen: list[Option] = []
    for group, choices in groups().items():
        choice = draw(st.sampled_from(choices))
        tree[group] = defaults(choice.model)
        for name, value in needs.items():
            if name in tree[group] and tree[group][name] in (MISSING, None):
                tree[group][name] = value
        if tree[group].get("object") == MISSING:
            tree[group]["object"] = "a.module:Name"
        chosen += [
            option
            for option in options()
            if option.group == group and option.choice == choice.value
        ]
    for option in draw(st.lists(st.sampled_from(chosen), max_size=4)):
        *parents, last = option.key.split(".")
        place: dict[str, Any] = tree
        for parent in parents:
            place = place[parent]
        value = draw(_value(option))
        place[last] = value if value != MISSING else place[last]
    return tree


@settings(max_examples=150, deadline=None)
@given(_mappings())
def test_every_configuration_survives_yaml_and_plain_data(mapping: dict[str, Any]) -> None:
    try:
        config = from_mapping(mapping)
    except ConfigError as error:
        two_do_not_fit = any(
            words in str(error)
            for words in ("must", "needs", "makes", "twice", "is for", "reads heads")
        )
        assert two_do_not_fit, error
        assume(False)
    assert from_yaml(to_yaml(config)) == config
    assert from_mapping(config.model_dump(mode="json")) == config
    assert RunConfig.model_validate(config.model_dump()) == config


@pytest.mark.parametrize("place", ["engine", "policy.engine"])
def test_a_stored_run_with_a_retired_option_is_readable(place: str) -> None:
    config = compose(["engine=openai", "engine@policy.engine=openai"])
    mapping: dict[str, Any] = yaml.safe_load(to_yaml(config))
    engine = mapping
    for name in place.split("."):
        engine = engine[name]
    del engine["retry_s"]
    engine["max_retries"] = 4
    assert from_yaml(yaml.safe_dump(mapping)) == config
    with pytest.raises(ConfigError, match="max_retries"):
        compose(["engine=openai", "engine.max_retries=4"])
    with pytest.raises(ConfigError, match="max_retries"):
        from_yaml("engine: {kind: vllm, max_retries: 4}")


@pytest.mark.parametrize("text", ["", "- a\n", "a: [1\n", "engine: {kind: vlm}\n"])
def test_a_damaged_file_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        from_yaml(text)


def test_a_partial_mapping_takes_the_defaults() -> None:
    words: Sequence[str] = [
        "search=greedy",
        "policy=pocket_no_factors",
        "policy.backtrack_tokens=[]",
        "policy.temperature=null",
        "policy.top_p=null",
        "critic=token",
    ]
    assert from_mapping({"search": {"strategy": "greedy"}, "critic": {"kind": "token"}}) == compose(
        words
    )
