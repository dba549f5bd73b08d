"""Names of earlier versions: refused on a command line with the name of today, and read
in the configuration of a stored run.

A renamed option or choice gets a row here and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CHOICES: Mapping[tuple[str, str], str] = {
    ("training", "wheel"): "sft_grpo",
    ("experiment", "wheel"): "sft_grpo",
}
"""(group, name of earlier versions) to the name of today."""

OPTIONS: Mapping[str, str] = {
    "policy.doubts": "policy.backtrack_tokens",
    "search.given_up": "search.abort_ratio",
    "search.give_up_rate": "search.abort_rate",
    "search.least_doubt": "search.min_uncertainty",
    "comparison.dial": "comparison.noise_sweep",
}
"""Dotted key of earlier versions to the key of today."""

_SPEAKING = ("engine", "prompts", "max_tokens", "calibration", "reason")
_OTHERS = ("flip_rate", "object", "options")

DROPPED: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("engine", "openai"): ("max_retries",),
    ("training", "grpo"): ("publish",),
    ("training", "sft_grpo"): ("publish",),
    ("critic", "none"): ("scope", *_SPEAKING, *_OTHERS),
    ("critic", "token"): _OTHERS,
    ("critic", "working"): _OTHERS,
    ("critic", "value_head"): ("scope", *_SPEAKING, *_OTHERS),
    ("critic", "random"): (*_SPEAKING, *_OTHERS),
    ("critic", "length"): (*_SPEAKING, *_OTHERS),
    ("critic", "logprob"): (*_SPEAKING, *_OTHERS),
    ("critic", "oracle"): ("scope", *_SPEAKING, "object", "options"),
    ("critic", "custom"): ("scope", *_SPEAKING, "flip_rate"),
}
"""(group, alternative) to options that the alternative had in earlier versions and that
influenced no result."""

_TAGS = ("kind", "strategy", "method", "name")


def old_choice(group: str, name: object) -> str | None:
    """Returns the refusal of a choice that has another name today, None for any
    other.
    """
    today = CHOICES.get((group, str(name)))
    return None if today is None else f"{group}={name} is called {group}={today} now; write that"


def old_option(key: str) -> str | None:
    """Returns the refusal of an option that has another name today, None for any
    other.
    """
    today = OPTIONS.get(key)
    return None if today is None else f"{key} is called {today} now; write that"


def modern(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the configuration of a stored run in the names of today."""
    return {group: _modern(group, options) for group, options in stored.items()}


def _modern(group: str, options: Any) -> Any:
    if not isinstance(options, dict):
        return options
    named = {
        name: CHOICES.get((group, str(value)), value) if name in _TAGS else value
        for name, value in options.items()
    }
    dropped = {name for tag in _TAGS for name in DROPPED.get((group, str(named.get(tag))), ())}
    return {
        OPTIONS.get(f"{group}.{name}", name).rpartition(".")[2]: _modern(
            "engine" if name == "engine" else group, value
        )
        for name, value in named.items()
        if name not in dropped
    }
