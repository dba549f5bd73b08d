"""Reading replies: what is thinking, which line is the last, and that neither takes
more than linear time.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.answers import without_think_blocks
from agents.prompts.last_line import ends_a_line, last_line
from agents.roles.reflector import parse_reflection

REPEATS = 40_000  # what reads in quadratic time takes minutes for that many
HOSTILE = (
    *(
        "<think>",
        "</think>",
        "<th<think>ink>",
        "<|im_end|>",
        "</s>",
        " ",
        "\n",
        " \n",
        "*",
        "_",
        "9",
        "0",
        "Verdict: ",
        "verdict -",
    ),
    *(
        "Step 1 is wrong. ",
        "step ",
        "back to ",
        "backtrack to step ",
        ". ",
        "!",
        "No step is wrong",
        "> ",
        "\\",
        "<",
        ">",
        "[",
        "x",
    ),
)


def ends_with_x(text: str) -> bool:
    return ends_a_line("x", "Verdict", [text])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a <think>b</think> c", "a  c"),
        ("b</think>c", "c"),
        ("a</think>b<think>c</think>d", "bd"),
        ("a<think>b", "a"),
        ("a<THINKING>b</Thinking>c", "ac"),
        ("<think><think>b</think>c", "c"),
        ("a[THINK]b[/THINK]c", "ac"),
        ("a◁think▷b", "a"),
        ("a<scratchpad>b</scratchpad>c", "ac"),
        ("a <think x=1>b</think >c", "a c"),
        ("The tag `<think>` is a word.", "The tag `<think>` is a word."),
        ("[THINK]b[/THINK]c", "c"),
        ("a[THINK]b", "a"),
        ("◁think▷b◁/think▷c", "c"),
        ("<|begin_of_thought|>b<|end_of_thought|>c", "c"),
        ("<think kind='x'>b</think >c", "c"),
        ("3 < 5 and 7 > 2", "3 < 5 and 7 > 2"),
    ],
)
def test_thinking_is_left_out(text: str, said: str) -> None:
    assert without_think_blocks(text) == said


@given(st.lists(st.sampled_from(["<think>", "</think>", "secret", "said"])))
def test_what_stands_in_a_block_is_never_kept(pieces: list[str]) -> None:
    kept, inside = list[str](), False
    for piece in pieces:
        if piece == "</think>" and not inside:
            kept.clear()
        elif piece not in ("<think>", "</think>") and not inside:
            kept.append(piece)
        inside = piece == "<think>" or (inside and piece != "</think>")
    assert without_think_blocks("".join(pieces)) == "".join(kept)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\nb", "b"),
        ("a\nb\n\n \n", "b"),
        ("a\nb</s>\n<|im_end|>\n", "b</s>"),
        ("", ""),
        ("\n<|end|>", ""),
        ("a\u2028b", "a\u2028b"),
    ],
)
def test_the_last_line_is_the_last_with_words(text: str, line: str) -> None:
    assert last_line(text) == line


@pytest.mark.parametrize(
    "text",
    [
        *("Yes", "It is 3.\nYES.\nSo 4.", "a\u2028yes", "> **Yes**!", "Reply: Yes</s>"),
        *("<answer>Yes</answer>", "[Yes]", "<|end|><|assistant|>Yes<|end|><|user|>"),
        *("[/INST] Yes</s>[INST]", "\uff39\uff45\uff53", "\u53ea\u56de\u7b54Yes"),
    ],
)
def test_a_line_that_ends_with_a_label_spells_it_out(text: str) -> None:
    assert ends_a_line("Yes", "No", ["1 + 1 = 2", text])
    assert not ends_a_line("No", "Yes", [text])


@pytest.mark.parametrize(
    "text",
    [
        *("", "19 + 8 = 27", "Yes, 17 is prime.", "eyes"),
        *("Answer yes or no.", "Answer no or yes:", "(Yes/No)", "No / Yes?"),
    ],
)
def test_a_label_in_a_sentence_or_a_choice_is_not_spelled_out(text: str) -> None:
    assert not ends_a_line("Yes", "No", [text]) and not ends_a_line("No", "Yes", [text])


@pytest.mark.parametrize(
    "read",
    [
        without_think_blocks,
        last_line,
        lambda text: parse_reflection(text, depth=9).parsed,
        ends_with_x,
    ],
)
@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize(
    "around",
    ["{}", "Step 1 is wrong{}", "Verdict: Yes{}", "{}terminate.", "<think>{}", "{}</think>"],
)
def test_long_replies_are_read(read: Callable[[str], object], piece: str, around: str) -> None:
    assert read(around.format(piece * REPEATS)) is not None
