"""Routing between one completion and a search: read from the question alone."""

from __future__ import annotations

import pytest

from agents.types import Question, Turn
from graphs.strategies import Auto, Greedy, Posterior
from graphs.strategies.answers.routing import is_computed
from graphs.tasks import load_task
from tests.bench.routing import everyday, should_search
from tests.graphs.reasoner.test_graph import resources_for
from tests.graphs.strategies.make import make

COMPUTED = (
    "What is 12 times 12?",
    "Solve x^2 - 5x + 6 = 0",
    "Find the value of $x$ if $\\frac{x}{3} = 4$.",
    "If I buy 3 shirts at $15 each, what do I pay?",
    "Is 91 a prime number?",
    "Wie viel ist 17 mal 23?",
    "¿Cuánto es 25 por 4?",
)
OPEN = (
    "",
    "?",
    "Who won the World Cup in 1998 and 2018?",
    "I'm 45 and weigh 90 kg. How can I lose weight?",
    "What's the difference between Windows 10 and Windows 11?",
    "How much water should I drink?",
    "What is 5G?",
    "My 2 kids are 3 and 5. What games can they play?",
    "Translate: How many apples are 3 apples and 4 apples?",
    "Warum hat ein Jahr 365 Tage?",
)


def test_every_everyday_question_is_routed_as_its_author_meant() -> None:
    questions = everyday()
    assert len(questions) == len({question.text for question in questions}) == 40
    assert [is_computed(question) for question in questions] == list(map(should_search, questions))


@pytest.mark.parametrize("text", COMPUTED)
def test_a_question_to_compute_is_searched(text: str) -> None:
    question = Question(text=text)
    assert isinstance(make(Auto).for_question(question), Posterior)
    assert make(Auto).marks_answer(question)


@pytest.mark.parametrize("text", OPEN)
def test_an_open_question_gets_one_completion(text: str) -> None:
    strategy = make(Auto).for_question(Question(text=text))
    assert isinstance(strategy, Greedy) and strategy.takes_whole_reply


def test_questions_of_the_pockets_families_are_searched() -> None:
    questions = load_task("pocket", size=30).questions
    assert all(is_computed(question) for question in questions)


def test_a_follow_up_with_a_number_is_read_with_the_turns_before_it() -> None:
    history = (
        Turn(role="user", text="A cow eats 12 kg of hay a day. How much do 3 cows eat in 2 days?"),
        Turn(role="assistant", text="72 kg"),
    )
    for text, expected in (
        ("And 4 cows?", True),
        ("and in German?", False),
        ("Write it as a table for 4 cows.", False),
    ):
        assert is_computed(Question(text=text, history=history)) is expected
        assert not is_computed(Question(text=text))


@pytest.mark.parametrize("piece", ["1 ", "a? ", "How many 2 ", "$", "1+", "一", "x^", "\n"])
def test_long_questions_are_read(piece: str) -> None:
    assert is_computed(Question(text=piece * 20_000)) in (True, False)


async def test_a_searched_question_marks_its_answer_and_an_open_one_does_not() -> None:
    words = ("policy=chat", "critic=none", "reflector=none", "summarizer=chat", "search=auto")
    async with resources_for(*words) as (key, traces, resources):
        from graphs.reasoner.graph import think

        resources.engine._reply = lambda prompt, index, rng: "Blue.\n\nAnswer: 7"  # type: ignore[attr-defined]
        computed = await think(Question(text="What is 3 + 4?"), key)
        direct = await think(Question(text="Why is the sky blue?"), key)
    assert computed.answer == "7" and traces[0].question.marks_answer
    assert int(traces[0].usage["policy"].calls) >= 1 and computed.nodes > 2
    assert direct.nodes == 3 and not traces[1].question.marks_answer
