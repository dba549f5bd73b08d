"""The marked final answer, as documented in agents/answers/extract.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.answers import final_answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Answer: 18", "18"),
        ("**Answer:** 18 eggs.", "18 eggs"),
        ("Final answer : 3*(7+2)", "3*(7+2)"),
        ("9 * 2 = 18\n#### 18", "18"),
        ("#### $-3.5 dollars", "$-3.5 dollars"),
        ("So it is \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}"),
        ("\\boxed {x_{1}^{2}}", "x_{1}^{2}"),
        ("\\boxed{\\{1, 2\\}}", "\\{1, 2\\}"),
        ("\\boxed{a\nb}", "a\nb"),
        ("The answer is 18.", "18"),
        ("so the answer is: $3.5$. Done", "$3.5$"),
        ("The answer is Zoey.", "Zoey"),
        ("Answer:\n18", "18"),
        ("Answer: 18. This is because 9 * 2 = 18.", "18"),
        ("Final Answer: The final answer is $18$. I hope it is correct.", "$18$"),
    ],
)
def test_every_mark_is_read(text: str, answer: str) -> None:
    assert final_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Answer: 3\nWait, that is wrong.\nAnswer: 5", "5"),
        ("#### 3\n\\boxed{5}", "5"),
        ("\\boxed{5}\n#### 3", "3"),
        ("\\boxed{1} and \\boxed{2}", "2"),
        ("Answer: $\\boxed{18}$ eggs", "18"),
        ("\\boxed{18}. So the answer is three words long", "18"),  # an explicit mark beats a sentence
        ("The answer is 3. No, the answer is 5.", "5"),
        ("Answer: 3\nAnswer:", "3"),  # cut off: the empty mark does not count
        ("\\boxed{3} or rather \\boxed{4", "3"),
        ("\\boxed{ \\boxed{5}", "5"),
    ],
)
def test_the_last_usable_mark_wins(text: str, answer: str) -> None:
    assert final_answer(text) == answer


@pytest.mark.parametrize(
    "text",
    [
        "",
        "18",
        "9 * 2 = 18",
        "Answer:",
        "Answer: \\boxed{3",
        "#### Step 1: read the question",
        "#### 1. Read the question",
        "Answer:\nStep 1 is to read.\nStep 2 is to compute.",
        "The answer is not 5.",
        "The answer is the number of eggs that she sold.",
        "boxed{5}",
        "Answer choices are A and B",
    ],
)
def test_what_is_not_marked_is_no_answer(text: str) -> None:
    assert final_answer(text) is None


_PIECES = st.sampled_from([*"\n $.\\-={}é", "Answer:", "answer is", "\\boxed{", "####", "18", "**", "the"])


@given(st.one_of(st.text(), st.lists(_PIECES, max_size=30).map("".join)))
def test_extraction_never_raises_and_gives_a_stretch_of_the_text(text: str) -> None:
    answer = final_answer(text)
    assert answer is None or (answer and answer in text)


@given(st.text(alphabet="abc12+-{} \\frac", max_size=30))
def test_a_box_gives_back_what_was_put_in(content: str) -> None:
    # Naive reference: braces must balance, and the content must not be trimmed, for the box to be read back as it is.
    depth = 0
    escaped = False
    for character in content:
        if not escaped and character in "{}":
            depth += 1 if character == "{" else -1
            if depth < 0:
                return
        escaped = character == "\\" and not escaped
    if depth or escaped or content != content.strip() or not content or "boxed" in content:
        return
    assert final_answer(f"so \\boxed{{{content}}}") == content


@pytest.mark.parametrize("piece", ["\\boxed{", "Answer:", "#### 1", "answer is ", "answer  ", "{", "1,", "  ", "####"])
def test_a_hundred_thousand_characters_are_read_in_linear_time(piece: str) -> None:
    final_answer(piece * (100_000 // len(piece)))
