"""Names of earlier versions: refused with the name of today, read in stored runs."""

from __future__ import annotations

import pytest

from configs import compose, from_yaml, to_yaml
from configs.errors import ConfigError
from configs.renamed import CHOICES


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
