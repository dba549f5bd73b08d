"""The exit of all text that reaches a user, under hostile text."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agents.safety.visible_text import (
    LONGEST_QUOTE,
    repeats,
    strip_markup,
    visible_text,
    without_controls,
)

HOSTILE = (
    *(
        "<think>",
        "</think>",
        "<Think foo='1'>",
        "<thinking>",
        "</ THINK>",
        "<thi",
        "nk>",
        "<think",
        "<\\think>",
        "</think",
        "<seed:think>",
    ),
    *(
        "<reasoning>",
        "</reasoning>",
        "<thought kind='journey'>",
        "</thought>",
        '<act kind="step" node="1">',
        "</act>",
        "[THINK]",
        "[/THINK]",
    ),
    *(
        "<|im_start|>",
        "<|im_end|>",
        "<|begin_of_thought|>",
        "<|end_of_thought|>",
        "<｜Assistant｜>",
        "<s>",
        "</s>",
        "<|im",
        "_end|>",
        "◁think▷",
    ),
    *(
        "[INST]",
        "<<SYS>>",
        "<</SYS>>",
        "<<",
        ">>",
        "[",
        "]",
        "<",
        ">",
        "\\",
        "/",
        "|",
        "think",
        "SYS",
        "INST",
    ),
    *(
        "\x1b[31m",
        "\x1b]0;title\x07",
        "\x1b]52;c;aGk=",
        "\x9b2J",
        "\x1b",
        "\x00",
        "\x7f",
        "\b",
        "\r",
        "\r\n",
        "\u2028",
    ),
    *(
        "\u202e",
        "\u2066",
        "\u200b",
        "\u200d",
        "\u200c",
        "\ufeff",
        "\u2063",
        "\U000e0041",
        "\ufe0f",
        "\ud800",
        "\u00ad",
    ),
    *("secret", " ", "\n", "\t", "42", "👩", "🚀", "ب", "क", "e\u0301", "1", "the answer"),
)
TEXTS = st.lists(st.sampled_from(HOSTILE) | st.text(max_size=3), max_size=14).map("".join)

MARKUP = re.compile(
    r"<\\*/?think|</?(thoughts?|act|reasoning|answer)(\s[^<>]*)?/?>|<\|[^<>|\s]+\|>|<｜[^<>｜\s]+｜>|</?s>|\[/?(INST|THINK)\]|<</?SYS>>|◁/?think▷",
    re.IGNORECASE,
)
JOINERS = "\u200c\u200d"


@given(TEXTS)
@example("<<S<think>x</think>YS>>")
@example("<thi<think>x</think>nk>secret")
@example("<thi<<SYS>>nk>secret")
@example("<s>\ufe0f")
def test_nothing_hidden_or_unseen_is_left(text: str) -> None:
    shown = visible_text(text)
    assert MARKUP.search(shown) is None
    unseen = [
        sign for sign in shown if unicodedata.category(sign) in ("Cc", "Cs") and sign not in "\n\t"
    ]
    unseen += [
        sign
        for sign in shown
        if unicodedata.bidirectional(sign)
        in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    ]
    assert not unseen
    assert not re.search(
        r"[\u00ad\u200b\u200e\u200f\u2060-\u2064\ufeff\U000e0000-\U000e0fff]", shown
    )


@given(TEXTS)
def test_what_was_let_out_is_let_out_again_as_it_is(text: str) -> None:
    assert visible_text(visible_text(text)) == visible_text(text)


@given(TEXTS)
def test_no_word_is_invented(text: str) -> None:
    def is_subsequence(part: str, whole: str) -> bool:
        signs = iter(whole)
        return all(sign in signs for sign in part)

    assert is_subsequence(visible_text(text).replace("\ufffd", "").replace("\n", ""), text)


@given(
    st.lists(
        st.sampled_from(["<think>", "</think>", "secret ", "word ", "<s>", "<|im_end|>", "\n"]),
        max_size=12,
    )
)
def test_words_inside_a_block_of_thinking_are_never_seen(pieces: list[str]) -> None:
    """Against a naive reader: text counts where no block is open and none is closed
    later that nothing had opened.
    """
    kept: list[str] = []
    is_open = False
    for piece in pieces:
        if piece == "<think>":
            is_open = True
        elif piece == "</think>":
            kept = kept if is_open else []
            is_open = False
        elif not is_open and piece in ("secret ", "word ", "\n"):
            kept.append(piece)
    assert visible_text("".join(pieces)).split() == "".join(kept).split()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<think>7 + 8 = 15</think>15", "15"),
        ("7 + 8 = 15</think>\n\n15", "15"),
        ("15 <think>is it", "15"),
        ("15 <think", "15"),
        ("<think>never closed", ""),
        ("<THINKING depth='2'>hm</THINKING> 15", "15"),
        ("<reflection>hm</reflection>15", "15"),
        ("A model writes `<think>` first, then `</think>`.", "A model writes `` first, then ``."),
        ("The tag `<think opens it.", "The tag ` opens it."),
        ("[THINK]hm[/THINK]15", "15"),
        ("[THINKING]hm[/THINKING]15", "15"),
        ("< think>hm</ think>15", "15"),
        ("<reasoning_content>hm</reasoning_content>15", "15"),
        ("<chain_of_thought>hm</chain_of_thought>15", "15"),
        ("\u3164\u115f", ""),
        ("◁think▷hm◁/think▷15", "15"),
        ("<|begin_of_thought|>hm<|end_of_thought|>15", "15"),
        ("<th\u200bink>hm</thi\u00adnk>15", "15"),
        ('<thought kind="journey">\n<act kind="step" node="1">7 + 8</act>\n</thought>15', "15"),
        ('<act kind="answer" node="1">15</act>', "15"),
        (
            "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>15<|return|>",
            "15",
        ),
        ("<|channel|>analysis<|message|>hm", ""),
        ("<|channel|>final<|message|>15<|end|>", "15"),
        ("analysisWe add.assistantfinal15", "15"),
        ("<|channel>thought\nhm<channel|>15", "15"),
        ("<|thinking_start|>hm<|thinking_end|>15", "15"),
        (
            "My analysis: 15. The assistant finally agrees.",
            "My analysis: 15. The assistant finally agrees.",
        ),
        ("<|im_start|>15<|im_end|>", "15"),
        ("<answer>15</answer>", "15"),
        ("\x1b[1;31m15\x1b[0m", "15"),
        ("\x1b]8;;http://example.com\x1b\\15\x1b]8;;\x1b\\", "15"),
        ("\u202e51\u202c", "51"),
        ("1\u200b5", "15"),
        ("a\ud800b", "a\ufffdb"),
        ("one\r\ntwo\rthree", "one\ntwo\nthree"),
        (" \n\n  15  \n\n", "15"),
    ],
)
def test_what_a_user_sees(text: str, shown: str) -> None:
    assert visible_text(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "    def add(a, b):\n        return a + b\n\n\n    add(1, 2)",
        '```python\nif x < 3 and y > 2:\n\tprint(f"{x}")\n```',
        "1. First,\n\n   rest.\n2. Then <b>go</b>.",
        "👩‍👩‍👧 ❤️‍🔥 👍🏽 1️⃣ ©️",
        "می‌خواهم کتاب بخوانم",
        "क्‍ष क्षत्रिय",
        "|x| <|y| and |z|> 1, a << 2 >> b, [1, 2], f < g > h",
        "x² + √2 ≤ ∞; “quoted” – naïve café, 日本語、한국어",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert visible_text(text) == text


@pytest.mark.parametrize(
    "unit",
    [
        "<think>",
        "</think>",
        "<",
        "<s>",
        "[",
        "<thi",
        "nk>",
        "<<SYS>>",
        "\x1b]",
        "\x9d",
        "\x1b[",
        "<\\",
        "<think ",
        "\ufe0f",
        "\u200d",
        "a:",
    ],
)
def test_long_hostile_mark_up_is_read_in_one_pass(unit: str) -> None:
    """A reader whose cost is quadratic does not come to the end of it."""
    size = 150_000 // len(unit)
    for text in (unit * size, unit * size + "nk>" * size, "<" + "x" * size + unit * size + ">"):
        assert MARKUP.search(visible_text(text)) is None
        strip_markup(text)
        without_controls(text)


THOUGHT = (
    "The train travels sixty kilometres in forty-five minutes.\nForty-five minutes are three "
    "quarters of an hour, so I divide sixty by three quarters, which gives eighty kilometres per "
    "hour in the end.\nLet me check that by multiplying back with the time."
)


@pytest.mark.parametrize(
    "summary",
    [
        THOUGHT,
        THOUGHT.upper(),
        "- " + THOUGHT.replace("\n", "\n- ").replace(",", " ;"),
        "Here is how: " + THOUGHT[60:220],
        " ".join(reversed(THOUGHT.split("\n"))),
        THOUGHT.replace(" ", "  \u200b"),
        "Let me check that by multiplying back with the time.",
        "Let me check",
    ],
)
def test_a_summary_that_says_the_thought_again_is_found(summary: str) -> None:
    assert repeats(
        summary, [THOUGHT[:100], THOUGHT[100:]] if summary == THOUGHT else THOUGHT.split("\n")
    )


@pytest.mark.parametrize(
    "summary",
    [
        "The time was turned into hours, and the distance divided by it.",
        "To find the speed, the distance (60 km) was divided by 0.75 h; the result was confirmed "
        "by a multiplication.",
        "",
    ],
)
def test_a_summary_in_other_words_is_none(summary: str) -> None:
    assert not repeats(summary, [THOUGHT])


def test_what_the_user_has_read_may_be_repeated() -> None:
    question = "What is the speed of a train that travels sixty kilometres in forty-five minutes?"
    summary = (
        "The speed of a train that travels sixty kilometres in forty-five minutes was asked for."
    )
    assert repeats(summary, [question]) and not repeats(summary, [question], public=[question])


def test_scripts_without_blanks_are_compared_sign_by_sign() -> None:
    thought = "首先把四十五分钟换算成四分之三小时，然后用六十公里除以四分之三，得到每小时八十公里。"
    assert repeats("首先把四十五分钟换算成四分之三小时，然后用六十公里除以四分之三", [thought])
    assert not repeats("先换算时间单位，再用距离除以时间，求出速度。", [thought])


@given(st.lists(st.integers(0, 10**6), min_size=LONGEST_QUOTE, max_size=60, unique=True), st.data())
def test_a_long_quote_in_a_long_summary_is_found(numbers: list[int], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(numbers) - LONGEST_QUOTE))
    quote = " ".join(map(str, numbers[start : start + LONGEST_QUOTE]))
    own = " ".join(f"own{index}" for index in range(500))
    assert repeats(f"{own} {quote} {own}", [" ".join(map(str, numbers))])
