"""How the prompts of a role fit the engine that it speaks through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.engines.base import Classifier, Generator, Tokenizer
from agents.pocket.domain import Domain
from agents.prompts.family import PromptFamily
from agents.prompts.prompts import Prompts


def prompts_for(
    family: str,
    engine: Generator,
    domain: Domain,
    template_options: Mapping[str, Any] | None = None,
) -> Prompts:
    """Returns the prompts of a family for an engine, in the wording of `domain`.

    Raises:
        ValueError: there is no such family, or the engine's chat template has no
            variable of `template_options`, or the family continues token ids and the
            engine exchanges text.
    """
    wording = PromptFamily(family)
    if wording.style == "continuation" and engine.info.capabilities is not None:
        raise ValueError(
            f"prompts ({family}) continue token ids, and {engine.info.model} is served as text; "
            "choose experiment=chat, or set policy.prompts=chat and the same for the other roles"
        )
    return Prompts(
        wording,
        engine.tokenizer,
        wording=domain.wording,
        template_options=template_options,
    )


_THINKING_SWITCHES = ("enable_thinking", "thinking")


def effort_options(tokenizer: Tokenizer, effort: str | None) -> dict[str, Any]:
    """Returns the variables with which a chat template switches the model's own
    thinking to `effort` (low, medium, high); empty if it has no switch.
    """
    variables: frozenset[str] = getattr(tokenizer, "template_options", frozenset())
    if effort is None:
        return {}
    if "reasoning_effort" in variables:
        return {"reasoning_effort": effort}
    return {name: effort != "low" for name in _THINKING_SWITCHES if name in variables}


def check_shares_ids(
    role: str, family: PromptFamily, engine: Generator, policy_engine: Generator
) -> None:
    """Refuses a role that continues the policy's token ids with another vocabulary.

    Raises:
        ValueError: it does.
    """
    if (
        family.style == "continuation"
        and engine.info.tokenizer_hash != policy_engine.info.tokenizer_hash
    ):
        raise ValueError(
            f"{role}.prompts ({family.name}) continues the policy's token ids, but {role}.engine "
            f"({engine.info.model}) has another tokenizer than the policy "
            f"({policy_engine.info.model}); set {role}.prompts=chat or give both the same model"
        )


def check_reads_ids(heads: Classifier, policy_engine: Generator) -> None:
    """Refuses heads that cannot read the policy's own token ids.

    Raises:
        ValueError: their tokenizer is another one.
    """
    if heads.info.tokenizer_hash != policy_engine.info.tokenizer_hash:
        raise ValueError(
            f"heads.engine ({heads.info.model}) has another tokenizer than the policy "
            f"({policy_engine.info.model}), whose token ids it "
            "would read; name heads that were trained on this policy (training=heads)"
        )
