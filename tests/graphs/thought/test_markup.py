"""The mark-up: it can be read back, malformed text is refused with its place, and a
filter removes all of it.
"""

from __future__ import annotations

import random
import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.safety import visible_text
from agents.safety.visible_text import strip_markup
from agents.types import Hidden
from graphs.thought.derive import derive_journey
from graphs.thought.long_thought import LongThought, Segment, SegmentKind, ThoughtKind
from graphs.thought.markup import MarkupError, parse, readable, render
from graphs.tree import ReasoningTree
from tests.graphs.tree.logs import trees

PIECES = (
    *(
        "<thought>",
        "</thought>",
        "<act",
        "</act>",
        "</ACT>",
        "<\\/act>",
        "<\\\\act>",
        '<act kind="step" node="1">',
        "</actor>",
        "<",
    ),
    *(
        "\\",
        "/",
        ">",
        '"',
        "\n",
        "\r\n",
        "\x00",
        "\u2028",
        "\ud800",
        "act",
        "thought",
        "&lt;",
        "",
        " ",
        "3 < 5",
        "思考",
        "🤔",
    ),
    *(
        "<|im_start|>",
        "<think>",
        "</think>",
        "<｜Assistant｜>",
        "<s>",
        "[INST]",
        "|",
        "think",
        "<thi",
        "nk>",
        "<|im",
        "_end|>",
    ),
)
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(st.characters(), max_size=4), max_size=8).map(
    "".join
)

THOUGHTS = st.builds(
    LongThought,
    segments=st.lists(
        st.builds(
            Segment,
            kind=st.sampled_from(get_args(SegmentKind)),
            node=st.integers(0, 2**31),
            text=TEXTS.map(Hidden),
            factor=st.none() | TEXTS,
        ),
        max_size=5,
    ).map(tuple),
    kind=st.sampled_from(get_args(ThoughtKind)),
)


@given(THOUGHTS)
def test_a_rendered_thought_is_read_back(thought: LongThought) -> None:
    assert parse(render(thought).reveal()) == thought


@given(trees(), st.integers(0, 9))
def test_a_derived_thought_is_read_back(tree: ReasoningTree, seed: int) -> None:
    thought = derive_journey(tree, next(iter(tree.answer_leaves()), None), rng=random.Random(seed))
    assert parse(render(thought).reveal()) == thought


@given(THOUGHTS)
def test_no_text_inside_a_rendered_thought_looks_like_its_markup(thought: LongThought) -> None:
    text = render(thought).reveal()
    assert len(re.findall(r"</?(?:act|thought)\b", text, re.IGNORECASE)) == 2 + 2 * len(
        thought.segments
    )


def test_ordinary_text_is_rendered_as_it_is() -> None:
    thought = LongThought(
        (Segment("step", 1, Hidden('if x < y && "a" > \\b:\n  <b>go</b>'), "compute"),), "shortcut"
    )
    assert render(thought).reveal() == (
        '<thought kind="shortcut">\n<act kind="step" node="1" factor="compute">if x < y && "a" > '
        "\\b:\n  <b>go</b></act>\n</thought>"
    )


def test_a_rendered_thought_is_hidden() -> None:
    assert str(render(LongThought((), "journey"))) == "<hidden>"


EXAMPLE = (
    '<thought kind="journey">\n<act kind="wrong" node="12" factor="check">secret</act>\n</thought>'
)


@pytest.mark.parametrize(
    ("text", "position", "expected"),
    [
        ("", 0, '"<thought kind="'),
        ("  " + EXAMPLE, 0, '"<thought kind="'),
        (EXAMPLE.replace("journey", "odyssey"), 14, '"journey" or "shortcut"'),
        (EXAMPLE.replace("wrong", "odd"), 35, '"step" or "wrong"'),
        (EXAMPLE.replace('"12"', '"-1"'), 49, "a node's number"),
        (EXAMPLE.replace('"12"', '"012"'), 49, "a node's number"),
        (EXAMPLE.replace('"check"', "check"), 60, "a factor's name in double quotes"),
        (EXAMPLE.replace('"check"', "[" * 9999), 60, "a factor's name in double quotes"),
        (EXAMPLE.replace('"check"', '"check'), 60, "a factor's name in double quotes"),
        (EXAMPLE.replace("</act>", ""), 68, "a text that ends with </act>"),
        (EXAMPLE.replace("</act>\n", "</act>"), 80, '"\\n"'),
        (EXAMPLE.replace("\n</thought>", "\n"), 81, '"<act kind="'),
        (EXAMPLE + "\n", 91, "the end of the text"),
    ],
)
def test_malformed_text_is_refused_with_its_position(
    text: str, position: int, expected: str
) -> None:
    with pytest.raises(MarkupError) as caught:
        parse(text)
    assert caught.value.position == position
    assert expected in str(caught.value) and f"character {position} (line " in str(caught.value)
    assert "secret" not in str(caught.value)


@given(st.integers(0, len(EXAMPLE)), st.integers(0, len(EXAMPLE)), TEXTS)
def test_any_text_is_read_or_refused(start: int, end: int, splice: str) -> None:
    text = EXAMPLE[:start] + splice + EXAMPLE[end:]
    try:
        thought = parse(text)
    except MarkupError as error:
        assert 0 <= error.position <= len(text)
    else:
        assert parse(render(thought).reveal()) == thought


LOOKS_LIKE_A_TAG = re.compile(
    r"</?(thought|act|think|thinking)(\s[^<>]*)?/?>|<\|\w+\|>|<｜\w+｜>|</?s>|\[/?INST\]|</?(start|end)_of_turn>",
    re.IGNORECASE,
)


@given(st.lists(st.sampled_from(PIECES), max_size=20).map("".join))
def test_nothing_that_looks_like_a_tag_is_left(text: str) -> None:
    assert not LOOKS_LIKE_A_TAG.search(strip_markup(text))


@given(THOUGHTS)
def test_nothing_is_left_of_the_markup_of_a_rendered_thought(thought: LongThought) -> None:
    stripped = strip_markup(render(thought).reveal())
    assert not re.search(
        r'<act kind=|</act>|<thought kind="|</thought>|<\|\w+\|>|</?think>', stripped
    )


@pytest.mark.parametrize(
    ("text", "stripped"),
    [
        ("<|im_start|>assistant\n42<|im_end|>", "assistant\n42"),
        ("<think>hm</think>42", "hm42"),
        ("<thi<think>nk>42", "42"),
        ("<|im_<|x|>end|>42", "42"),
        ("<｜begin▁of▁sentence｜>42</s>", "42"),
        ("<start_of_turn>model 42<end_of_turn>", "model 42"),
        ("[INST] <<SYS>>x<</SYS>> 42 [/INST]", "x 42"),
        ('<act kind="step" node="3" factor="a \\"b\\"">42</act>', "42"),
        ("<answer>42</answer>", "42"),
        ("<\\/act>42", "42"),
    ],
)
def test_special_tokens_are_stripped(text: str, stripped: str) -> None:
    assert strip_markup(text) == stripped


@pytest.mark.parametrize(
    "text",
    [
        "3 < 5 and 7 > 2",
        "|x| <|y| and |z|> 1",
        "a <b> c</b>",
        "x<s and t>u",
        "f < g > h",
        "<actor>",
        "[1, 2]",
        "x <thought",
        "a||b",
    ],
)
def test_ordinary_text_is_not_stripped(text: str) -> None:
    assert strip_markup(text) == text


NAIVE = re.compile(f"{visible_text._TAG.pattern}|{visible_text._SYSTEM_TAG.pattern}", re.IGNORECASE)
BRACKETS = (
    "<",
    "</",
    ">",
    "[",
    "]",
    "<<",
    ">>",
    "thi",
    "nk",
    "<think",
    "act ",
    "SYS",
    "INST",
    "[IN",
    "ST]",
    "<|x|>",
    "<s>",
    "|",
    "\\",
    ' k="1"',
    "a",
)


@given(st.lists(st.sampled_from(BRACKETS), max_size=20).map("".join))
def test_stripping_in_one_pass_leaves_no_tag(text: str) -> None:
    """As removing tags again and again does, until there are none; only where two tags
    share a bracket may it remove the other one.
    """
    stripped = strip_markup(text)
    assert not NAIVE.search(stripped)
    naive = text
    while (shorter := NAIVE.sub("", naive)) != naive:
        naive = shorter
    assert stripped == naive.strip() or re.search(r"\[/?INST[^|]*\]|<</?SYS>>", text, re.IGNORECASE)


@pytest.mark.parametrize(
    "piece",
    [
        "<th",
        "<think>",
        "<th<think>ink>",
        "<think ",
        "<",
        ">",
        "<a>",
        "[",
        "]",
        "[INST]",
        "<<SYS>>",
        "<<SYS>",
        "<|",
        "<\\",
    ],
)
@pytest.mark.parametrize("around", ["{}", "<{}>", "x{}ink>", "<thi{}nk>"])
def test_long_texts_are_stripped(piece: str, around: str) -> None:
    """Again and again would take minutes: 40,000 tags, each in the next."""
    deep = around.format(piece * 40_000)
    assert not NAIVE.search(strip_markup(deep))


def test_tags_that_removing_tags_makes_are_stripped_however_deep() -> None:
    assert strip_markup("<thi" * 40_000 + "<think>" + "nk>" * 40_000 + "42") == "42"
    assert strip_markup("[IN" * 40_000 + "[INST]" + "ST]" * 40_000 + "42") == "42"


def test_an_audit_view_numbers_the_current_line() -> None:
    kinds: list[tuple[SegmentKind, str]] = [
        ("step", "a\nb"),
        ("wrong", "c"),
        ("wrong", "d"),
        ("reflect", "hm"),
        ("backtrack", "Back to step 1."),
        ("step", "<|compute|>e"),
        ("answer", "f"),
    ]
    thought = LongThought(tuple(Segment(kind, 1, Hidden(text)) for kind, text in kinds), "journey")
    assert readable(thought).split("\n") == [
        "  1.   a",
        "       b",
        "  2. ✗ c",
        "  3. ✗ d",
        "     ~ hm",
        "     ↩ Back to step 1.",
        "  2.   e",
        "  3. = f",
    ]
