"""Where a step ends."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agents.engines.scripted_tokenizer import ScriptedTokenizer
from agents.segmentation import cut_steps

TOKENIZER = ScriptedTokenizer()


def texts(text: str) -> list[str]:
    ids = TOKENIZER.encode(text)
    return [TOKENIZER.decode(ids[cut]) for cut in cut_steps(ids, TOKENIZER)]


def test_a_step_ends_with_a_blank_line() -> None:
    assert texts("a\n\nb\nstill b\n\nc") == ["a\n\n", "b\nstill b\n\n", "c"]


def test_blank_lines_before_any_word_end_nothing() -> None:
    assert texts("\n\na\n\n") == ["\n\na\n\n"]


@given(st.text(alphabet="ab\n ", max_size=60))
def test_cuts_cover_every_token_once_and_in_order(text: str) -> None:
    ids = TOKENIZER.encode(text)
    cuts = cut_steps(ids, TOKENIZER)
    assert [token for cut in cuts for token in ids[cut]] == ids
