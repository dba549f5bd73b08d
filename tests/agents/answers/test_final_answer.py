"""The final answer of a text, as documented in
agents/answers/extraction/final_answer.py.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agents.answers import final_answer, marked_answer, whole_reply
from agents.answers.extraction.think_blocks import clean, ends_in_think_block, opens_think_block
from tests.agents.answers.answer_texts import TEXTS

SHARED_CASES = Path(__file__).parents[4] / "shared" / "cases" / "answer_taken.jsonl"
"""Beside the checkout, where somebody has put them."""


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
        # an explicit mark beats a sentence
        ("\\boxed{18}. So the answer is three words long", "18"),
        ("The answer is 3. No, the answer is 5.", "5"),
        ("Answer: 3\nAnswer:", "3"),  # cut off: the empty mark does not count
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
        "\\boxed{3} or rather \\boxed{4",  # cut off in the mark that would replace the first
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


@pytest.mark.parametrize("kind", TEXTS)
def test_marks_of_every_kind_are_read(kind: str) -> None:
    wrong = [
        (text, found, answer)
        for text, answer in TEXTS[kind]
        if (found := final_answer(text)) != answer
    ]
    assert not wrong


@pytest.mark.skipif(
    not SHARED_CASES.is_file(), reason=f"there is no {SHARED_CASES.name} beside the checkout"
)
def test_nearly_all_shared_cases_are_read() -> None:
    # a row may hold U+2028, where str.splitlines cuts
    with SHARED_CASES.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    decided = [row for row in rows if row["answer"] != "?"]
    right = [final_answer(row["text"]) == row["answer"] for row in decided]
    assert sum(right) >= 0.95 * len(decided)


_PIECES = st.sampled_from(
    [
        *"\n $`.\\-={}é?：",
        *(
            "Answer:",
            "answer is",
            "\\boxed{",
            "####",
            "18",
            "**",
            "the",
            "\\[",
            "\\]",
            "```",
            "答案",
            ", so",
            "- a\n",
        ),
        *("<think>", "</think>", "<answer>", "</answer>", "<|im_end|>", "\u200b", "\u2028", "\r"),
    ]
)
_MODEL_TEXTS = st.one_of(st.text(), st.lists(_PIECES, max_size=30).map("".join))


@given(_MODEL_TEXTS)
def test_reading_never_raises_and_gives_words_of_the_text(text: str) -> None:
    answer = final_answer(text)
    assert answer is None or (answer and set(answer) <= set(clean(text)))


@given(_MODEL_TEXTS)
def test_an_answer_is_not_empty_and_keeps_no_think_tag(text: str) -> None:
    answer = final_answer(text, marked=False)
    assert answer is None or (answer.strip() and "<think>" not in answer)


@given(_MODEL_TEXTS, _MODEL_TEXTS)
@example("\x9b", "0")
@example("\x1b", "0")
@example("\x1b[", "0")
def test_no_text_in_a_think_block_is_an_answer(thought: str, text: str) -> None:
    block = f"<think>{thought.replace('think', '')}</think>\n\n"
    for marked in (True, False):
        assert final_answer(block + text, marked=marked) == final_answer(text, marked=marked)
        assert final_answer("<think>" + thought.replace("think", ""), marked=marked) is None


@given(st.lists(_MODEL_TEXTS, min_size=1, max_size=5))
def test_pieces_have_the_answer_of_the_whole(pieces: list[str]) -> None:
    found = marked_answer(pieces)
    whole = final_answer("\n\n".join(clean(piece) for piece in pieces))
    assert (found and found.value) == whole
    assert found is None or pieces[found.piece]


@pytest.mark.parametrize(
    "text",
    ["Answer: 57", "#### 57", "so the answer is 57", "The answer is 57.", "**Final Answer**\n\n57"],
)
def test_a_value_that_a_cut_may_have_shortened_is_none(text: str) -> None:
    assert marked_answer([text]) == (0, "57")
    assert marked_answer([text], is_cut=True) is None
    assert marked_answer([text, "as we", "saw"], is_cut=True) == (0, "57")


UNRELATED = (
    "3 + 4 = 7",
    "It costs $5, and $x$ is unknown.",
    "Suppose the answer is 5.",
    "Is the answer 6? No.",
    "Some say the answer is 8, but that is wrong.",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "```python\nanswer = 5\n```",
    "<think>Answer: 9. Wait, the answer is 10.</think>",
    "\\[ x^{2} = 4 \\]",
    "Wait, actually that was a mistake.",
    'Let me read the question: "What is the answer?"',
    "答案不是5。",
)


@given(
    st.lists(st.sampled_from(UNRELATED), unique=True),
    st.sampled_from(["\n", "\n\n"]),
    st.sampled_from(
        [
            *(
                "Answer: 7",
                "\\boxed{7}",
                "#### 7",
                "<answer>7</answer>",
                "**Final Answer**\n\n7",
                "The answer is 7.",
                "A: 7",
            ),
            *(
                '{"answer": 7}',
                "### Answer\n\n\\[7\\]",
                "| Answer | 7 |",
                "答案：7",
                "$\\text{Answer: } 7$",
                "La respuesta es 7.",
            ),
        ]
    ),
)
def test_unrelated_text_before_a_mark_changes_nothing_in_any_order(
    before: list[str], separator: str, mark: str
) -> None:
    assert final_answer(separator.join([*before, mark])) == "7"


def test_what_closes_a_value_protects_it_from_the_cut() -> None:
    assert marked_answer(["so \\boxed{57}"], is_cut=True) == (0, "57")
    assert marked_answer(["<answer>57</answer>"], is_cut=True) == (0, "57")


LIST = "1. Wake up\n2. Eat\n\n3. Sleep"
CODE = "```python\ndef f():\n    x = 1\n\n    return x  # Answer: 1\n```"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Paris", "Paris"),
        ("Let me think.\n\nIt is Paris,\nin France.\n\n", "It is Paris,\nin France."),
        (f"Sure!\n\n{LIST}", LIST),
        (f"Sure!\n\nHere is a plan:\n\n{LIST}", f"Here is a plan:\n\n{LIST}"),
        (f"Here is a plan:\n\n{LIST}\n\nI hope this helps!", f"Here is a plan:\n\n{LIST}"),
        (f"**Answer:**\n\n{LIST}", LIST),
        ("A plan:\n\n- One\n\n  more of it\n\n- Two", "A plan:\n\n- One\n\n  more of it\n\n- Two"),
        (
            "Two steps:\n\nStep 1: Sleep\n\nStep 2: Eat",
            "Two steps:\n\nStep 1: Sleep\n\nStep 2: Eat",
        ),
        (
            "Hm.\n\n**1. Sleep**\n\nLong.\n\n**2. Eat**\n\nWell.",
            "**1. Sleep**\n\nLong.\n\n**2. Eat**\n\nWell.",
        ),
        ("1. Rome is in Italy.\n2. So is Milan.\n\nIt is Rome.", "It is Rome."),
        (f"I think.\n\n{CODE}", CODE),
        (f"Here:\n\n{CODE}\n\nIt returns 1.", f"Here:\n\n{CODE}\n\nIt returns 1."),
        ("Use the `<think>` tag.", "Use the `<think>` tag."),
        ("Die Hauptstadt ist Paris.<|im_end|>", "Die Hauptstadt ist Paris."),
        ("Answer: 12\n\nBecause 5 + 7 = 12.", "12"),
        ("The answer to this question is Paris.\n\nLet me know.", "Paris"),
        ("Is the answer 8?\n\nIt is seven.", "It is seven."),
        ("<think>Rome?</think>\n\nParis", "Paris"),
        ("Rome?</think>Paris", "Paris"),
    ],
)
def test_an_open_answer_is_the_last_block(text: str, answer: str) -> None:
    assert final_answer(text, marked=False) == answer


LETTER = "Subject: Leave\n\nDear Anna,\n\nI am ill.\n\nBest regards,\n\n[Your Name]"
PLAN = "**Friday**\n\n- Arrive\n- Dinner\n\n**Saturday**\n\nVisit the zoo.\n\nTake snacks with you."
TIPS = f"Here are three tips:\n\n{LIST}\n\nRemember to keep the room cool."


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (f"Sure!\n\n{LETTER}", LETTER),
        (f"{LETTER}\n\nLet me know if I should change it.", LETTER),
        (f"I plan.\n\n{PLAN}\n\nEnjoy your trip!", PLAN),
        (
            "# Plan\n\n## Friday\n\nRest.\n\n## Saturday\n\nGo home.",
            "# Plan\n\n## Friday\n\nRest.\n\n## Saturday\n\nGo home.",
        ),
        (f"Sure!\n\n{TIPS}", TIPS),
        (f"Sure.\n\nFirst:\n\n{CODE}\n\nThen:\n\n{CODE}", f"First:\n\n{CODE}\n\nThen:\n\n{CODE}"),
        (f"I think in steps:\n\n{LIST}\n\nIt is Rome.", "It is Rome."),
        (
            "**Cost**\n\n12 * 3 = 36\n\n**Cakes**\n\n5 * 14 = 70\n\nSo he earns 106 euros.",
            "So he earns 106 euros.",
        ),
        ("### Step 1: Add\n\n5 + 7\n\n### Step 2: Sum\n\n12\n\nIt is 12.", "It is 12."),
    ],
)
def test_an_open_answer_is_a_whole_document(text: str, answer: str) -> None:
    assert final_answer(text, marked=False) == answer


@pytest.mark.parametrize(
    "text", ["", " \n\n ", "<think>Paris", "<think>Paris</think>", "<|im_end|>"]
)
def test_a_text_without_words_has_no_open_answer(text: str) -> None:
    assert final_answer(text, marked=False) is None


POEM = "Roses are red,\nviolets are blue.\n\nThe answer is yours,\nmy friend, too.\n\nGood night."


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (POEM, POEM),
        (f"<think>In two stanzas.\n\nIn red.</think>\n\n{POEM}<|im_end|>", POEM),
        (f"In two stanzas.\n\n</think>{POEM}", POEM),
        (
            "The answer is Rayleigh scattering.\n\nBlue light is scattered most.",
            "The answer is Rayleigh scattering.\n\nBlue light is scattered most.",
        ),
        (f"Sure!\n\n{CODE}\n\nCall it with 3.", f"Sure!\n\n{CODE}\n\nCall it with 3."),
        ("The answer to this question is Paris.", "Paris"),
        (
            "It was asked for. The answer is Rayleigh scattering.",
            "It was asked for. The answer is Rayleigh scattering.",
        ),
        ("The answer is 3.5.", "3.5"),
        (f"Answer: {LETTER}", f"Answer: {LETTER}"),
        (f"**Answer:** {POEM}", f"**Answer:** {POEM}"),
        ("Answer: Blue. Light is scattered.", "Answer: Blue. Light is scattered."),
        ("Why?\n\nAnswer: To get there.\n\nHa!", "Why?\n\nAnswer: To get there.\n\nHa!"),
        ("So it is \\boxed{7}.", "7"),
        ("3 + 4 is 7.\n\n**Answer:** 7", "7"),
        ("<think>Answer: 8</think>\n3 + 4 is 7.\n\nSo 7.", "3 + 4 is 7.\n\nSo 7."),
    ],
)
def test_a_whole_reply_loses_nothing_but_thinking(text: str, answer: str) -> None:
    assert whole_reply(text) == answer


@pytest.mark.parametrize(
    "text", ["", " \n\n ", "<think>Paris", "<think>Paris</think>", "<|im_end|>"]
)
def test_a_text_without_words_is_no_reply(text: str) -> None:
    assert whole_reply(text) is None


def test_think_blocks_are_followed_over_pieces() -> None:
    assert ends_in_think_block("a <think> b") and not ends_in_think_block("a <think> b </think>")
    assert ends_in_think_block("b", opened=True) and not ends_in_think_block(
        "b </think>", opened=True
    )


@pytest.mark.parametrize(
    ("prompt", "opens"),
    [
        ("<|user|>2 + 2?<|assistant|><think>\n", True),
        ("<|user|>2 + 2?<|assistant|><think>\n\n</think>\n\n", False),
        ("<|user|>What does <think> do?<|assistant|>", False),
        ("<|user|>2 + 2?<|assistant|>", False),
        ("<|turn>user\n2 + 2?<turn|>\n<|turn>model\n<|channel>thought\n", True),
        ("<|turn>user\n2 + 2?<turn|>\n<|turn>model\n<|channel>thought\n<channel|>", False),
    ],
)
def test_a_prompt_opens_a_think_block_by_its_last_words_alone(prompt: str, opens: bool) -> None:
    assert opens_think_block(prompt) == opens


@given(st.text(alphabet="abc12+-{} \\frac", max_size=30))
def test_a_box_gives_back_what_was_put_in(content: str) -> None:
    # Naive reference: braces must balance, and the content must not be trimmed, for the
    # box to be read back as it is.
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


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize(
    "piece",
    [
        *(
            "\\boxed{",
            "Answer:",
            "#### 1",
            "answer is ",
            "answer  ",
            "{",
            "1,",
            "  ",
            "####",
            "Answer:\n",
            "**",
            "<answer>",
            "<think>",
        ),
        *(
            "</think>",
            "answer to ",
            "answer (",
            "if the answer is ",
            "```\n",
            "- a\n\n",
            "答案：",
            "\n",
            "\u200c",
            'Answer "',
            "\\[",
        ),
        *(
            "a:\n",
            "| answer ",
            '"answer": ',
            '"answer": "a\\',
            "</a> ",
            "~~a",
            "\n",
            "wait\n",
            "\\begin{a}",
            "answer \\begin{a}\n",
            "[answer] ",
        ),
        *(
            "<|channel|>",
            "<|channel|>analysis<|message|>",
            "assistantfinal",
            "the answer is prime. ",
            "the answer is 7. wait, a",
            "故选",
        ),
    ],
)
def test_long_texts_are_read_in_linear_time(piece: str, marked: bool) -> None:
    final_answer(piece * (30_000 // len(piece)), marked=marked)


def test_an_open_answer_keeps_the_plan_below_which_a_remark_stands() -> None:
    plan = "1. **Dig**:\n   - Choose a place.\n\n2. **Line**:\n   - Use concrete."
    remark = "By following these steps, you can build a shelter."
    text = f"To build one, follow these steps:\n\n{plan}\n\n{remark}"
    assert final_answer(f"Let me think.\n\n{text}", marked=False) == text
    assert final_answer(f"Let me think.\n\n{remark}", marked=False) == remark
