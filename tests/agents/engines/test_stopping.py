"""Which tokens a stop string is as good as."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.engines.stopping import tokens_containing
from agents.engines.tokenizer import HFTokenizer
from agents.engines.weights import read_config
from configs.schema.engine import resolve_model

POCKET = HFTokenizer(resolve_model("pocket"))
VOCABULARY_SIZE = int(read_config(Path(resolve_model("pocket")))["vocab_size"])


@given(st.sampled_from(["\n\n", "Wait", "Answer", "is right"]), st.data())
def test_a_text_is_said_where_one_of_its_tokens_is(text: str, data: st.DataObject) -> None:
    tokens = tokens_containing(text, POCKET, VOCABULARY_SIZE)
    some = st.sampled_from(sorted(tokens)) if tokens else st.nothing()
    ids = data.draw(st.lists(some | st.integers(0, VOCABULARY_SIZE - 1), max_size=12))
    assert not tokens or (text in POCKET.decode(ids)) == any(token in tokens for token in ids)


def test_the_end_of_the_pockets_steps_is_a_token() -> None:
    assert len(tokens_containing("\n\n", POCKET, VOCABULARY_SIZE)) == 1


@pytest.mark.parametrize("text", ["a", " a", "é", "ab", "12"])
def test_what_several_tokens_may_share_is_read_along(text: str) -> None:
    assert tokens_containing(text, POCKET, VOCABULARY_SIZE) == frozenset()
