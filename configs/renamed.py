"""Names of earlier versions. On a command line they raise an error with the new name;
in the configuration of a stored run they are translated.

A renamed option or choice gets a row here and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CHOICES: Mapping[tuple[str, str], str] = {
    ("training", "wheel"): "sft_grpo",
    ("experiment", "wheel"): "sft_grpo",
}
"""(group, old name) -> new name."""

OPTIONS: Mapping[str, str] = {
    "policy.doubts": "policy.backtrack_tokens",
    "search.given_up": "search.abort_ratio",
    "search.give_up_rate": "search.abort_rate",
    "search.least_doubt": "search.min_uncertainty",
    "comparison.dial": "comparison.noise_sweep",
}
"""Old dotted key -> new dotted key."""

_SPEAKING = ("engine", "prompts", "max_tokens", "reason")
_OTHERS = ("flip_rate", "object", "options")

DROPPED: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("engine", "openai"): ("max_retries",),
    ("training", "grpo"): ("publish",),
    ("training", "sft_grpo"): ("publish",),
    ("critic", "none"): ("scope", "calibration", *_SPEAKING, *_OTHERS),
    ("critic", "token"): _OTHERS,
    ("critic", "working"): _OTHERS,
    ("critic", "value_head"): ("scope", *_SPEAKING, *_OTHERS),
    ("critic", "arithmetic"): (*_SPEAKING, *_OTHERS),
    ("critic", "random"): (*_SPEAKING, *_OTHERS),
    ("critic", "length"): (*_SPEAKING, *_OTHERS),
    ("critic", "logprob"): (*_SPEAKING, *_OTHERS),
    ("critic", "oracle"): ("scope", *_SPEAKING, "object", "options"),
    ("critic", "custom"): ("scope", *_SPEAKING, "flip_rate"),
}
"""(group, alternative) -> options of earlier versions that influenced no result."""

UNSET: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("search", "critique_loop"): {"first_temperature": None},
}
"""(group, alternative) -> options that configurations of earlier versions lack, with
the value that gives their results; the default of today gives others."""

_TAGS = ("kind", "strategy", "method", "name")


def old_choice(group: str, name: object) -> str | None:
    """Returns the error message for a choice that was renamed; None for any other."""
    today = CHOICES.get((group, str(name)))
    return None if today is None else f"{group}={name} is called {group}={today} now; write that"


def old_option(key: str) -> str | None:
    """Returns the error message for an option that was renamed; None for any other."""
    today = OPTIONS.get(key)
    return None if today is None else f"{key} is called {today} now; write that"


def modern(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the configuration of a stored run, with old names replaced by new
    names.
    """
    return {group: _modern(group, options) for group, options in stored.items()}


def _modern(group: str, options: Any) -> Any:
    if not isinstance(options, dict):
        return options
    named = {
        name: CHOICES.get((group, str(value)), value) if name in _TAGS else value
        for name, value in options.items()
    }
    unset = {
        name: value
        for tag in _TAGS
        for name, value in UNSET.get((group, str(named.get(tag))), {}).items()
    }
    dropped = {name for tag in _TAGS for name in DROPPED.get((group, str(named.get(tag))), ())}
    return unset | {
        OPTIONS.get(f"{group}.{name}", name).rpartition(".")[2]: _modern(
            "engine" if name == "engine" else group, value
        )
        for name, value in named.items()
        if name not in dropped
    }
