"""Why a thought has no answer, and what the user can do.

If the search would go on without a cap of the budget, that cap is the reason. Otherwise
the end of the last completions is.
"""

from __future__ import annotations

import copy
import dataclasses
import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from agents.types import Hidden, Meter, Step
from graphs.strategies import Strategy
from graphs.tree import Event, Expanded, Failed, Horizon, NoAnswer, ReasoningTree

_CAPS: Final[dict[str, NoAnswer]] = {
    "max_tokens": "budget_tokens",
    "max_calls": "budget_calls",
    "max_seconds": "budget_seconds",
    "max_nodes": "budget_nodes",
}
"""Caps of `Budget` that end a search, in the order in which they are tested."""


_CERTAIN_SHARE: Final = 0.5
"""Share of max_tokens from which on a cut completion of estimated length counts as cut
at max_tokens."""


class Explanation(NamedTuple):
    """A reason as text for the user."""

    what: str
    """What happened."""
    way_out: str
    """What the user can do."""


_RAISE_OR_HIGH: Final = "raise it, or choose budget=high"

EXPLANATIONS: Final[dict[NoAnswer, Explanation]] = {
    "ended": Explanation(
        "the model ended without an answer",
        "ask in other words, or choose another model (engine.model=FOLDER_OR_HUB_ID)",
    ),
    "cut_step": Explanation("the last step was cut at policy.max_step_tokens", "raise it"),
    "cut_answer": Explanation(
        "the answer was cut at policy.max_answer_tokens", "raise it, or ask for a shorter answer"
    ),
    "context_length": Explanation(
        "the thought filled the model's context",
        "ask a shorter question, or choose a model with a longer context (engine.model)",
    ),
    "budget_tokens": Explanation(
        "budget.max_tokens was spent before there was one", _RAISE_OR_HIGH
    ),
    "budget_calls": Explanation("budget.max_calls was spent before there was one", _RAISE_OR_HIGH),
    "budget_seconds": Explanation("budget.max_seconds was over before there was one", "raise it"),
    "budget_nodes": Explanation(
        "budget.max_nodes was reached before there was one", _RAISE_OR_HIGH
    ),
    "stopped": Explanation(
        "the search ended, since nothing was left to try",
        "choose another search, or another model (engine.model)",
    ),
}


def why_no_answer(
    tree: ReasoningTree,
    events: Sequence[Event],
    meter: Meter,
    strategy: Strategy,
    *,
    new_rng: Callable[[], random.Random],
    prompt_tokens: int,
    context_length: int,
    is_estimated: bool = False,
) -> NoAnswer:
    """Returns the reason why a search chose no leaf.

    Args:
        events: the events of `tree`, in order.
        meter: the thought's costs and caps.
        new_rng: returns the strategy's source of random numbers, in its initial state.
        prompt_tokens: tokens before the first step.
        context_length: tokens that the model's context holds.
        is_estimated: whether the number of a step's token ids estimates that of the
            model's tokens (see `EngineInfo.capabilities`).
    """

    def goes_on(changed: Meter) -> bool:
        return (
            not changed.exhausted
            and changed.nodes_left != 0
            and bool(strategy.select(tree, changed, new_rng()))
        )

    caps = [name for name in _CAPS if getattr(meter.budget, name) is not None]
    for name in caps:
        if goes_on(_without(meter, name)):
            return _CAPS[name]
    if len(caps) > 1 and goes_on(_without(meter, *caps)):
        return next((_CAPS[name] for name in caps if _is_spent(meter, name)), _CAPS[caps[0]])
    last = next((event for event in reversed(events) if isinstance(event, Expanded | Failed)), None)
    match last:
        case Failed(kind="unparsed"):
            return "ended"
        case Failed(kind="context_length"):
            return "context_length"
        case Failed(kind="budget"):
            return "budget_tokens"
        case Expanded():
            above = prompt_tokens + sum(
                len(step.content.reveal().token_ids) for step in tree.path_steps(last.parent)
            )
            has_cap = meter.budget.max_tokens is not None
            share = _CERTAIN_SHARE if is_estimated else 1.0
            ends = Counter(
                _end(chain, last.horizon, above, context_length, has_cap=has_cap, share=share)
                for chain in last.chains
                if chain
            )
            return ends.most_common(1)[0][0] if ends else "ended"
        case _:
            return "stopped"


def last_words(tree: ReasoningTree) -> Hidden[str]:
    """Returns the last step of the latest path that is not blank, "" without one. An
    audit finds there an answer that was not recognised.
    """
    path = tree.path_steps(tree.ends[-1]) if tree.ends else []
    texts = (step.content.reveal().text for step in reversed(path))
    return Hidden(next((text for text in texts if text.strip()), ""))


def _without(meter: Meter, *caps: str) -> Meter:
    lifted = copy.copy(meter)
    lifted.budget = dataclasses.replace(meter.budget, **dict.fromkeys(caps))
    return lifted


def _is_spent(meter: Meter, cap: str) -> bool:
    match cap:
        case "max_tokens":
            return meter.tokens_left == 0
        case "max_calls":
            return meter.calls_left == 0
        case "max_nodes":
            return meter.nodes_left == 0
        case _:
            return meter.exhausted


def _end(
    chain: Sequence[Step],
    horizon: Horizon,
    above: int,
    context_length: int,
    *,
    has_cap: bool,
    share: float,
) -> NoAnswer:
    """Returns why a completion, with `above` tokens of context and the steps of
    `chain`, has no answer. `share`: share of max_tokens at which it was cut there.
    """
    last = chain[-1]
    if last.finish_reason == "stop":
        return "ended" if last.is_final else "stopped"
    contents = [step.content.reveal() for step in chain]
    tokens = sum(len(content.token_ids) for content in contents)
    if tokens - contents[0].forced >= share * last.sampling.max_tokens:
        return "cut_step" if horizon == "step" else "cut_answer"
    return "budget_tokens" if has_cap and above + tokens < context_length else "context_length"
