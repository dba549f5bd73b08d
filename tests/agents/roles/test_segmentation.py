"""Where a step ends."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.engines.base import Tokenizer
from agents.engines.scripted.tokenizer import ScriptedTokenizer
from agents.engines.tokenizer import HFTokenizer
from agents.roles.segmentation import cut_steps
from agents.roles.segmentation.blocks import BlockReader
from configs.schema.engine import resolve_model

TOKENIZER = ScriptedTokenizer()
POCKET = HFTokenizer(resolve_model("pocket"))


def is_unfinished(text: str) -> bool:
    """Whether a step that the engine stopped at the end of `text` goes on; reads the
    text anew, block by block.
    """
    reader = BlockReader()
    blocks = [block for block in text.split("\n\n") if block.strip()]
    return not blocks or [reader.is_open_after(block) for block in blocks][-1]


def texts(text: str) -> list[str]:
    ids = TOKENIZER.encode(text)
    return [TOKENIZER.decode(ids[cut]) for cut in cut_steps(ids, TOKENIZER)]


def test_a_step_ends_with_a_blank_line() -> None:
    assert texts("a\n\nb\nstill b\n\nc") == ["a\n\n", "b\nstill b\n\n", "c"]


def test_blank_lines_before_any_word_end_nothing() -> None:
    assert texts("\n\na\n\n") == ["\n\na\n\n"]


@pytest.mark.parametrize(
    "heading",
    ["**Final Answer**", "### Answer", "Answer:", "**Answer:**", "The final answer is:", "答案："],
)
def test_a_heading_and_its_answer_are_one_step(heading: str) -> None:
    assert texts(f"3 + 4 = 7\n\n{heading}\n\n7\n\nDone.") == [
        "3 + 4 = 7\n\n",
        f"{heading}\n\n7\n\n",
        "Done.",
    ]


@pytest.mark.parametrize(
    "block",
    [
        "\\[\nx\n\n= 7\n\\]",
        "$$\n\n7\n\n$$",
        "```python\nx = 1\n\n\n\ny = 2\n```",
        "~~~\na\n\n```\n\n~~~",
        "<answer>\n\n7\n\n</answer>",
    ],
)
def test_formulas_and_code_are_not_cut(block: str) -> None:
    assert texts(f"So:\n\n{block}\n\nDone.") == ["So:\n\n", f"{block}\n\n", "Done."]


@pytest.mark.parametrize(
    "text",
    [
        "The answer is 7.",
        "Answer: 7",
        "It costs $$ 5.",
        "a \\\\[4pt]",
        "Is this the answer?",
        "$$x = 1$$",
    ],
)
def test_what_is_complete_ends_at_the_blank_line(text: str) -> None:
    assert texts(f"{text}\n\nDone.") == [f"{text}\n\n", "Done."]


def test_a_formula_that_is_never_closed_does_not_swallow_the_thought() -> None:
    steps = texts("\\[ x\n\n" + "a\n\n" * 20)
    assert len(steps) > 10


def test_a_step_goes_on_while_something_is_open() -> None:
    assert (
        is_unfinished("\n\n")
        and is_unfinished("**Final Answer**\n\n")
        and is_unfinished("```python\nx = 1\n\n")
    )
    assert (
        not is_unfinished("3 + 4 = 7\n\n")
        and not is_unfinished("**Final Answer**\n\n7\n\n")
        and not is_unfinished("```\nx\n```\n\n")
    )


class Counting(ScriptedTokenizer):
    """Counts the tokens that are decoded."""

    decoded = 0

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        self.decoded += len(token_ids)
        return super().decode(token_ids, skip_special_tokens=skip_special_tokens)


@pytest.mark.parametrize("piece", ["```\na\n\n", "a = 1\n\n", "\\[\n\n", "Answer:\n\n"])
def test_no_token_is_decoded_more_often_in_a_longer_text(piece: str) -> None:
    shares = []
    for size in (100, 1000):
        tokenizer = Counting()
        ids = tokenizer.encode("```\n" + piece * size)
        cut_steps(ids, tokenizer)
        shares.append(tokenizer.decoded / len(ids))
    assert shares[1] <= shares[0] * 1.1


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
        if end == len(ids) or (
            "\n\n" in text and text.endswith("\n\n") and not is_unfinished(text)
        ):
            cuts.append(slice(start, end))
            start = end
    return cuts


@given(st.text(alphabet="ab\n ", max_size=60))
def test_steps_end_where_decoding_everything_says_so(text: str) -> None:
    ids = TOKENIZER.encode(text)
    assert cut_steps(ids, TOKENIZER) == naive_cuts(ids, TOKENIZER)


_BLOCKS = (
    "**Final Answer**",
    "Answer:",
    "7",
    "\\[",
    "\\]",
    "$$",
    "```",
    "<answer>",
    "</answer>",
    "<think>",
    "</think>",
    "| a |",
    "\n",
    "\n\n",
)


@given(st.lists(st.sampled_from(_BLOCKS), max_size=30).map("".join))
def test_steps_with_open_blocks_end_where_the_engine_would_go_on_no_more(text: str) -> None:
    ids = TOKENIZER.encode(text)
    assert cut_steps(ids, TOKENIZER) == naive_cuts(ids, TOKENIZER)


SEPARATOR, *OTHERS = (
    POCKET.encode(text)[0] for text in ("\n\n", "<|propose|>", "Answer:", "=", "3", "<|eos|>")
)


@given(st.lists(st.sampled_from([SEPARATOR, *OTHERS]), max_size=30))
def test_steps_of_the_pocket_end_where_decoding_everything_says_so(ids: list[int]) -> None:
    assert cut_steps(ids, POCKET) == naive_cuts(ids, POCKET)
