"""Names of earlier versions: refused with the name of today, read in stored runs."""

from __future__ import annotations

import pytest

from configs import compose, from_yaml, to_yaml
from configs.errors import ConfigError
from configs.renamed import CHOICES, OPTIONS


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
