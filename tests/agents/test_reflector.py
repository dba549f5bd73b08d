"""Reading a reflector's words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.reflector import parse_reflection


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
    ],
)
def test_reads_leniently(text: str, action: str, wrong_step: int | None, target_step: int | None, parsed: bool) -> None:
    reflection = parse_reflection(text, depth=3)
    assert (reflection.action, reflection.wrong_step, reflection.target_step) == (action, wrong_step, target_step)
    assert reflection.parsed is parsed
    assert reflection.text.reveal() == text


@given(st.text(), st.integers(1, 20))
def test_never_names_a_step_outside_the_thought(text: str, depth: int) -> None:
    reflection = parse_reflection(text, depth=depth)
    assert reflection.wrong_step is None or 1 <= reflection.wrong_step <= depth
    assert reflection.target_step is None or 0 <= reflection.target_step < depth
