"""The options of an engine are the keywords of the engine that they open."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from agents.engines.openai.opening import Server
from agents.engines.scripted.engine import ScriptedEngine
from agents.engines.transformers.engine import TransformersEngine
from agents.engines.vllm.options import VllmOptions
from configs.options import defaults
from configs.schema import (
    OpenaiEngineConfig,
    ScriptedEngineConfig,
    ScriptRule,
    TransformersEngineConfig,
    VllmEngineConfig,
)
from configs.schema.base import ConfigGroup

NOT_OPTIONS = {"sleep", "clock", "rng", "score"}
"""What only Python callers pass: functions."""

SCHEMA_ONLY = {"kind", "model", "special_tokens", "script", "adapters"}
"""Fields whose defaults are the schema's own: the embedded model, a list that the
engine knows or takes in another form."""


@pytest.mark.parametrize(
    ("options", "opens"),
    [
        (VllmEngineConfig, VllmOptions),
        (OpenaiEngineConfig, Server.open),
        (TransformersEngineConfig, TransformersEngine.load),
        (ScriptedEngineConfig, ScriptedEngine),
    ],
)
def test_options_are_the_keywords_of_the_engine(
    options: type[ConfigGroup], opens: Callable[..., Any]
) -> None:
    parameters: Mapping[str, inspect.Parameter] = inspect.signature(opens).parameters
    assert set(options.model_fields) - {"kind"} == set(parameters) - NOT_OPTIONS
    for name, default in defaults(options).items():
        if name not in SCHEMA_ONLY:
            assert default == parameters[name].default, name


def test_a_script_opens_the_scripted_engine() -> None:
    rules = (
        ScriptRule(reply="one", match="?"),
        ScriptRule(reply=("a", "b")),
        ScriptRule(scores={"yes": -0.1, "no": -2.3}),
    )
    config = ScriptedEngineConfig(script=rules)
    assert ScriptedEngine(**config.keywords()).rules_left == 3
    assert len({config, config.model_copy()}) == 1
