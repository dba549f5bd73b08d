"""Reading replies: what is thinking, which line is the last, and that neither takes more than linear time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.reflector import parse_reflection
from agents.replies import last_line, without_thinking

REPEATS = 40_000  # what reads in quadratic time takes minutes for that many
HOSTILE = (
    *("<think>", "</think>", "<th<think>ink>", "<|im_end|>", "</s>", " ", "\n", " \n", "*", "_", "9", "0", "Verdict: ", "verdict -"),
    *("Step 1 is wrong. ", "step ", "back to ", "backtrack to step ", ". ", "!", "No step is wrong", "> ", "\\", "<", ">", "[", "x"),
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a <think>b</think> c", "a  c"),
        ("b</think>c", "c"),
        ("a</think>b<think>c</think>d", "bd"),
        ("a<think>b", "a"),
        ("a<THINKING>b</Thinking>c", "ac"),
        ("<think><think>b</think>c", "c"),
        ("[THINK]b[/THINK]c", "c"),
        ("a[THINK]b", "a"),
        ("◁think▷b◁/think▷c", "c"),
        ("<|begin_of_thought|>b<|end_of_thought|>c", "c"),
        ("<think kind='x'>b</think >c", "c"),
        ("3 < 5 and 7 > 2", "3 < 5 and 7 > 2"),
    ],
)
def test_thinking_is_left_out(text: str, said: str) -> None:
    assert without_thinking(text) == said


@given(st.lists(st.sampled_from(["<think>", "</think>", "secret", "said"])))
def test_what_stands_in_a_block_is_never_kept(pieces: list[str]) -> None:
    kept, inside = list[str](), False
    for piece in pieces:
        if piece == "</think>" and not inside:
            kept.clear()
        elif piece not in ("<think>", "</think>") and not inside:
            kept.append(piece)
        inside = piece == "<think>" or (inside and piece != "</think>")
    assert without_thinking("".join(pieces)) == "".join(kept)


@pytest.mark.parametrize(
    ("text", "line"),
    [("a\nb", "b"), ("a\nb\n\n \n", "b"), ("a\nb</s>\n<|im_end|>\n", "b</s>"), ("", ""), ("\n<|end|>", ""), ("a\u2028b", "a\u2028b")],
)
def test_the_last_line_is_the_last_with_words(text: str, line: str) -> None:
    assert last_line(text) == line


@pytest.mark.parametrize("read", [without_thinking, last_line, lambda text: parse_reflection(text, depth=9).parsed])
@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize("around", ["{}", "Step 1 is wrong{}", "Verdict: Yes{}", "{}terminate.", "<think>{}", "{}</think>"])
def test_long_replies_are_read(read: Callable[[str], object], piece: str, around: str) -> None:
    assert read(around.format(piece * REPEATS)) is not None
