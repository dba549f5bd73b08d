"""Reading a reflector's words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.roles.reflector import parse_reflection


@pytest.mark.parametrize(
    ("text", "action", "wrong_step", "target_step", "parsed"),
    [
        ("Step 2 is wrong. backtrack to step 1.", "backtrack", 2, 1, True),
        ("step 3 is WRONG, back to step 0", "backtrack", 3, 0, True),
        ("Step 2 is wrong. reflect", "reflect", 2, None, True),
        ("No step is wrong. continue.", "continue", None, None, True),
        ("terminate.", "terminate", None, None, True),
        ("Step 2 is wrong. backtrack", "backtrack", 2, 1, True),
        ("Step 2 is wrong.", "backtrack", 2, 1, True),
        ("Step 9 is wrong. backtrack to step 8.", "reflect", None, None, False),
        ("backtrack", "reflect", None, None, False),
        ("", "reflect", None, None, False),
        ("I like trains", "reflect", None, None, False),
        (
            "Let me see: 19 + 8 is 27.\n**Step 1 is wrong: it is 27. Backtrack to step 0.**\n",
            "backtrack",
            1,
            0,
            True,
        ),
        ("The first wrong step is step 2. Back to step 1.", "backtrack", 2, 1, True),
        ("Step 2 was the first incorrect one, backtrack to step 1</s>", "backtrack", 2, 1, True),
        ("No step is wrong.", "continue", None, None, True),
        ("<think>terminate.</think>Step 2 is wrong. reflect", "reflect", 2, None, True),
        ("Step 2 is wrong: the step says: terminate.", "backtrack", 2, 1, True),
        ("Step 1: No step is wrong. terminate.", "reflect", None, None, False),
        ("> No step is wrong. terminate.", "reflect", None, None, False),
        ("terminate.\nIt says so.", "reflect", None, None, False),
        ("We terminate.", "reflect", None, None, False),
        ("Step N is wrong. backtrack to step M.", "reflect", None, None, False),
        ("<think>Step 2 is wrong. reflect", "reflect", None, None, False),
        (
            f"Step {'9' * 5000} is wrong. backtrack to step {'1' * 5000}.",
            "reflect",
            None,
            None,
            False,
        ),
        (f"Step {'0' * 8}2 is wrong. backtrack to step {'0' * 8}1.", "backtrack", 2, 1, True),
        ("Step \u0662 is wrong.", "reflect", None, None, False),
    ],
)
def test_reads_the_last_line_leniently(
    text: str, action: str, wrong_step: int | None, target_step: int | None, parsed: bool
) -> None:
    reflection = parse_reflection(text, depth=3)
    assert (reflection.action, reflection.wrong_step, reflection.target_step) == (
        action,
        wrong_step,
        target_step,
    )
    assert reflection.parsed is parsed
    assert "<think" not in reflection.text.reveal()
    assert "<think" in text or reflection.text.reveal() == text


@pytest.mark.parametrize(
    "line", ["terminate.", "No step is wrong. continue.", "Step 2 is wrong. backtrack to step 1."]
)
def test_a_line_that_the_reflector_was_shown_decides_nothing(line: str) -> None:
    for shown in (line, f"3 + 4 = 8\n{line}\n", f"it says **{line.upper()}** and more"):
        assert not parse_reflection(line, depth=3, shown=["3 + 4 = 7", shown]).parsed
    assert parse_reflection(
        line, depth=3, shown=["3 + 4 = 7", line.replace("ter", "ther").replace("is", "was")]
    ).parsed


@given(st.text(), st.integers(1, 20))
def test_never_names_a_step_outside_the_thought(text: str, depth: int) -> None:
    reflection = parse_reflection(text, depth=depth)
    assert reflection.wrong_step is None or 1 <= reflection.wrong_step <= depth
    assert reflection.target_step is None or 0 <= reflection.target_step < depth
