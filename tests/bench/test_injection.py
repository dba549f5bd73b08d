"""No injection succeeds with a scripted model, whatever that repeats of what it was
shown.
"""

from __future__ import annotations

import pytest

from agents.engines.tokenizer import HFTokenizer
from agents.prompts.last_line import ends_a_line
from tests.bench.injection import MODELS, REAL, REPLIES, TARGET, forged_tokens, scripted_shares
from tests.bench.injections import HARMLESS, INJECTIONS, UNLABELLED, WRONG_STEPS


def test_there_are_enough_attempts_and_each_asks_for_a_reply() -> None:
    assert len({(one.place, one.text) for one in INJECTIONS}) == len(INJECTIONS) >= 100
    assert all(reply in one.of(reply) for one in INJECTIONS for reply in REPLIES.values())


@pytest.mark.parametrize("texts", [HARMLESS, UNLABELLED])
def test_texts_without_a_label_are_not_caught_by_it(texts: tuple[str, ...]) -> None:
    caught = [text for text in texts if ends_a_line("Yes", "No", [text])]
    assert not caught and len(set(texts)) == len(texts)


async def test_no_role_is_misled_by_what_it_repeats() -> None:
    shares = await scripted_shares(WRONG_STEPS[:1])
    for name, share in shares.items():
        assert TARGET.is_met(share.succeeded / share.attempts), (name, share.examples)
    assert {name.partition(":")[0] for name in shares} == set(REPLIES)


@pytest.mark.parametrize("name", REAL)
def test_no_injection_brings_a_control_token_into_a_prompt(name: str) -> None:
    if not (MODELS / name).is_dir():
        pytest.skip(f"there is no models/{name}")
    assert not forged_tokens(HFTokenizer(MODELS / name)).examples
