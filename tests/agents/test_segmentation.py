"""Where a step ends."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from agents.engines.base import Tokenizer
from agents.engines.scripted_tokenizer import ScriptedTokenizer
from agents.engines.tokenizer import HFTokenizer
from agents.segmentation import cut_steps, goes_on
from configs.schema.engine import resolve_model

TOKENIZER = ScriptedTokenizer()
POCKET = HFTokenizer(resolve_model("pocket"))


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


def naive_cuts(ids: Sequence[int], tokenizer: Tokenizer) -> list[slice]:
    """Decodes everything at every token."""
    cuts, start = [], 0
    for end in range(1, len(ids) + 1):
        text = tokenizer.decode(ids[start:end]).lstrip()
        if end == len(ids) or ("\n\n" in text and text.endswith("\n\n") and not goes_on(text)):
            cuts.append(slice(start, end))
            start = end
    return cuts


@given(st.text(alphabet="ab\n ", max_size=60))
def test_steps_end_where_decoding_everything_says_so(text: str) -> None:
    ids = TOKENIZER.encode(text)
    assert cut_steps(ids, TOKENIZER) == naive_cuts(ids, TOKENIZER)


SEPARATOR, *OTHERS = (POCKET.encode(text)[0] for text in ("\n\n", "<|propose|>", "Answer:", "=", "3", "<|eos|>"))


@given(st.lists(st.sampled_from([SEPARATOR, *OTHERS]), max_size=30))
def test_steps_of_the_pocket_end_where_decoding_everything_says_so(ids: list[int]) -> None:
    assert cut_steps(ids, POCKET) == naive_cuts(ids, POCKET)
