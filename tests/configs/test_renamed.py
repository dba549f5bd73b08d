"""Names of earlier versions: refused with the name of today, read in stored runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from configs import compose, from_yaml, to_yaml
from configs.errors import ConfigError
from configs.options import groups
from configs.renamed import CHOICES, OPTIONS
from tests.configs.shipped import words_for


@pytest.mark.parametrize(("group", "old"), CHOICES)
def test_an_old_name_is_refused_with_the_new_one(group: str, old: str) -> None:
    with pytest.raises(ConfigError, match=f"{group}={CHOICES[group, old]}"):
        compose([f"{group}={old}"])


@pytest.mark.parametrize(("group", "old"), [key for key in CHOICES if key[0] != "experiment"])
def test_a_stored_configuration_with_an_old_name_is_read(group: str, old: str) -> None:
    today = CHOICES[group, old]
    config = compose([f"{group}={today}"])
    stored = to_yaml(config).replace(f": {today}\n", f": {old}\n  publish: true\n")
    assert old in stored and from_yaml(stored) == config


@pytest.mark.parametrize("old", OPTIONS)
def test_an_old_option_is_refused_with_the_new_one(old: str) -> None:
    group, _, _ = old.partition(".")
    choice = {"search": "search=posterior", "comparison": "comparison=search"}.get(group)
    words = [choice, f"{old}=0.5"] if choice else [f"{old}=0.5"]
    with pytest.raises(ConfigError, match=OPTIONS[old].replace(".", r"\.")):
        compose(words)


def test_a_stored_configuration_with_old_options_is_read() -> None:
    config = compose(["search=posterior", "search.abort_rate=0.1", "policy=pocket"])
    stored = to_yaml(config)
    for old, today in OPTIONS.items():
        stored = stored.replace(f"  {today.split('.')[1]}:", f"  {old.split('.')[1]}:")
    assert "abort_rate" not in stored and "doubts:" in stored
    assert from_yaml(stored) == config


def test_a_stored_loop_of_an_earlier_version_samples_its_first_steps() -> None:
    config = compose(["search=critique_loop"])
    stored = yaml.safe_load(to_yaml(config))
    assert stored["search"].pop("first_temperature") == 0.0
    search = from_yaml(yaml.safe_dump(stored)).search
    assert search == config.search.model_copy(update={"first_temperature": None})


ONE_CRITIC = {
    "engine": None,
    "prompts": "pocket",
    "max_tokens": 24,
    "calibration": "bundled",
    "reason": False,
    "scope": "local",
    "flip_rate": 0.0,
    "object": None,
    "options": None,
}
"""Options that every kind of critic had in the files of earlier versions."""


@pytest.mark.parametrize("kind", [choice.value for choice in groups()["critic"]])
def test_a_stored_critic_with_the_options_of_all_kinds_is_read(kind: str, tmp_path: Path) -> None:
    config = compose(words_for(f"critic={kind}", tmp_path))
    stored = yaml.safe_load(to_yaml(config))
    stored["critic"] = ONE_CRITIC | stored["critic"]
    assert from_yaml(yaml.safe_dump(stored)) == config
    with pytest.raises(ConfigError, match=r"critic\."):
        from_yaml(yaml.safe_dump(stored | {"critic": stored["critic"] | {"flips": 0.1}}))
